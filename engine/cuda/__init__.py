# SPDX-License-Identifier: GPL-3.0-or-later
"""The CUDA back end: kernels that are compiled on the user's machine, and what launches them.

binning.cuh finds the tiles that each sprite touches, tile.cuh draws a tile and differentiates it, update.cuh makes
Adam's step, smalti.cu names the kernels; the mathematics of a pixel and of a sprite is that of engine/kernels, as on
the CPU.
Results are the same bits each time on one card: no number is added up in an order that could change.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from ..arrays import AnyArray, Float32Array, Float64Array
from ..raster.atlas import Atlas
from ..raster.candidates import COEFFICIENTS, Candidates, CandidateScores, merged_stack
from ..raster.scene import STOP, Gradients, Scene
from ..raster.step import PARAMETERS, Step
from .driver import kernels, memory_errors

TILE = 16
THREADS = 256
WARP = 32
RECORD_WORDS = 28
"""Size of a `Record` (record.cuh) in 32-bit words."""
PAIR_NUMBERS = 11
"""`kPairNumbers` in tile.cuh."""
MOST_PAIRS = (2**31 - 1) // PAIR_NUMBERS
"""Places of a pair's numbers are 32-bit."""
CONTROL = struct.Struct("<6f4f5f2f2fI")
"""Layout of `Control` (update.cuh): rates, Adam, bounds, pixel, alpha_max, lod_bias, noise_key."""

TOO_MANY = f"too many large sprites for this canvas: over {MOST_PAIRS:,} pairs of sprite and tile"

Argument = Tensor | int | float | None


class Launcher(Protocol):
    """What runs kernels: a GPU's driver, or in tests the host's processor."""

    device: torch.device

    def launch(
        self, name: str, grid: tuple[int, int, int], block: tuple[int, int, int], *arguments: Argument, shared: int = 0
    ) -> None:
        """Run a kernel in the order of torch's current stream; see `smalti.engine.cuda.driver.Kernels`."""
        ...


def _launcher() -> Launcher:
    """The GPU's."""
    return kernels()


class _Resident:
    """An atlas in the memory of a device."""

    def __init__(self, atlas: Atlas, device: torch.device) -> None:
        def there(array: Any) -> Tensor:
            return torch.from_numpy(array.copy()).to(device)

        self.alpha_quads = there(atlas.alpha_quads.view("int64"))
        self.words = there(atlas.words.view("int64"))
        self.first_level = there(atlas.first_level)
        self.levels = there(atlas.levels)


_atlases: WeakKeyDictionary[Atlas, dict[torch.device, _Resident]] = WeakKeyDictionary()


def _resident(atlas: Atlas, device: torch.device) -> _Resident:
    found = _atlases.setdefault(atlas, {})
    if device not in found:
        found[device] = _Resident(atlas, device)
    return found[device]


def _what(bins: _Bins) -> str:
    """What memory is for, in words."""
    return f"a canvas of {bins.size[1]} x {bins.size[0]} pixels with {bins.sprites:,} sprites"


def _blocks(items: int, threads: int = THREADS) -> tuple[int, int, int]:
    return max(1, -(-items // threads)), 1, 1


class _Bins:
    """Memory for sprites, tiles and their pairs, and the launches that fill it."""

    def __init__(self, launcher: Launcher, sprites: int, size: tuple[int, int]) -> None:
        self._launcher = launcher
        self.sprites = sprites
        self.size = size
        self.tiles_x, self.tiles_y = -(-size[1] // TILE), -(-size[0] // TILE)
        self.records = self._ints(sprites * RECORD_WORDS)
        self.sprite_pairs, self.pair_start = self._ints(sprites), self._ints(sprites + 1)
        self.tile_pairs, self.tile_start, self.next = (self._ints(self.tiles + extra) for extra in (0, 1, 0))
        self.status = torch.zeros(3, dtype=torch.int32, device=launcher.device)
        self.capacity = 0
        self.list = self.ordered = self.pair_sprite = self._ints(0)

    @property
    def tiles(self) -> int:
        return self.tiles_x * self.tiles_y

    def _ints(self, count: int) -> Tensor:
        return torch.empty(count, dtype=torch.int32, device=self._launcher.device)

    def reserve(self, pairs: int) -> None:
        """Make room for so many pairs. Raises SmaltiError, code ``"out_of_memory"``."""
        self.capacity = pairs
        with memory_errors(12 * pairs, _what(self)):
            self.list, self.ordered, self.pair_sprite = (self._ints(pairs) for _ in range(3))

    def count(self) -> None:
        """Count the pairs of sprites that have been placed; what there is room for is `capacity`."""
        launch, one = self._launcher.launch, (THREADS, 1, 1)
        height, width = self.size
        self.tile_pairs.zero_()
        launch(
            "count_pairs",
            _blocks(self.sprites * WARP),
            one,
            self.sprites,
            self.records,
            width,
            height,
            self.tiles_x,
            self.sprite_pairs,
            self.tile_pairs,
        )
        launch(
            "scan_pairs",
            (2, 1, 1),
            (1024, 1, 1),
            self.sprites,
            self.sprite_pairs,
            self.pair_start,
            self.tiles,
            self.tile_pairs,
            self.tile_start,
            self.next,
            self.capacity,
            self.status,
        )

    def fill(self) -> None:
        """List the pairs tile by tile, in stacking order."""
        launch, one = self._launcher.launch, (THREADS, 1, 1)
        height, width = self.size
        launch(
            "list_pairs",
            _blocks(self.sprites * WARP),
            one,
            self.sprites,
            self.records,
            width,
            height,
            self.tiles_x,
            self.pair_start,
            self.next,
            self.status,
            self.list,
            self.pair_sprite,
        )
        launch("order_pairs", (self.tiles, 1, 1), one, self.tile_start, self.status, self.list, self.ordered)

    def make_room(self) -> None:
        """Count the pairs, wait for their number, and reserve it."""
        self.reserve(self.needed())

    def needed(self) -> int:
        """The number of pairs of sprites that have been placed. Waits for the GPU."""
        self.capacity = MOST_PAIRS
        self.count()
        pairs = int(self.status[0])
        if pairs > MOST_PAIRS:
            raise ValueError(TOO_MANY)
        return pairs

    def lists(self) -> tuple[Tensor, ...]:
        """The arguments of `SMALTI_LISTS` in smalti.cu."""
        return self.records, self.pair_sprite, self.tile_start, self.ordered, self.status

    def numbers(self, each: int) -> Tensor:
        """Memory for `each` numbers of every pair. Raises SmaltiError, code ``"out_of_memory"``."""
        count = max(1, self.capacity * each)
        with memory_errors(4 * count, _what(self)):
            return torch.empty(count, dtype=torch.float32, device=self._launcher.device)

    def merge(self, pair_numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients by affine [N, 6], opacity [N] and tint [N, 3], float64."""
        shapes = (self.sprites, 6), (self.sprites,), (self.sprites, 3)
        grads = [torch.empty(shape, dtype=torch.float64, device=self._launcher.device) for shape in shapes]
        self._launcher.launch(
            "merge_maps",
            _blocks(self.sprites * WARP),
            (THREADS, 1, 1),
            self.sprites,
            self.records,
            self.pair_start,
            self.status,
            pair_numbers,
            *grads,
        )
        return grads[0], grads[1], grads[2]


class _Drawn:
    """Sprites of one scene, placed and binned, and the arguments of the passes over its tiles."""

    def __init__(self, scene: Scene[Any]) -> None:
        self.launcher = _launcher()
        device = self.launcher.device

        def numbers(array: Any) -> Tensor:
            return _tensor(array).to(device, torch.float64).contiguous()

        count = len(scene.affine)
        resident = _resident(scene.atlas, device)
        self.bins = _Bins(self.launcher, count, scene.size)
        self.launcher.launch(
            "place_maps",
            _blocks(count),
            (THREADS, 1, 1),
            count,
            numbers(scene.affine),
            numbers(scene.opacity),
            numbers(scene.tint),
            _tensor(scene.template).to(device, torch.int32).contiguous(),
            resident.first_level,
            resident.levels,
            float(scene.lod_bias),
            self.bins.records,
        )
        self.bins.make_room()
        self.bins.fill()
        self._mix = scene.mix
        ground = None if scene.background is None else _picture(scene.background, device)
        self._canvas = _canvas(self.bins, scene.stop, scene.mix, resident, ground)

    def run(self, name: str, *arguments: Argument) -> None:
        """One of the passes of smalti.cu over all tiles."""
        _over_tiles(self.launcher, name, self._mix, self.bins, self._canvas, *arguments)


def _canvas(
    bins: _Bins, stop: float, mix: float, resident: _Resident, background: Tensor | None
) -> tuple[Argument, ...]:
    """The arguments of `SMALTI_CANVAS` in smalti.cu."""
    height, width = bins.size
    return width, height, bins.tiles_x, float(stop), float(mix), resident.alpha_quads, resident.words, background


def _over_tiles(
    launcher: Launcher, name: str, mix: float, bins: _Bins, canvas: tuple[Argument, ...], *arguments: Argument
) -> None:
    kind = "mixed" if mix > 0 else "tint"
    launcher.launch(f"{name}_{kind}", (bins.tiles, 1, 1), (THREADS, 1, 1), *bins.lists(), *canvas, *arguments)


def _picture(array: Any, device: torch.device) -> Tensor:
    return _tensor(array).to(device, torch.float32).contiguous()


def forward(scene: Scene[Any]) -> tuple[Any, tuple[_Drawn, bool]]:
    """See `smalti.engine.raster.backends.Operations`."""
    drawn = _Drawn(scene)
    height, width = drawn.bins.size
    with memory_errors(16 * height * width, _what(drawn.bins)):
        image = torch.empty(height, width, 4, dtype=torch.float32, device=drawn.launcher.device)
    drawn.run("draw", image)
    on_host = isinstance(scene.affine, np.ndarray)
    return _returned(image, on_host), (drawn, on_host)


def backward(saved: tuple[_Drawn, bool], grad_image: Any) -> Gradients[Any]:
    """See `smalti.engine.raster.backends.Operations`."""
    drawn, on_host = saved
    numbers = drawn.bins.numbers(PAIR_NUMBERS)
    drawn.run("differentiate", _picture(grad_image, drawn.launcher.device), numbers)
    return Gradients(*(_returned(gradient, on_host) for gradient in drawn.bins.merge(numbers)))


def loss_and_gradients(scene: Scene[Any], goal: Any, absolute: bool, encoded: bool) -> tuple[Any, Gradients[Any]]:
    """See `smalti.engine.raster.backends.Operations`. One pass over the tiles draws, compares and differentiates."""
    drawn = _Drawn(scene)
    device, on_host = drawn.launcher.device, isinstance(scene.affine, np.ndarray)
    numbers = drawn.bins.numbers(PAIR_NUMBERS)
    losses = torch.empty(drawn.bins.tiles, dtype=torch.float32, device=device)
    loss = torch.empty((), dtype=torch.float64, device=device)
    scale = 1 / _values(scene)
    drawn.run("step", _picture(goal, device), scale, int(absolute), int(encoded), 0, None, numbers, losses)
    _sum(drawn.launcher, losses, scale, drawn.bins.status, loss)
    gradients = Gradients(*(_returned(gradient, on_host) for gradient in drawn.bins.merge(numbers)))
    return _returned(loss, on_host), gradients


def _sum(launcher: Launcher, losses: Tensor, scale: float, status: Tensor, loss: Tensor) -> None:
    launcher.launch("sum_losses", (1, 1, 1), (THREADS, 1, 1), losses.numel(), losses, scale, status, loss)


def evaluate_candidates(scene: Scene[Any], goal: Any, candidates: Candidates[Any] | None) -> CandidateScores[Any]:
    """See `smalti.engine.raster.backends.Operations`."""
    on_host = isinstance(scene.affine, np.ndarray)
    if candidates is None:
        removal = _over_sprites(_Drawn(scene), goal, "removal", "merge_costs", 1)[:, 0]
        coefficients = removal.new_empty(0, COEFFICIENTS)
    else:
        stack = merged_stack(_on_host(scene), _candidates_on_host(candidates))
        drawn = _Drawn(stack.scene)
        entries = torch.from_numpy(stack.entries).to(drawn.launcher.device)
        found = _over_sprites(drawn, goal, "appraise", "merge_appraisals", 1 + COEFFICIENTS, entries)
        ordered = found[torch.from_numpy(stack.index).to(found.device)]
        removal, coefficients = ordered[: len(scene), 0], ordered[len(scene) :, 1:]
    values = _values(scene)
    return CandidateScores(_returned(removal / values, on_host), _returned(coefficients / values, on_host))


def _over_sprites(drawn: _Drawn, goal: Any, name: str, merge: str, each: int, *arguments: Argument) -> Tensor:
    """[N, each] float64: the sums over all pixels of a pass that finds so many numbers for each sprite of a pair."""
    bins, launcher = drawn.bins, drawn.launcher
    numbers = bins.numbers(each)
    found = torch.empty(bins.sprites, each, dtype=torch.float64, device=launcher.device)
    drawn.run(name, _picture(goal, launcher.device), *arguments, numbers)
    launcher.launch(
        merge,
        _blocks(bins.sprites * WARP),
        (THREADS, 1, 1),
        bins.sprites,
        bins.pair_start,
        bins.status,
        numbers,
        found,
    )
    return found


def _values(scene: Scene[Any]) -> int:
    """Number of values of the scene's image."""
    return 4 * scene.size[0] * scene.size[1]


def _tensor(array: Any) -> Tensor:
    """An array of the host or of the device as torch's, in the same memory."""
    if isinstance(array, Tensor):
        return array.detach()
    if isinstance(array, np.ndarray):
        return torch.from_numpy(np.require(array, requirements=["C", "W"]))
    return from_dlpack(array)


def _returned(result: Tensor, on_host: bool) -> Any:
    """A result as it goes back: NumPy's where the scene was, otherwise it stays on the device."""
    return result.cpu().numpy() if on_host else result


def _on_host(scene: Scene[Any]) -> Scene[Any]:
    affine, opacity, tint, template = (
        _tensor(array).cpu().numpy() for array in (scene.affine, scene.opacity, scene.tint, scene.template)
    )
    return replace(scene, affine=affine, opacity=opacity, tint=tint, template=template)


def _candidates_on_host(candidates: Candidates[Any]) -> Candidates[Any]:
    names = ("affine", "template", "replaces", "position")
    return Candidates(*(_tensor(getattr(candidates, name)).cpu().numpy() for name in names))


class FusedStep:
    """See `smalti.engine.raster.FusedStep`.

    Sprites and Adam's means live on the GPU. What differs from step to step is written to a small block of its memory;
    the launches are always the same, so they are captured in a CUDA graph once and played again. No step waits for the
    host.

    Should a step find more pairs than there is room for, it and those after it change nothing, until the host, which
    looks every `PATIENCE` steps or `SECONDS`, makes room and plays them again: the result does not depend on when it
    looked.
    """

    PATIENCE = 64
    SECONDS = 0.1
    """How far the host may run ahead: who cancels must not wait for more."""
    SPARE = 1.5
    """Room for pairs, over what the sprites at hand need."""

    def __init__(self, atlas: Atlas) -> None:
        self._launcher = _launcher()
        self._resident = _resident(atlas, self._launcher.device)
        self._pictures: tuple[Float32Array | None, ...] = ()
        self._play: Callable[[], None] | None = None
        self._shape: tuple[Any, ...] = ()
        self._waiting: list[bytes] = []
        self._ahead = 1  # steps that take about `SECONDS`, once one has been timed
        self._since = 0.0
        self._arrays: list[Tensor] = []
        self._sprites = 0

    def bind(
        self,
        parameters: Mapping[str, Float64Array],
        means: Mapping[str, Float64Array],
        squares: Mapping[str, Float64Array],
        template: AnyArray,
        extent: Float64Array,
    ) -> None:
        """See `smalti.engine.raster.FusedStep`."""
        self._settle()
        self._bound = dict(parameters), dict(means), dict(squares)
        sprites = len(template)

        def table(by_name: Mapping[str, Float64Array]) -> Float64Array:
            columns = [by_name.get(n, np.zeros_like(parameters[n])).reshape(sprites, -1) for n in PARAMETERS]
            return np.concatenate(columns, axis=1)

        given = [*((parameters[name], torch.float32) for name in PARAMETERS)]
        given += [(table(means), torch.float32), (table(squares), torch.float32)]
        given += [(template, torch.int32), (extent, torch.float32)]
        if self._arrays and sprites == self._sprites:
            # Into the same memory, so that what was captured stays good.
            for there, (array, _) in zip(self._arrays, given):
                there.copy_(_tensor(array))
            return
        device = self._launcher.device
        self._arrays = [_tensor(a).to(device, kind, copy=True).contiguous() for a, kind in given]
        self._values, (self._means, self._squares, self._template, self._extent) = self._arrays[:6], self._arrays[6:]
        self._sprites = sprites
        self._play = None

    def fetch(self) -> None:
        """See `smalti.engine.raster.FusedStep`. Waits for the GPU."""
        self._settle()
        parameters, means, squares = self._bound
        for name, value in zip(PARAMETERS, self._values):
            np.copyto(parameters[name], value.cpu().numpy())
        for by_name, there in ((means, self._means), (squares, self._squares)):
            columns = there.cpu().numpy()
            for i, name in enumerate(PARAMETERS):
                if name in by_name:
                    np.copyto(by_name[name], columns[:, 5:] if name == "tint" else columns[:, i])

    def __call__(self, step: Step) -> Loss:
        """See `smalti.engine.raster.FusedStep`."""
        locked = [name for name in PARAMETERS if name not in self._bound[1]]
        control = CONTROL.pack(
            *(0.0 if name in locked else step.learning_rates[name] for name in PARAMETERS),
            *step.adam,
            *step.bounds,
            *step.pixel,
            step.alpha_max,
            step.lod_bias,
            step.noise_key or 0,
        )
        shape = (_address(step.goal), _address(step.background), step.noise_key is None, step.encoded, step.mix)
        if self._play is None or shape != self._shape:
            self._settle()
            self._shape = shape
            self._prepare(step, control)
        if not self._waiting:
            self._since = time.monotonic()
        self._submit(control)
        if len(self._waiting) >= min(self.PATIENCE, self._ahead):
            count = len(self._waiting)
            self._settle()
            each = (time.monotonic() - self._since) / count
            self._ahead = max(1, min(self.PATIENCE, int(self.SECONDS / max(each, 1e-9))))
        return Loss(self)

    def _prepare(self, step: Step, control: bytes) -> None:
        """Memory and launches for steps on this canvas."""
        device = self._launcher.device
        goal, background = step.goal, step.background
        with memory_errors(4 * sum(a.size for a in (goal, background) if a is not None), "the target"):
            self._goal = _picture(goal, device)
            behind = None if background is None else _picture(background, device)
        self._pictures = goal, background  # while they live, no others have their addresses
        size = (goal.shape[0], goal.shape[1])
        self._bins = _Bins(self._launcher, self._sprites, size)
        self._control = torch.zeros(CONTROL.size, dtype=torch.uint8, device=device)
        self._losses = torch.empty(self._bins.tiles, dtype=torch.float32, device=device)
        self._loss = torch.zeros((), dtype=torch.float64, device=device)
        self._canvas = _canvas(self._bins, STOP, step.mix, self._resident, behind)
        self._how = step.mix, int(step.encoded), int(step.noise_key is not None)
        self._write(control)
        self._make_room()

    def _make_room(self) -> None:
        """Room for the pairs of the sprites as they are, and some more; then the launches."""
        # First what was there goes, for two of each may be too much.
        self._play = None
        self._numbers = self._loss.new_empty(0)
        self._bins.reserve(0)
        self._place()
        self._bins.reserve(min(int(self._bins.needed() * self.SPARE) + 1024, MOST_PAIRS))
        self._bins.status.zero_()
        self._numbers = self._bins.numbers(PAIR_NUMBERS)
        self._play = self._captured() if self._launcher.device.type == "cuda" else self._launch_all

    def _place(self) -> None:
        self._launcher.launch(
            "place_parameters",
            _blocks(self._sprites),
            (THREADS, 1, 1),
            self._sprites,
            *self._values,
            self._extent,
            self._template,
            self._resident.first_level,
            self._resident.levels,
            self._control,
            self._bins.records,
        )

    def _launch_all(self) -> None:
        bins, launcher = self._bins, self._launcher
        mix, encoded, on_noise = self._how
        # The mean over three of the four channels: over an opaque background alpha differs nowhere.
        scale = 1 / (3 * bins.size[0] * bins.size[1])
        self._place()
        bins.count()
        bins.fill()
        _over_tiles(
            launcher,
            "step",
            mix,
            bins,
            self._canvas,
            self._goal,
            scale,
            0,
            encoded,
            on_noise,
            self._control,
            self._numbers,
            self._losses,
        )
        _sum(launcher, self._losses, scale, bins.status, self._loss)
        launcher.launch(
            "update_parameters",
            _blocks(self._sprites * WARP),
            (THREADS, 1, 1),
            self._sprites,
            *self._values,
            self._means,
            self._squares,
            self._extent,
            bins.records,
            bins.pair_start,
            bins.status,
            self._numbers,
            self._control,
        )

    def _captured(self) -> Callable[[], None]:
        # Not by torch.cuda.graph, which hands all memory that torch has kept back to the driver each time.
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream(self._launcher.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self._launcher.device))
        with torch.cuda.stream(stream):
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                self._launch_all()
            finally:
                graph.capture_end()
        torch.cuda.current_stream(self._launcher.device).wait_stream(stream)
        return graph.replay

    def _write(self, control: bytes) -> None:
        self._control.copy_(torch.frombuffer(bytearray(control), dtype=torch.uint8), non_blocking=True)

    def _submit(self, control: bytes) -> None:
        assert self._play is not None
        self._waiting.append(control)
        self._write(control)
        self._play()

    def _settle(self) -> None:
        """Wait for the steps so far, and play again those that found no room."""
        while self._waiting:
            pairs, overflow, skipped = self._bins.status.tolist()
            again = self._waiting[len(self._waiting) - skipped :] if overflow else []
            if again:
                # Should one of these raise, the steps go on waiting: what was not made is never taken for made.
                if pairs > MOST_PAIRS:
                    raise ValueError(TOO_MANY)
                self._write(again[0])
                self._make_room()
            self._waiting = []
            for control in again:
                self._submit(control)

    def loss(self) -> float:
        """That of the last step."""
        self._settle()
        return float(self._loss)


class Loss:
    """The loss of a step that may still be running: `float` waits for it.

    Only that of the last step is kept on the GPU; an older one that nobody asked for in time is that of the last one.
    """

    def __init__(self, step: FusedStep) -> None:
        self._step: FusedStep | None = step
        self._value = 0.0

    def __float__(self) -> float:
        if self._step is not None:
            self._value = self._step.loss()
            self._step = None
        return self._value


def _address(array: AnyArray | None) -> int | None:
    return None if array is None else int(array.__array_interface__["data"][0])


__all__ = ["FusedStep", "Launcher", "Loss", "backward", "evaluate_candidates", "forward", "loss_and_gradients"]
