# SPDX-License-Identifier: GPL-3.0-or-later
"""Sprites and templates in the GPU's memory, the pairs of sprite and tile, and the launches that fill them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from smalti.bridge.errors import SmaltiError

from ..raster.atlas import Atlas
from ..raster.scene import Scene
from .device import Device
from .launcher import kernels
from .memory import DeviceArray, copied, memory_errors, to_device, zeros

# Each of these has a static_assert in the kernels' sources that names it.
TILE = 16
THREADS = 256
WARP = 32
STEP_PIXELS = 2
"""Pixels of a thread in those passes over the tiles that are `OF_STEPS`; in the others, one."""
SPRITE_WORDS = 28
"""Size of a `ProjectedSprite` (projected_sprite.cuh) in 32-bit words."""
STATUS_WORDS = 4
"""Size of a `Status` (binning.cuh) in 32-bit words."""
GRADIENT_SUMS = 11
"""Partial sums of a pair where gradients are computed (tile_sample.cuh)."""

STEP_SUMS = 8
"""The same in a step, where a sprite's map only moves, grows and turns."""

MAX_PAIRS = (2**31 - 1) // GRADIENT_SUMS
"""Indices into the pairs' partial sums are 32-bit."""
TOO_MANY = f"too many large sprites for this canvas: over {MAX_PAIRS:,} pairs of sprite and tile"

OF_STEPS = ("draw", "show", "step", "step_terms")
"""The passes over the tiles that draw, and those that make steps (smalti.cu)."""

MISMATCH = "The GPU has listed other pairs of sprite and tile than it had counted, so it drew nothing."

Shape = tuple[int, int, int]
Argument = DeviceArray | int | float | None


class Status(NamedTuple):
    """What the kernels report, see binning.cuh."""

    pairs: int
    overflow: int
    skipped: int
    mismatch: int


class Launcher(Protocol):
    """What runs kernels."""

    device: Device

    def launch(self, name: str, grid: Shape, block: Shape, *arguments: Argument, shared: int = 0) -> None:
        """Run a kernel in the order of the device's stream; see `smalti.engine.cuda.launcher.Kernels`."""
        ...


def current_launcher() -> Launcher:
    """The GPU's."""
    return kernels()


class DeviceAtlas:
    """An atlas in the memory of a device. Raises SmaltiError, code ``"out_of_memory"``."""

    def __init__(self, atlas: Atlas, device: Device) -> None:
        arrays = atlas.alpha_quads, atlas.words, atlas.first_level, atlas.levels, atlas.luma
        with memory_errors(sum(array.nbytes for array in arrays), f"an atlas of {atlas.count:,} templates"):
            self.alpha_quads, self.words, *placing = (copied(array, device) for array in arrays)
        self.first_level, self.levels, self.luma = placing


_atlases: WeakKeyDictionary[Atlas, dict[Device, DeviceAtlas]] = WeakKeyDictionary()


def device_atlas(atlas: Atlas, device: Device) -> DeviceAtlas:
    """The atlas on a device, copied there once."""
    copies = _atlases.setdefault(atlas, {})
    if device not in copies:
        copies[device] = DeviceAtlas(atlas, device)
    return copies[device]


def blocks(items: int, threads: int = THREADS) -> Shape:
    """A grid of blocks of `threads` threads, one thread for each item."""
    return max(1, -(-items // threads)), 1, 1


class Bins:
    """Memory for sprites, tiles and their pairs, and the launches that fill it.

    Args:
        launcher: runs the kernels.
        sprites: number of sprites.
        size: (height, width) of the canvas in pixels.
    """

    def __init__(self, launcher: Launcher, sprites: int, size: tuple[int, int]) -> None:
        self._launcher = launcher
        self.count = sprites
        self.size = size
        self.tiles_x, self.tiles_y = -(-size[1] // TILE), -(-size[0] // TILE)
        self.sprites = self._ints(sprites * SPRITE_WORDS)
        self.sprite_pairs, self.pair_start = self._ints(sprites), self._ints(sprites + 1)
        self.tile_start, self.next = self._ints(self.tiles + 1), self._ints(self.tiles)
        self.tile_pairs = zeros(launcher.device, (self.tiles,), np.int32)
        self.status = zeros(launcher.device, (STATUS_WORDS,), np.int32)
        self.capacity = 0
        self.list = self.ordered = self.pair_sprite = self._ints(0)

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return self.tiles_x * self.tiles_y

    def describe(self) -> str:
        """The purpose of the memory, in words."""
        return f"a canvas of {self.size[1]} x {self.size[0]} pixels with {self.count:,} sprites"

    def _ints(self, count: int) -> DeviceArray:
        return DeviceArray(self._launcher.device, (count,), np.int32)

    def reserve(self, pairs: int) -> None:
        """Make room for this number of pairs. Raises SmaltiError, code ``"out_of_memory"``."""
        self.capacity = pairs
        with memory_errors(12 * pairs, self.describe()):
            self.list, self.ordered, self.pair_sprite = (self._ints(pairs) for _ in range(3))

    def counting(self) -> tuple[Argument, ...]:
        """The last arguments of the kernels that count pairs, see smalti.cu."""
        height, width = self.size
        return width, height, self.tiles_x, self.sprite_pairs, self.tile_pairs

    def count_pairs(self) -> None:
        """Count the pairs of projected sprites."""
        grid, block = blocks(self.count * WARP), (THREADS, 1, 1)
        self._launcher.launch("count_pairs", grid, block, self.count, self.sprites, *self.counting())

    def number(self) -> None:
        """Number the pairs, which were counted; `capacity` is what there is room for."""
        self._launcher.launch(
            "scan_pairs",
            (2, 1, 1),
            (1024, 1, 1),
            self.count,
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
            blocks(self.count * WARP),
            one,
            self.count,
            self.sprites,
            width,
            height,
            self.tiles_x,
            self.pair_start,
            self.tile_start,
            self.next,
            self.status,
            self.list,
            self.pair_sprite,
        )
        in_order = self.tile_start, self.next, self.status, self.list, self.ordered
        launch("order_pairs", (self.tiles, 1, 1), one, *in_order)

    def needed(self, count: Callable[[], None]) -> int:
        """The number of pairs that `count` counts. Waits for the GPU. Raises ValueError where they are too many."""
        self.capacity = MAX_PAIRS
        count()
        self.number()
        pairs = int(self.status.numpy()[0])
        if pairs > MAX_PAIRS:
            raise ValueError(TOO_MANY)
        return pairs

    def check(self) -> Status:
        """What the kernels have found. Waits for the GPU. Raises SmaltiError, code ``"cuda_fault"``: see `MISMATCH`."""
        status = Status(*self.status.numpy().tolist())
        if status.mismatch:
            raise SmaltiError(
                MISMATCH, "Choose the device cpu, and report this with what smalti doctor says.", "cuda_fault"
            )
        return status

    def lists(self) -> tuple[DeviceArray, ...]:
        """The first arguments of the passes over the tiles, see smalti.cu."""
        return self.sprites, self.pair_sprite, self.tile_start, self.ordered, self.status

    def partial_sums(self, each: int) -> DeviceArray:
        """Memory for `each` partial sums of every pair. Raises SmaltiError, code ``"out_of_memory"``."""
        count = max(1, self.capacity * each)
        with memory_errors(4 * count, self.describe()):
            return DeviceArray(self._launcher.device, (count,), np.float32)


@dataclass(frozen=True)
class Shown:
    """What sprites show of their bitmaps: `mix` and `shade`, see `Scene`."""

    mix: float
    shade: float

    @property
    def kind(self) -> str:
        """That of the passes over the tiles, see smalti.cu."""
        if self.shade > 0 and self.mix < 1:
            return "shaded"
        return "mixed" if self.mix > 0 else "tint"


def canvas_arguments(
    bins: Bins, stop: float, shown: Shown, atlas: DeviceAtlas, background: DeviceArray | None
) -> tuple[Argument, ...]:
    """The further arguments of the passes over the tiles, see smalti.cu."""
    height, width = bins.size
    numbers = float(stop), float(shown.mix), float(shown.shade)
    return width, height, bins.tiles_x, *numbers, atlas.alpha_quads, atlas.words, background


def launch_tiles(
    launcher: Launcher, name: str, shown: Shown, bins: Bins, canvas: tuple[Argument, ...], *arguments: Argument
) -> None:
    """Run one of the passes of smalti.cu over all tiles."""
    threads = THREADS // STEP_PIXELS if name in OF_STEPS else THREADS
    launcher.launch(f"{name}_{shown.kind}", (bins.tiles, 1, 1), (threads, 1, 1), *bins.lists(), *canvas, *arguments)


class PreparedScene:
    """The sprites of one scene, projected and binned, and the arguments of the passes over its tiles."""

    def __init__(self, scene: Scene[Any]) -> None:
        self.launcher = current_launcher()
        device, count = self.launcher.device, len(scene)
        atlas = device_atlas(scene.atlas, device)
        self.bins = Bins(self.launcher, count, scene.size)
        self.launcher.launch(
            "project_maps",
            blocks(count),
            (THREADS, 1, 1),
            count,
            to_device(scene.affine, device, np.float64),
            to_device(scene.opacity, device, np.float64),
            to_device(scene.tint, device, np.float64),
            to_device(scene.template, device, np.int32),
            atlas.first_level,
            atlas.levels,
            atlas.luma,
            float(scene.lod_bias),
            float(scene.shade),
            self.bins.sprites,
        )
        self.bins.reserve(self.bins.needed(self.bins.count_pairs))
        self.bins.fill()
        self.bins.check()
        self._shown = Shown(scene.mix, scene.shade)
        background = None if scene.background is None else to_device(scene.background, device)
        self._canvas = canvas_arguments(self.bins, scene.stop, self._shown, atlas, background)

    def run(self, name: str, *arguments: Argument) -> None:
        """Run one of the passes of smalti.cu over all tiles."""
        launch_tiles(self.launcher, name, self._shown, self.bins, self._canvas, *arguments)

    def reduce(self, name: str, *arguments: Argument) -> None:
        """Run one of the kernels that reduce partial sums of pairs to numbers of sprites, a warp for each sprite."""
        self.launcher.launch(name, blocks(self.bins.count * WARP), (THREADS, 1, 1), self.bins.count, *arguments)
