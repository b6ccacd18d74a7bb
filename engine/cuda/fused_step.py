# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole steps of the optimizer on the GPU, as one CUDA graph that is replayed."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..arrays import AnyArray, Float32Array, Float64Array
from ..raster.atlas import Atlas
from ..raster.loss import StepLoss
from ..raster.scene import STOP, loss_scale
from ..raster.step import PARAMETERS, SpriteArrays, Step
from . import binning
from .binning import MAX_PAIRS, STEP_SUMS, THREADS, TOO_MANY, WARP, Argument, Bins, Shown, blocks
from .device import PinnedSlots
from .memory import DeviceArray, copied, memory_errors, to_device, zeros
from .step_terms import StepTerms, terms_of

CONTROL = struct.Struct("<6f4f6f2f2fIii")
"""Layout of `Control` (update.cuh): learning rates, Adam, bounds, pixel, alpha_max, lod_bias, noise_key,
scale_in_pixels, loss_slot."""


class PendingLoss:
    """The loss of one step, which may still be running: `float` waits for it."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self._wait = wait
        self._value: float | None = None

    def set(self, value: float) -> None:
        """Say what it is."""
        self._value = value

    def __float__(self) -> float:
        if self._value is None:
            self._wait()
        if self._value is None:
            raise RuntimeError("the step was never made, so it has no loss")
        return self._value


class _Pending:
    """A step that was submitted and is not known to be made."""

    def __init__(self, control: tuple[float, ...], loss: PendingLoss) -> None:
        self.control, self.loss = control, loss


class FusedStep:
    """See `smalti.engine.raster.FusedStep`.

    Sprites and Adam's moments are in the GPU's memory. What differs from step to step is written to a small block of
    it; the launches are always the same, so they are captured in a CUDA graph once and replayed. No step waits for
    the host.

    Should a step find more pairs than there is room for, it and those after it change nothing, until the host, which
    looks every `PATIENCE` steps or `SECONDS`, makes room and replays them: the result does not depend on when it
    looked. Each step writes its loss to a slot of its own, and the host collects them when it looks.

    Terms in Python are called in each step, between two graphs: one that draws what they look at, and one that goes on
    from their gradient.
    """

    PATIENCE = 64
    SECONDS = 0.1
    """How far the host may run ahead: a job that is cancelled must not wait longer."""
    SPARE = 1.5
    """Room for pairs, over what the sprites need now."""

    def __init__(self, atlas: Atlas) -> None:
        self._launcher = binning.current_launcher()
        self._atlas = binning.device_atlas(atlas, self._launcher.device)
        self._pictures: tuple[Float32Array | None, ...] = ()
        self._replay: Callable[[], None] | None = None
        self._prepared_for: tuple[Any, ...] = ()
        self._pending: list[_Pending] = []
        self._ahead = 1  # steps that take about `SECONDS`, once one has been timed
        self._since = 0.0
        self._arrays: list[DeviceArray] = []
        self._penalty: list[DeviceArray] = []
        self._penalty_on_device: Float64Array | None = None
        self._sprites = 0
        self._terms: StepTerms | None = None
        self._calls_python = False
        self._draw: Callable[[], None] | None = None

    def bind(self, sprites: SpriteArrays) -> None:
        """See `smalti.engine.raster.FusedStep`."""
        self._settle()
        self._bound = sprites
        self._penalty_on_device = None
        count, parameters = len(sprites), sprites.parameters

        def table(by_name: Mapping[str, Float64Array]) -> Float64Array:
            columns = [by_name.get(n, np.zeros_like(parameters[n])).reshape(count, -1) for n in PARAMETERS]
            return np.concatenate(columns, axis=1)

        arrays: list[tuple[AnyArray, Any]] = [(parameters[name], np.float32) for name in PARAMETERS]
        arrays += [(table(sprites.means), np.float32), (table(sprites.squares), np.float32)]
        gates = np.ones(count) if sprites.gates is None else sprites.gates
        arrays += [(sprites.template, np.int32), (sprites.extent, np.float32), (gates, np.float32)]
        if self._arrays and count == self._sprites:
            # Into the same memory, so that what was captured stays good.
            for to, (array, _) in zip(self._arrays, arrays):
                to.copy_from(array)
            return
        device = self._launcher.device
        self._arrays = [copied(array.astype(dtype), device) for array, dtype in arrays]
        self._values, others = self._arrays[:6], self._arrays[6:]
        self._means, self._squares, self._template, self._extent, self._gates = others
        self._sprites = count
        self._replay = None

    def fetch(self) -> None:
        """See `smalti.engine.raster.FusedStep`. Waits for the GPU."""
        self._settle()
        bound = self._bound
        for name, value in zip(PARAMETERS, self._values):
            np.copyto(bound.parameters[name], value.numpy())
        for by_name, table in ((bound.means, self._means), (bound.squares, self._squares)):
            columns = table.numpy()
            for i, name in enumerate(PARAMETERS):
                if name in by_name:
                    np.copyto(by_name[name], columns[:, 5:] if name == "tint" else columns[:, i])

    def __call__(self, step: Step) -> PendingLoss:
        """See `smalti.engine.raster.FusedStep`."""
        moments = self._bound.means
        control = (
            *(step.learning_rates[name] if name in moments else 0.0 for name in PARAMETERS),
            *step.adam,
            *step.bounds,
            *step.pixel,
            step.alpha_max,
            step.lod_bias,
            step.noise_key or 0,
            int(step.scale_in_pixels),
        )
        pictures = _address(step.goal), _address(step.background)
        modes = step.noise_key is None, step.encoded, step.mix, step.shade, step.penalty is None
        prepared_for = (*pictures, *modes, *terms_of(step.loss))
        if self._replay is None or prepared_for != self._prepared_for:
            self._settle()
            self._prepare(step, control)
            self._prepared_for = prepared_for
        if step.penalty is not None:
            self._take_penalty(step.penalty)
        if step.loss is not None:
            self._take_alpha(step.loss)
            if step.loss.other is not None:
                return self._step_with(step.loss, control)
        if not self._pending:
            self._since = time.monotonic()
        loss = PendingLoss(self._settle)
        self._submit(_Pending(control, loss))
        if len(self._pending) >= min(self.PATIENCE, self._ahead):
            count = len(self._pending)
            self._settle()
            each = (time.monotonic() - self._since) / count
            self._ahead = max(1, min(self.PATIENCE, int(self.SECONDS / max(each, 1e-9))))
        return loss

    def _prepare(self, step: Step, control: tuple[float, ...]) -> None:
        """Memory and launches for steps on this canvas."""
        device = self._launcher.device
        goal, background = step.goal, step.background
        with memory_errors(4 * sum(a.size for a in (goal, background) if a is not None), "the target"):
            self._goal = to_device(goal, device)
            behind = None if background is None else to_device(background, device)
        # While they live, no others have their addresses.
        self._pictures = goal, background, None if step.loss is None else step.loss.weights
        self._bins = Bins(self._launcher, self._sprites, (goal.shape[0], goal.shape[1]))
        self._control = zeros(device, (CONTROL.size,), np.uint8)
        self._controls = PinnedSlots(device, self.PATIENCE, CONTROL.size)
        self._tile_losses = DeviceArray(device, (self._bins.tiles,), np.float32)
        self._losses = zeros(device, (self.PATIENCE,), np.float64)
        self._shown = Shown(step.mix, step.shade)
        self._canvas = binning.canvas_arguments(self._bins, STOP, self._shown, self._atlas, behind)
        self._mode = int(step.encoded), int(step.noise_key is not None)
        shapes = [] if step.penalty is None else [(self._sprites, 6), (self._sprites,)]
        self._penalty = [DeviceArray(device, shape, np.float64) for shape in shapes]
        self._penalty_on_device = None
        size, purpose = self._bins.size, self._bins.describe()
        self._terms = None  # what there was makes room first
        self._terms = None if step.loss is None else StepTerms(self._launcher, size, step.loss, purpose)
        self._calls_python = step.loss is not None and step.loss.other is not None
        self._write(control, 0)
        self._make_room()

    def _take_alpha(self, loss: StepLoss) -> None:
        """Copy the target's alpha to the device, where it is another than that which is there."""
        assert self._terms is not None
        if loss.target_alpha is not None and self._terms.lacks_alpha(loss.target_alpha):
            self._settle()
            self._terms.take_alpha(loss.target_alpha)

    def _take_penalty(self, penalty: tuple[Float64Array, Float64Array]) -> None:
        """Copy the gradient of a penalty to the device, where it is not there already."""
        if self._penalty_on_device is not None and _address(self._penalty_on_device) == _address(penalty[0]):
            return
        self._settle()
        for to, array in zip(self._penalty, penalty):
            to.copy_from(array)
        self._penalty_on_device = penalty[0]  # while it lives, no other has its address

    def _make_room(self) -> None:
        """Room for the pairs of the sprites as they are, and some more; then the launches."""
        # First the old memory goes, for there may not be room for both.
        self._replay = None
        self._sums = DeviceArray(self._launcher.device, (0,), np.float32)
        self._bins.reserve(0)
        needed = self._bins.needed(self._place)
        self._bins.reserve(min(int(needed * self.SPARE) + 1024, MAX_PAIRS))
        self._bins.status.clear()
        self._sums = self._bins.partial_sums(STEP_SUMS)
        record = self._launcher.device.record
        if self._calls_python:
            self._draw = record(self._launch_drawing).replay
            self._replay = record(self._launch_comparison).replay
        else:
            self._draw = None
            self._replay = record(self._launch_all).replay

    def _place(self) -> None:
        """From the parameters to sprites, and count their pairs."""
        self._launcher.launch(
            "place_parameters",
            blocks(self._sprites * WARP),
            (THREADS, 1, 1),
            self._sprites,
            *self._values,
            self._extent,
            self._template,
            self._atlas.first_level,
            self._atlas.levels,
            self._atlas.luma,
            float(self._shown.shade),
            self._control,
            self._bins.sprites,
            *self._bins.counting(),
        )

    def _launch_all(self) -> None:
        self._launch_drawing()
        self._launch_comparison()

    def _launch_drawing(self) -> None:
        """Sprites, lists of pairs, and, for the terms that look at a whole picture, the picture."""
        self._place()
        self._bins.number()
        self._bins.fill()
        if self._terms is not None and self._terms.needs_picture:
            self._launch_tiles("show", *self._terms.planes)

    def _launch_comparison(self) -> None:
        """Everything after."""
        if self._terms is not None and self._terms.needs_picture:
            self._terms.differentiate()
        self._differentiate()
        self._update()

    def _launch_tiles(self, name: str, *arguments: Argument) -> None:
        """One of the passes over the tiles that know the goal."""
        encoded, on_noise = self._mode
        comparison = self._goal, loss_scale(self._bins.size), 0, encoded, on_noise, self._control
        binning.launch_tiles(self._launcher, name, self._shown, self._bins, self._canvas, *comparison, *arguments)

    def _differentiate(self) -> None:
        """Draw, compare, and sum up each pair's gradient and each tile's loss, in one pass over the tiles."""
        results = self._sums, self._tile_losses
        if self._terms is None:
            self._launch_tiles("step", *results)
        else:
            self._launch_tiles("step_terms", *self._terms.arguments(), *results)

    def _update(self) -> None:
        """Adam's step with the sums of the pairs, and the sum of the losses."""
        self._launcher.launch(
            "update_parameters",
            (blocks(self._sprites * WARP)[0] + 1, 1, 1),
            (THREADS, 1, 1),
            self._sprites,
            *self._values,
            self._means,
            self._squares,
            self._extent,
            self._gates,
            self._bins.sprites,
            self._bins.pair_start,
            self._bins.status,
            self._sums,
            self._control,
            *(self._penalty or (None, None)),
            self._tile_losses.size,
            self._tile_losses,
            loss_scale(self._bins.size),
            self._losses,
        )

    def _write(self, control: tuple[float, ...], slot: int) -> None:
        self._controls.upload(slot, CONTROL.pack(*control, slot), self._control.pointer)

    def _submit(self, pending: _Pending) -> None:
        assert self._replay is not None
        self._write(pending.control, len(self._pending))
        self._pending.append(pending)
        self._replay()

    def _step_with(self, loss: StepLoss, control: tuple[float, ...]) -> PendingLoss:
        """A step with terms in Python. Waits for the GPU."""
        assert self._terms is not None
        self._settle()
        self._write(control, 0)
        self._draw_all()
        while self._bins.check().overflow:
            self._make_room()
            self._draw_all()
        value = self._terms.run_other(loss)
        assert self._replay is not None
        self._replay()
        result = PendingLoss(self._settle)
        result.set(float(self._losses[:1].numpy()[0]) if math.isfinite(value) else value)
        return result

    def _draw_all(self) -> None:
        assert self._draw is not None
        self._draw()

    def _settle(self) -> None:
        """Wait for the steps so far, collect their losses, and replay those that found no room."""
        while self._pending:
            status = self._bins.check()
            made = max(0, len(self._pending) - (status.skipped if status.overflow else 0))
            for pending, loss in zip(self._pending[:made], self._losses.numpy().tolist()):
                pending.loss.set(loss)
            again = self._pending = self._pending[made:]
            if again:
                # Should one of these raise, the steps remain pending: what was not made is never taken for made.
                if status.pairs > MAX_PAIRS:
                    raise ValueError(TOO_MANY)
                self._write(again[0].control, 0)
                self._make_room()
            self._pending = []
            for pending in again:
                self._submit(pending)


def _address(array: AnyArray | None) -> int | None:
    return None if array is None else int(array.__array_interface__["data"][0])
