# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of N sprites as the optimizer holds them, with Adam's moments: steps, edits of the stack, state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..arrays import Float64Array, Int64Array
from ..raster import FusedStep, StackPosition
from ..raster.geometry import affine_maps, half_sizes
from ..sprites import Sprites
from .adam import Adam

NAMES = ("x", "y", "log_scale", "theta", "opacity", "tint")
"""What is optimized: [N] each, tint [N, 3], float64. Opacity and tint are logits."""


class Parameters:
    """Store of the parameters.

    Args:
        sprites: the first ones.
        shapes: [T, 2] width and height of each template.
        alpha_max: opacity of a sprite whose logit is infinite.
        max_logit: bound on logits.
        locked: names that no step changes.
        betas: Adam's decay rates.

    Attributes:
        tensors: leaf tensors by name; those that are not locked require a gradient.
        adam: the optimizer, with its moments.
        template: [N] int32.
        aspect: [N] float64, never optimized.
        shape: [N, 2] width and height of each sprite's template.
        extent: [N, 2] half the width and height of each sprite at scale 1.
        memory: [N, ...] what constraints keep of each sprite from one step to the next, 0 for sprites that were put
            elsewhere since; None where there is nothing.
    """

    def __init__(
        self,
        sprites: Sprites,
        shapes: Float64Array,
        alpha_max: float,
        max_logit: float,
        locked: Set[str],
        betas: tuple[float, float],
    ) -> None:
        self._shapes = torch.from_numpy(shapes)
        self._alpha_max = alpha_max
        self._max_logit = max_logit
        self._fused: FusedStep | None = None
        self.memory: Tensor | None = None
        self.locked = frozenset(locked)
        self._set_template(
            torch.from_numpy(sprites.template.astype(np.int32)), torch.from_numpy(sprites.aspect.astype(np.float64))
        )
        start = self._of_sprites(sprites)
        self.tensors = {
            name: torch.from_numpy(np.array(start[name], np.float64)).requires_grad_(name not in locked)
            for name in NAMES
        }
        self.adam = Adam({n: p for n, p in self.tensors.items() if p.requires_grad}, betas)

    def __len__(self) -> int:
        return len(self.template)

    def sprites(self) -> Sprites:
        """The sprites now, float32."""
        self.fetch()
        with torch.no_grad():
            p = self.tensors
            return Sprites(
                template=self.template.numpy().copy(),
                x=p["x"].numpy().astype(np.float32),
                y=p["y"].numpy().astype(np.float32),
                scale=p["log_scale"].exp().numpy().astype(np.float32),
                aspect=self.aspect.numpy().astype(np.float32),
                theta=p["theta"].numpy().astype(np.float32),
                opacity=(self._alpha_max * p["opacity"].sigmoid()).numpy().astype(np.float32),
                tint=p["tint"].sigmoid().numpy().astype(np.float32),
            )

    def placed(self) -> Sprites:
        """The sprites now, float64, their places and scales without rounding to single precision."""
        shown = self.sprites().double()
        return replace(
            shown,
            x=self.array("x").copy(),
            y=self.array("y").copy(),
            scale=np.exp(self.array("log_scale")),
            aspect=self.aspect.numpy().copy(),
            theta=self.array("theta").copy(),
        )

    def place(self, sprites: Sprites) -> None:
        """Give all sprites other places, scales and angles; those of one that stays do not change in the last bit."""
        log_scale = self.array("log_scale")
        scaled = sprites.scale != np.exp(log_scale)
        log_scale[scaled] = np.log(sprites.scale[scaled])
        for name, values in (("x", sprites.x), ("y", sprites.y), ("theta", sprites.theta)):
            self.array(name)[...] = values
        self.changed()

    def affine(self) -> Tensor:
        """[N, 6] maps from canvas pixels to template coordinates, differentiable in the tensors."""
        p = self.tensors
        return affine_maps(p["x"], p["y"], p["log_scale"].exp(), self.aspect, p["theta"], self.shape)

    def move_to_top(self, which: Int64Array, sprites: Sprites) -> None:
        """Remove the sprites `which` [M], and put M others on top of the stack; their moments are reset."""
        self._edit()
        kept = np.setdiff1d(np.arange(len(self)), which, assume_unique=True)
        order = torch.from_numpy(np.concatenate([kept, which]))
        fresh = self._of_sprites(sprites)
        new = slice(len(kept), None)
        with torch.no_grad():
            for name, parameter in self.tensors.items():
                parameter.copy_(parameter[order])
                if name == "log_scale" and name in self.locked:
                    continue  # a locked size is what initialization gave, wherever the sprite goes
                parameter[new] = torch.from_numpy(fresh[name])
        self._reorder(order)
        self._reset(torch.arange(len(kept), len(order)))
        self._set_template(
            torch.cat([self.template[order[: len(kept)]], torch.from_numpy(sprites.template)]),
            torch.cat([self.aspect[order[: len(kept)]], torch.from_numpy(sprites.aspect)]),
        )

    def substitute(self, which: Int64Array, sprites: Sprites, position: Int64Array) -> None:
        """Put M others in the places of the sprites `which` [M], each once, and move some of them in the stack.

        Args:
            position: [M] of `smalti.engine.raster.StackPosition`. Several at the top, or at the bottom, are in the
                order of `which`.
        """
        self._edit()
        places = torch.from_numpy(which)
        with torch.no_grad():
            for name, values in self._of_sprites(sprites).items():
                if name not in self.locked:
                    self.tensors[name][places] = torch.from_numpy(values)
        template, aspect = self.template.clone(), self.aspect.clone()
        template[places] = torch.from_numpy(sprites.template)
        aspect[places] = torch.from_numpy(sprites.aspect.astype(np.float64))
        self._reset(places)
        to_bottom, to_top = which[position == StackPosition.BOTTOM], which[position == StackPosition.TOP]
        staying = np.setdiff1d(np.arange(len(template)), np.concatenate([to_bottom, to_top]))
        order = torch.from_numpy(np.concatenate([to_bottom, staying, to_top]))
        with torch.no_grad():
            for parameter in self.tensors.values():
                parameter.copy_(parameter[order])
        self._reorder(order)
        self._set_template(template[order], aspect[order])

    def set(self, which: Int64Array, sprites: Sprites) -> None:
        """Give the sprites `which` [M] the parameters of others, also locked ones; templates and moments stay."""
        self._edit()
        with torch.no_grad():
            for name, values in self._of_sprites(sprites).items():
                self.tensors[name][torch.from_numpy(which)] = torch.from_numpy(values)

    def array(self, name: str) -> Float64Array:
        """One parameter of all sprites as an array that shares its memory; call `changed` after writing to it."""
        self.fetch()
        values: Float64Array = self.tensors[name].detach().numpy()
        return values

    def changed(self) -> None:
        """Say that arrays were written to, so that the next fused step takes them."""
        self._fused = None

    def clamp(
        self, size_range: tuple[float, float], size: tuple[int, int], min_opacity: float, frozen: Set[str]
    ) -> None:
        """Project the parameters to where they have a gradient.

        Args:
            size_range: smallest and largest longer side of a sprite, canvas pixels.
            size: height and width of the canvas.
            min_opacity: least logit of an opacity.
            frozen: names that stay as they are.
        """
        p = self.tensors
        low, high = (math.log(0.5 * bound) for bound in size_range)
        with torch.no_grad():
            if "log_scale" not in self.locked | frozen:
                p["log_scale"].clamp_(low, high)
            reach = torch.stack(half_sizes(p["log_scale"].exp(), self.aspect, self.shape)).amax(dim=0)
            # At least a good part of every sprite stays on the canvas: outside, nothing would pull it back.
            for name, length in (("x", size[1]), ("y", size[0])):
                if name not in frozen:
                    p[name].copy_(torch.minimum(torch.maximum(p[name], -0.5 * reach), length + 0.5 * reach))
            for name in ("opacity", "tint"):
                if name not in frozen:
                    p[name].clamp_(-self._max_logit, self._max_logit)
            if "opacity" not in frozen and min_opacity > -self._max_logit:
                p["opacity"].clamp_(min=min_opacity)

    def bind(self, fused: FusedStep) -> None:
        """Let a fused step take these parameters, where it does not have them already."""
        if self._fused is not fused:
            fused.bind(
                {name: parameter.detach().numpy() for name, parameter in self.tensors.items()},
                {name: mean.numpy() for name, mean in self.adam.mean.items()},
                {name: square.numpy() for name, square in self.adam.square.items()},
                self.template.numpy(),
                self.extent.numpy(),
            )
            self._fused = fused

    def fetch(self) -> None:
        """Copy what fused steps have changed on their device back into the tensors and moments."""
        if self._fused is not None:
            self._fused.fetch()

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that `restore` needs."""
        self.fetch()
        state: dict[str, NDArray[Any]] = {
            "template": self.template.numpy().copy(),
            "aspect": self.aspect.numpy().copy(),
        }
        for name, parameter in self.tensors.items():
            state[f"parameter.{name}"] = parameter.detach().numpy().copy()
        if self.memory is not None:
            state["memory"] = self.memory.numpy().copy()
        return state | {f"adam.{name}": value for name, value in self.adam.state().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what `state` returned. Raises KeyError or ValueError where it does not fit."""
        self._fused = None
        for name, parameter in self.tensors.items():
            saved = torch.from_numpy(state[f"parameter.{name}"])
            if saved.shape != parameter.shape:
                raise ValueError(f"{name} has shape {tuple(saved.shape)}, not {tuple(parameter.shape)}")
            with torch.no_grad():
                parameter.copy_(saved)
        self.memory = torch.from_numpy(state["memory"].copy()) if "memory" in state else None
        self.adam.restore({n.removeprefix("adam."): a for n, a in state.items() if n.startswith("adam.")})
        aspect = torch.from_numpy(state["aspect"].astype(np.float64))
        if aspect.shape != self.aspect.shape:
            raise ValueError(f"aspect has shape {tuple(aspect.shape)}, not {tuple(self.aspect.shape)}")
        self._set_template(torch.from_numpy(state["template"].astype(np.int32)), aspect)

    def _reorder(self, order: Tensor) -> None:
        """Let moments and memory follow their sprites: entry i is what entry order[i] was."""
        self.adam.reorder(order)
        if self.memory is not None:
            self.memory = self.memory[order]

    def _reset(self, which: Tensor) -> None:
        """Reset moments and memory of the sprites `which`."""
        self.adam.reset(which)
        if self.memory is not None:
            self.memory[which] = 0

    def _edit(self) -> None:
        """Bring everything here before the stack is edited."""
        self.fetch()
        self._fused = None

    def _of_sprites(self, sprites: Sprites) -> dict[str, Float64Array]:
        """The parameters of sprites."""
        sprites = sprites.double()
        tint = _logit(np.clip(sprites.tint, 1e-3, 1 - 1e-3))
        return {
            "x": sprites.x,
            "y": sprites.y,
            "log_scale": np.log(sprites.scale),
            "theta": sprites.theta,
            "opacity": _logit(np.clip(sprites.opacity / self._alpha_max, 1e-4, 1 - 1e-4)),
            # Free ones come within the bounds by the next step.
            "tint": np.clip(tint, -self._max_logit, self._max_logit) if "tint" in self.locked else tint,
        }

    def _set_template(self, template: Tensor, aspect: Tensor) -> None:
        self.template, self.aspect = template, aspect
        self.shape = self._shapes[template.long()]
        self.extent = torch.stack(half_sizes(torch.ones_like(aspect), aspect, self.shape), dim=1)


def _logit(values: Float64Array) -> Float64Array:
    return np.log(values / (1 - values))
