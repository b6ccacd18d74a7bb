# SPDX-License-Identifier: GPL-3.0-or-later
"""The optimiser of one picture: parameters, loss, schedules, and a state that can be saved and taken up again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, SupportsFloat

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smalti.bridge.job import BlendSpace

from ..cpu import threads_to_torch
from ..raster import (
    Atlas,
    Scene,
    StackPosition,
    Step,
    draw,
    fused_step,
    image_loss,
)
from ..raster.geometry import affine_maps, half_sizes
from .adam import Adam
from .objective.canvas import over, reduced_canvas, seen
from .objective.losses import MSE, Aim, Loss
from .objective.noise import key_of, noise_picture

PARAMETERS = ("x", "y", "log_scale", "theta", "opacity", "tint")
"""What is optimised. Opacity and tint are logits."""


@dataclass(frozen=True)
class Motion:
    """How far the parameters go in a step.

    Attributes:
        rates: Adam's at the first step: pixels, log of pixels, radians, logits.
        betas: Adam's decays.
        end: share of the rates that is left at the last step; they fall in a straight line.
        decay: instead of that, the factor from each step to the next.
        blur_until: share of the steps over which the blur falls to 0; None keeps it throughout.
        in_pixels: the rate of the sizes is in pixels too, and both kinds of pixel are the canvas's own; otherwise sizes
            change by factors, and the rates of positions are for a canvas of 512 pixels.
    """

    rates: Mapping[str, float]
    betas: tuple[float, float]
    end: float = 0.02
    decay: float | None = None
    blur_until: float | None = 0.6
    in_pixels: bool = False

    def factor(self, progress: float, done: int) -> float:
        """Of all rates, after `done` steps, which are the share `progress` of all."""
        return 1 - (1 - self.end) * progress if self.decay is None else self.decay**done

    def blur(self, progress: float) -> float:
        """Factor of the blur."""
        return 1.0 if self.blur_until is None else max(0.0, 1 - progress / self.blur_until)


# Short memories: noise, the falling blur and recycled neighbours change gradients from step to step. Over (0.9, 0.99)
# with rates falling exponentially, these and a linear fall gained 0.25 dB on four paintings.
MOTION = Motion(
    rates={"x": 1.5, "y": 1.5, "log_scale": 0.14, "theta": 0.1, "opacity": 0.12, "tint": 0.12}, betas=(0.8, 0.95)
)

LOSS = 4 / 3
"""A loss here in those of the rasteriser: the mean is over three channels, as over opaque grounds alpha is equal."""

SATURATION = 6.0
"""Bound on logits: beyond it a sigmoid's slope is too small to find a way back."""


@dataclass(frozen=True)
class Settings:
    """How to fit.

    Attributes:
        steps: number of steps.
        rate: factor on all rates (1 for a start from scratch, less for a warm start).
        blur: level-of-detail bias at the first step (soft rasterisation).
        colour_mix, blend_space, alpha_max: as in `smalti.bridge.job.JobSpec`.
        lock_rotation, lock_scale: keep theta, keep scale.
        size_range: smallest and largest longer side of a sprite in canvas pixels.
        back_end: see `smalti.engine.raster.composite`.
        motion: how far the parameters go, and how rates and blur fall.
        coarse: pairs of a share of the steps up to which the canvas is smaller, and how many times smaller a side;
            in order. Parameters are in pixels of the full canvas throughout, so nothing jumps when it grows.
        aim: what is minimised.
    """

    steps: int
    rate: float
    blur: float
    colour_mix: float
    blend_space: BlendSpace
    alpha_max: float
    lock_rotation: bool
    lock_scale: bool
    size_range: tuple[float, float]
    back_end: str
    motion: Motion = MOTION
    coarse: tuple[tuple[float, int], ...] = ()
    aim: Aim = MSE


Penalty = Callable[[Tensor, Tensor, Tensor, Atlas, Tensor], Tensor]
"""Maps, opacities and templates of the sprites, the atlas, the target's alpha -> a scalar that is added to the loss."""


class Optimiser:
    """Fits N sprites to one target.

    Args:
        target: [H, W, 4] float32, premultiplied, in the blend space.
        background: [H, W, 4] float32, premultiplied, in the blend space; None where the sprites must stand alone: then
            every step lays them and the target on fresh noise, so that covering exactly what the target covers is the
            only way to match (the noisy canvas of DiffBMP, arXiv 2602.22625).
        atlas: the templates.
        shapes: [T, 2] width and height of each template.
        sprites: the start, as `smalti.engine.fitting.initialise.start` returns it.
        settings: see `Settings`.
        seed: seed of the noise.

    Attributes:
        penalty: what is added to the loss besides, where there is something; steps are slower then.
    """

    def __init__(
        self,
        target: NDArray[np.float32],
        background: NDArray[np.float32] | None,
        atlas: Atlas,
        shapes: NDArray[np.float64],
        sprites: Mapping[str, NDArray[np.generic]],
        settings: Settings,
        seed: int,
    ) -> None:
        self.settings = settings
        self.done = 0
        self.penalty: Penalty | None = None
        self._atlas = atlas
        self._given = target, background
        self._size = (target.shape[0], target.shape[1])
        self._loss = settings.aim.loss()
        self.weights = settings.aim.weights(seen(torch.from_numpy(target), settings.blend_space).numpy())
        self.use_canvas(1)
        self._seed = seed
        # A rate for each sprite is more than a fused step knows, and so is any other loss.
        apart = settings.motion.in_pixels or self._loss is not None
        self._fused = None if apart else fused_step(settings.back_end, atlas)
        self._bound = False  # whether the fused step has these parameters, and may have changed them
        self.shapes = torch.from_numpy(shapes)
        self._set_template(
            torch.from_numpy(sprites["template"].astype(np.int32)),
            torch.from_numpy(sprites["aspect"].astype(np.float64)),
        )
        start = self._raw(sprites)
        self.parameters = {
            name: torch.from_numpy(np.array(start[name], np.float64)).requires_grad_(name not in self._locked())
            for name in PARAMETERS
        }
        self._adam = Adam({n: p for n, p in self.parameters.items() if p.requires_grad}, settings.motion.betas)

    def step(self) -> SupportsFloat:
        """One gradient step. Returns the mean squared error of display-encoded values before it, 0 to 1.

        That is so whatever is minimised, so that fits can be compared; only a loss that is not finite comes as it is.
        It may still be on its way from a GPU: `float` waits for it.
        """
        progress = self.done / max(self.settings.steps, 1)
        motion = self.settings.motion
        rate = self.settings.rate * motion.factor(progress, self.done)
        pixels = 1.0 if motion.in_pixels else max(self._size) / 512
        rates = {name: rate * own * (pixels if name in ("x", "y") else 1.0) for name, own in motion.rates.items()}
        blur = self.settings.blur * motion.blur(progress)
        self._choose_canvas(progress)
        loss: SupportsFloat
        if self._fused is not None and self.penalty is None:
            loss = self._step_at_once(blur, rates)
        else:
            loss = self._differentiate(blur)
            if self.penalty is not None:
                affine, opacity, _, template, atlas = self.drawn()
                added = self.penalty(affine, opacity, template, atlas, self.canvas.target[..., 3])
                added.backward()  # type: ignore[no-untyped-call]
            if motion.in_pixels:
                # A step of a pixel is one of 1 / scale of its logarithm; Adam's steps do not depend on the unit.
                by_sprite = {"log_scale": (-self.parameters["log_scale"].detach()).exp()}
                self._adam.step(rates, by_sprite)
            else:
                self._adam.step(rates)
            self._keep_in_range()
        self.done += 1
        return loss

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the canvas."""
        return self._size

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.done >= self.settings.steps

    def sprites(self) -> dict[str, NDArray[Any]]:
        """The sprites now, in the units of `smalti.bridge.composition`: one frame, float32."""
        self._fetch()
        with torch.no_grad():
            p = self.parameters
            values = {
                "x": p["x"],
                "y": p["y"],
                "scale": p["log_scale"].exp(),
                "aspect": self._aspect,
                "theta": p["theta"],
                "opacity": self.settings.alpha_max * p["opacity"].sigmoid(),
                "tint": p["tint"].sigmoid(),
            }
            return {
                "template": self._template.numpy().copy(),
                **{name: value.numpy().astype(np.float32) for name, value in values.items()},
            }

    def replace(self, which: NDArray[np.int64], sprites: Mapping[str, NDArray[Any]]) -> None:
        """Take the sprites `which` [M] away, and put M others on top of the stack (see `start`)."""
        self._fetch()
        self._bound = False
        kept = np.setdiff1d(np.arange(len(self._template)), which, assume_unique=True)
        order = torch.from_numpy(np.concatenate([kept, which]))
        fresh = {name: torch.from_numpy(values) for name, values in self._raw(sprites).items()}
        new = slice(len(kept), None)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(parameter[order])
                if name == "log_scale" and self.settings.lock_scale:
                    continue  # the size of a sprite is what the start gave it, wherever it goes
                parameter[new] = fresh[name]
        self._adam.reorder(order)
        self._adam.begin_anew(torch.arange(len(kept), len(order)))
        self._set_template(
            torch.cat([self._template[order[: len(kept)]], torch.from_numpy(sprites["template"])]),
            torch.cat([self._aspect[order[: len(kept)]], torch.from_numpy(sprites["aspect"])]),
        )

    def exchange(self, which: NDArray[np.int64], sprites: Mapping[str, NDArray[Any]], place: NDArray[np.int64]) -> None:
        """Let M others take the places of the sprites `which` [M], each once; some move in the stack.

        `place` [M] says where they go, see `smalti.engine.raster.StackPosition`. Several on top, or at the bottom, lie
        among themselves as in `which`.
        """
        self._fetch()
        self._bound = False
        places = torch.from_numpy(which)
        with torch.no_grad():
            for name, values in self._raw(sprites).items():
                if self.parameters[name].requires_grad:  # what is locked stays as it is
                    self.parameters[name][places] = torch.from_numpy(values)
        template, aspect = self._template.clone(), self._aspect.clone()
        template[places] = torch.from_numpy(sprites["template"])
        aspect[places] = torch.from_numpy(sprites["aspect"].astype(np.float64))
        self._adam.begin_anew(places)
        lowered, raised = which[place == StackPosition.BOTTOM], which[place == StackPosition.TOP]
        staying = np.setdiff1d(np.arange(len(template)), np.concatenate([lowered, raised]))
        order = torch.from_numpy(np.concatenate([lowered, staying, raised]))
        with torch.no_grad():
            for parameter in self.parameters.values():
                parameter.copy_(parameter[order])
        self._adam.reorder(order)
        self._set_template(template[order], aspect[order])

    def put_back(self, which: NDArray[np.int64], sprites: Mapping[str, NDArray[Any]]) -> None:
        """Give the sprites `which` [M] the parameters of others, in their places in the stack (see `start`)."""
        self._fetch()
        self._bound = False
        with torch.no_grad():
            for name, values in self._raw(sprites).items():
                self.parameters[name][torch.from_numpy(which)] = torch.from_numpy(values)

    def values(self) -> dict[str, NDArray[np.float64]]:
        """A copy of the parameters, by the names in `PARAMETERS`."""
        self._fetch()
        return {name: parameter.detach().numpy().copy() for name, parameter in self.parameters.items()}

    def adjust(self, values: Mapping[str, NDArray[np.float64]]) -> None:
        """Give all sprites other parameters, of all or some names (see `values`); the means of the gradients stay."""
        self._fetch()
        self._bound = False
        with torch.no_grad():
            for name, array in values.items():
                self.parameters[name].copy_(torch.from_numpy(array))

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that a later `restore` needs to go on as if nothing had happened."""
        self._fetch()
        state: dict[str, NDArray[Any]] = {
            "done": np.array(self.done),
            "template": self._template.numpy().copy(),
            "aspect": self._aspect.numpy().copy(),
        }
        for name, parameter in self.parameters.items():
            state[f"parameter.{name}"] = parameter.detach().numpy().copy()
        state |= {f"adam.{name}": value for name, value in self._adam.state().items()}
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what `state` returned. Raises KeyError or ValueError where it does not fit this problem."""
        self._bound = False
        for name, parameter in self.parameters.items():
            saved = torch.from_numpy(state[f"parameter.{name}"])
            if saved.shape != parameter.shape:
                raise ValueError(f"{name} has shape {tuple(saved.shape)}, not {tuple(parameter.shape)}")
            with torch.no_grad():
                parameter.copy_(saved)
        self._adam.restore({n.removeprefix("adam."): a for n, a in state.items() if n.startswith("adam.")})
        aspect = torch.from_numpy(state["aspect"].astype(np.float64))
        if aspect.shape != self._aspect.shape:
            raise ValueError(f"aspect has shape {tuple(aspect.shape)}, not {tuple(self._aspect.shape)}")
        self._set_template(torch.from_numpy(state["template"].astype(np.int32)), aspect)
        self.done = int(state["done"])
        # Whatever is measured before the next step is measured on the canvas of the last one.
        self._choose_canvas(max(self.done - 1, 0) / max(self.settings.steps, 1))

    def _raw(self, sprites: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
        """The parameters that stand for sprites in the units of `smalti.bridge.composition`."""
        values = {name: array.astype(np.float64) for name, array in sprites.items()}
        return {
            "x": values["x"],
            "y": values["y"],
            "log_scale": np.log(values["scale"]),
            "theta": values["theta"],
            "opacity": _logit(np.clip(values["opacity"] / self.settings.alpha_max, 1e-4, 1 - 1e-4)),
            "tint": _logit(np.clip(values["tint"], 1e-3, 1 - 1e-3)),
        }

    def _set_template(self, template: Tensor, aspect: Tensor) -> None:
        self._template, self._aspect = template, aspect
        self._shape = self.shapes[template.long()]
        self._extent = torch.stack(half_sizes(torch.ones_like(aspect), aspect, self._shape), dim=1)

    def _choose_canvas(self, progress: float) -> None:
        """The size of the canvas that this part of the steps wants."""
        reduction = next((r for until, r in self.settings.coarse if progress < until), 1)
        if reduction != self._reduction:
            self.use_canvas(reduction)

    def use_canvas(self, reduction: int) -> None:
        self._reduction = reduction
        self.canvas = reduced_canvas(*self._given, self.settings.blend_space, reduction, self.weights)

    def ground(self) -> tuple[Tensor, Tensor]:
        """What lies behind the sprites in this step, and what the picture should then be, in the blend space."""
        canvas = self.canvas
        background = canvas.background
        if background is None:
            background = noise_picture(key_of(self._seed, self.done), canvas.size)
        return background, over(canvas.target, background)

    def drawn(self, shown: NDArray[np.float64] | float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor, Atlas]:
        """The sprites as the rasteriser takes them, their opacities multiplied by `shown`, one number or [N]."""
        self._fetch()
        p = self.parameters
        affine = self.on_canvas(
            affine_maps(p["x"], p["y"], p["log_scale"].exp(), self._aspect, p["theta"], self._shape)
        )
        opacity = self.settings.alpha_max * p["opacity"].sigmoid() * torch.as_tensor(shown)
        return affine, opacity, p["tint"].sigmoid(), self._template, self._atlas

    def on_canvas(self, affine: Tensor) -> Tensor:
        """Maps from pixels of the full canvas [N, 6] as maps from pixels of the canvas that is drawn now."""
        width, height = self.canvas.pixel
        return affine * affine.new_tensor([width, height, 1, width, height, 1])

    def _fetch(self) -> None:
        """Bring what fused steps have changed into the parameters and into Adam's means."""
        if self._fused is not None and self._bound:
            self._fused.fetch()

    def _locked(self) -> set[str]:
        locked = {"theta"} if self.settings.lock_rotation else set()
        if self.settings.lock_scale:
            locked.add("log_scale")
        if self.settings.colour_mix == 1:
            locked.add("tint")
        return locked

    def _step_at_once(self, blur: float, rates: Mapping[str, float]) -> SupportsFloat:
        """The loss now; the kernels' parameters and Adam's means are those after the step."""
        assert self._fused is not None
        if not self._bound:
            self._fused.bind(
                {name: parameter.detach().numpy() for name, parameter in self.parameters.items()},
                {name: mean.numpy() for name, mean in self._adam.mean.items()},
                {name: square.numpy() for name, square in self._adam.square.items()},
                self._template.numpy(),
                self._extent.numpy(),
            )
            self._bound = True
        low, high = (math.log(0.5 * bound) for bound in self.settings.size_range)
        step = Step(
            learning_rates=rates,
            adam=self._adam.begin_step(),
            goal=(self.canvas.target if self.canvas.goal is None else self.canvas.goal).numpy(),
            background=None if self.canvas.background is None else self.canvas.background.numpy(),
            noise_key=None if self.canvas.background is not None else key_of(self._seed, self.done),
            pixel=self.canvas.pixel,
            encoded=self.settings.blend_space == "linear",
            mix=self.settings.colour_mix,
            lod_bias=blur,
            alpha_max=self.settings.alpha_max,
            bounds=(low, high, SATURATION, float(self._size[1]), float(self._size[0])),
        )
        return self._fused(step)

    def _differentiate(self, blur: float) -> float:
        """The mean squared error now; the gradient of the loss goes to the parameters."""
        if self._loss is not None:
            return self._differentiate_other(self._loss, blur)
        background, goal = self.ground()
        space = self.settings.blend_space
        scene = Scene(*self.drawn(), self.canvas.size, background, self.settings.colour_mix, blur)
        loss: Tensor = image_loss(scene, seen(goal, space), self.settings.back_end, encoded=space == "linear")
        loss = loss * LOSS
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _differentiate_other(self, compare: Loss, blur: float) -> float:
        """As `_differentiate`, for a loss that the kernels do not know."""
        canvas, space = self.canvas, self.settings.blend_space
        background, goal = self.ground()
        wanted = seen(goal, space) if canvas.goal is None else canvas.goal
        alone = compare.needs_opacity
        scene = Scene(*self.drawn(), canvas.size, None if alone else background, self.settings.colour_mix, blur)
        image = draw(scene, self.settings.back_end)
        opacity = (image[..., 3], canvas.target[..., 3]) if alone else None
        shown = seen(over(image, background) if alone else image, space)
        with threads_to_torch() if compare.needs_network else nullcontext():
            loss = compare(shown, wanted, canvas.weights, opacity)
            loss.backward()  # type: ignore[no-untyped-call]
        error = (shown.detach() - wanted)[..., :3].square().mean()
        # Sprites that are not numbers are not drawn, and the error of what is left looks sound.
        return float(error if loss.detach().isfinite() else loss.detach())

    def _keep_in_range(self) -> None:
        """Project the parameters back to where they have a gradient."""
        p = self.parameters
        low, high = (math.log(0.5 * bound) for bound in self.settings.size_range)
        with torch.no_grad():
            if p["log_scale"].requires_grad:
                p["log_scale"].clamp_(low, high)
            reach = torch.stack(half_sizes(p["log_scale"].exp(), self._aspect, self._shape)).amax(dim=0)
            # At least a good part of every sprite stays on the canvas: outside, nothing would pull it back.
            for name, length in (("x", self._size[1]), ("y", self._size[0])):
                p[name].copy_(torch.minimum(torch.maximum(p[name], -0.5 * reach), length + 0.5 * reach))
            p["opacity"].clamp_(-SATURATION, SATURATION)
            p["tint"].clamp_(-SATURATION, SATURATION)


def _logit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(values / (1 - values))
