# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of N sprites as the optimizer holds them, with Adam's moments: steps, edits of the stack, state."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

import numpy as np

from ..arrays import AnyArray, Float64Array, Int32Array, Int64Array
from ..raster import FusedStep, SpriteArrays, StackPosition
from ..raster.geometry import affine_maps, half_sizes
from ..sprites import Sprites
from .moments import Moments

NAMES = ("x", "y", "log_scale", "theta", "opacity", "tint")
"""What is optimized: [N] each, tint [N, 3], float64. Opacity and tint are logits."""


class Parameters:
    """Store of the parameters.

    Args:
        sprites: the first ones.
        shapes: [T, 2] width and height of each template.
        alpha_range: the least opacity, and that of a sprite whose logit is infinite.
        max_logit: bound on logits.
        locked: names that no step changes.
        betas: Adam's decay rates.

    Attributes:
        values: by name; fused steps change them in place, on their device at first (see `fetch`).
        moments: Adam's, of those that are not locked.
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
        alpha_range: tuple[float, float],
        max_logit: float,
        locked: Set[str],
        betas: tuple[float, float],
    ) -> None:
        self._shapes = shapes
        self._alpha_min, self._alpha_max = alpha_range
        self._max_logit = max_logit
        self._fused: FusedStep | None = None
        self.memory: Float64Array | None = None
        self._gates: Float64Array | None = None
        self.locked = frozenset(locked)
        self._set_template(sprites.template.astype(np.int32), sprites.aspect.astype(np.float64))
        start = self._of_sprites(sprites)
        self.values = {name: np.array(start[name], np.float64) for name in NAMES}
        self.moments = Moments({name: v for name, v in self.values.items() if name not in locked}, betas)

    def __len__(self) -> int:
        return len(self.template)

    def sprites(self) -> Sprites:
        """The sprites now, float32."""
        self.fetch()
        v = self.values
        return Sprites(
            template=self.template.copy(),
            x=v["x"].astype(np.float32),
            y=v["y"].astype(np.float32),
            scale=np.exp(v["log_scale"]).astype(np.float32),
            aspect=self.aspect.astype(np.float32),
            theta=v["theta"].astype(np.float32),
            opacity=self.opacity.astype(np.float32),
            tint=self.tint.astype(np.float32),
        )

    @property
    def opacity(self) -> Float64Array:
        """[N] opacities within their range."""
        opacity = self._alpha_max * _sigmoid(self.array("opacity"))
        return np.maximum(opacity, self._alpha_min) if self._alpha_min else opacity

    @property
    def tint(self) -> Float64Array:
        """[N, 3] tints, 0 to 1."""
        return _sigmoid(self.array("tint"))

    def placed(self) -> Sprites:
        """The sprites now, float64, their places and scales without rounding to single precision."""
        shown = self.sprites().double()
        return replace(
            shown,
            x=self.array("x").copy(),
            y=self.array("y").copy(),
            scale=np.exp(self.array("log_scale")),
            aspect=self.aspect.copy(),
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

    def affine(self) -> Float64Array:
        """[N, 6] maps from canvas pixels to template coordinates."""
        self.fetch()
        v = self.values
        return affine_maps(v["x"], v["y"], np.exp(v["log_scale"]), self.aspect, v["theta"], self.shape)

    def move_to_top(self, which: Int64Array, sprites: Sprites) -> None:
        """Remove the sprites `which` [M], and put M others on top of the stack; their moments are reset."""
        self._edit()
        kept = np.setdiff1d(np.arange(len(self)), which, assume_unique=True)
        order = np.concatenate([kept, which])
        fresh = self._of_sprites(sprites)
        for name, values in self.values.items():
            values[...] = values[order]
            if name == "log_scale" and name in self.locked:
                continue  # a locked size is what initialization gave, wherever the sprite goes
            values[len(kept) :] = fresh[name]
        self._reorder(order)
        self._reset(np.arange(len(kept), len(order)))
        self._set_template(
            np.concatenate([self.template[kept], sprites.template.astype(np.int32)]),
            np.concatenate([self.aspect[kept], sprites.aspect.astype(np.float64)]),
        )

    def substitute(self, which: Int64Array, sprites: Sprites, position: Int64Array) -> None:
        """Put M others in the places of the sprites `which` [M], each once, and move some of them in the stack.

        Args:
            position: [M] of `smalti.engine.raster.StackPosition`. Several at the top, or at the bottom, are in the
                order of `which`.
        """
        self._edit()
        for name, values in self._of_sprites(sprites).items():
            if name not in self.locked:
                self.values[name][which] = values
        template, aspect = self.template.copy(), self.aspect.copy()
        template[which], aspect[which] = sprites.template, sprites.aspect
        self._reset(which)
        to_bottom, to_top = which[position == StackPosition.BOTTOM], which[position == StackPosition.TOP]
        staying = np.setdiff1d(np.arange(len(template)), np.concatenate([to_bottom, to_top]))
        order = np.concatenate([to_bottom, staying, to_top])
        for values in self.values.values():
            values[...] = values[order]
        self._reorder(order)
        self._set_template(template[order], aspect[order])

    def keep(self, which: Int64Array) -> None:
        """Drop all sprites but `which` [M], in the order of the stack; they do not change in the last bit."""
        self._edit()
        self.values = {name: values[which] for name, values in self.values.items()}
        self._reorder(which)
        self._set_template(self.template[which], self.aspect[which])

    def set(self, which: Int64Array, sprites: Sprites) -> None:
        """Give the sprites `which` [M] the parameters of others, also locked ones; templates and moments stay."""
        self._edit()
        for name, values in self._of_sprites(sprites).items():
            self.values[name][which] = values

    def array(self, name: str) -> Float64Array:
        """One parameter of all sprites as an array that shares its memory; call `changed` after writing to it."""
        self.fetch()
        return self.values[name]

    def gate(self, gates: Float64Array | None) -> None:
        """Let steps move each sprite this part of the way, [N] of 0 to 1; None for all of it."""
        self._edit()
        self._gates = gates

    def changed(self) -> None:
        """Say that arrays were written to, so that the next fused step takes them."""
        self._fused = None

    def bind(self, fused: FusedStep) -> None:
        """Let a fused step take these parameters, where it does not have them already."""
        if self._fused is not fused:
            moments = self.moments
            fused.bind(SpriteArrays(self.values, moments.mean, moments.square, self.template, self.extent, self._gates))
            self._fused = fused

    def fetch(self) -> None:
        """Copy what fused steps have changed on their device back into the values and moments."""
        if self._fused is not None:
            self._fused.fetch()

    def state(self) -> dict[str, AnyArray]:
        """Everything that `restore` needs."""
        self.fetch()
        state: dict[str, AnyArray] = {"template": self.template.copy(), "aspect": self.aspect.copy()}
        for name, values in self.values.items():
            state[f"parameter.{name}"] = values.copy()
        if self.memory is not None:
            state["memory"] = self.memory.copy()
        return state | {f"adam.{name}": value for name, value in self.moments.state().items()}

    def restore(self, state: Mapping[str, AnyArray]) -> None:
        """Go back to what `state` returned; some sprites may have been dropped since.

        Raises:
            KeyError, ValueError: it does not fit.
        """
        self._fused = None
        kept = len(state["template"])
        if kept < len(self):
            self.keep(np.arange(kept))
        for name, values in self.values.items():
            saved = state[f"parameter.{name}"]
            if saved.shape != values.shape:
                raise ValueError(f"{name} has shape {saved.shape}, not {values.shape}")
            values[...] = saved
        self.memory = state["memory"].copy() if "memory" in state else None
        self.moments.restore({n.removeprefix("adam."): a for n, a in state.items() if n.startswith("adam.")})
        aspect = state["aspect"].astype(np.float64)
        if aspect.shape != self.aspect.shape:
            raise ValueError(f"aspect has shape {aspect.shape}, not {self.aspect.shape}")
        self._set_template(state["template"].astype(np.int32), aspect)

    def _reorder(self, order: Int64Array) -> None:
        """Let moments and memory follow their sprites: entry i is what entry order[i] was."""
        self.moments.reorder(order)
        if self.memory is not None:
            self.memory = self.memory[order]

    def _reset(self, which: Int64Array) -> None:
        """Reset moments and memory of the sprites `which`."""
        self.moments.reset(which)
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
            "opacity": _logit(np.clip(np.maximum(sprites.opacity, self._alpha_min) / self._alpha_max, 1e-4, 1 - 1e-4)),
            # Free ones come within the bounds by the next step.
            "tint": np.clip(tint, -self._max_logit, self._max_logit) if "tint" in self.locked else tint,
        }

    def _set_template(self, template: Int32Array, aspect: Float64Array) -> None:
        self.template, self.aspect = template, aspect
        self.shape = self._shapes[template]
        self.extent = np.stack(half_sizes(np.ones_like(aspect), aspect, self.shape), axis=1)


def _logit(values: Float64Array) -> Float64Array:
    return np.log(values / (1 - values))


def _sigmoid(logits: Float64Array) -> Float64Array:
    return 1 / (1 + np.exp(-logits))
