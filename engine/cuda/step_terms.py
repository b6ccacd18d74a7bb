# SPDX-License-Identifier: GPL-3.0-or-later
"""A step's loss on the GPU: what the passes over the tiles are given of it, and the terms of neighborhoods."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..arrays import Float32Array
from ..raster.loss import ALPHA, KERNEL_TERMS, PIXEL_TERMS, StepLoss
from ..raster.scene import loss_scale
from .binning import THREADS, TILE, Argument, Launcher, blocks
from .memory import DeviceArray, copied, memory_errors

# Each of these has a static_assert in engine/kernels/structure.h or picture_terms.cuh that names it.
WINDOW = 11
"""Side of SSIM's window, pixels."""
MAX_SCALES = 5
"""Of MS-SSIM."""
EDGE_SCALES = 2
JOB = struct.Struct("<6i4q")
"""Layout of `PictureJob`: first block, height, width, scale, with luminance, unused; offsets of the pictures, weights,
maps and gradient."""

Size = tuple[int, int]


def scales_of(size: Size) -> int:
    """Number of MS-SSIM's scales on a canvas of this height and width: a window still fits into the coarsest."""
    return next((n for n in range(MAX_SCALES, 1, -1) if min(size) >= WINDOW << (n - 1)), 1)


def halved(plane: Float32Array) -> Float32Array:
    """A plane [h, w] of half the size, rounded up: means of 2 x 2 pixels; of fewer at an edge that is cut."""
    padded = np.pad(plane, [(0, n % 2) for n in plane.shape], "edge")
    quarters = (padded[i::2, j::2] for i in (0, 1) for j in (0, 1))
    return np.asarray(sum(quarters) * np.float32(0.25), np.float32)


@dataclass(frozen=True)
class _Job:
    """A term at one scale; `factor`: of the gradient of its sum, 0 where the GPU finds out."""

    scale: int
    factor: float
    with_luminance: bool = False
    maps: int = 0


class _Scales:
    """The sizes of a picture and its halved ones, and where each begins in an array of them all.

    Attributes:
        sizes: height and width, the full one first.
        starts: pixels of the scales before; one more than there are scales.
        totals: of the weights of each scale, over three planes.
        weights: of all scales one after another; None for all alike.
    """

    def __init__(self, size: Size, count: int, weights: Float32Array | None) -> None:
        self.sizes = [size]
        while len(self.sizes) < count:
            height, width = self.sizes[-1]
            self.sizes.append(((height + 1) // 2, (width + 1) // 2))
        pixels = [height * width for height, width in self.sizes]
        self.starts = [sum(pixels[:s]) for s in range(count + 1)]
        self.totals = [3.0 * n for n in pixels]
        self.weights: Float32Array | None = None
        if weights is not None:
            planes = [np.asarray(weights, np.float32)]
            while len(planes) < count:
                planes.append(halved(planes[-1]))
            self.totals = [3.0 * float(plane.sum(dtype=np.float64)) for plane in planes]
            self.weights = np.concatenate([plane.ravel() for plane in planes])


class StepTerms:
    """A loss other than the plain squared error, on a canvas of one size.

    Args:
        launcher: runs the kernels.
        size: (height, width) of the canvas in pixels.
        loss: factors and weights are taken now, the target's alpha by `take_alpha`.
        what: for whom the memory is, the subject of a sentence.

    Attributes:
        needs_picture: see `smalti.engine.raster.StepLoss`.

    Raises:
        SmaltiError: code ``"out_of_memory"``.
    """

    def __init__(self, launcher: Launcher, size: Size, loss: StepLoss, what: str) -> None:
        self.needs_picture = loss.needs_picture
        self._launcher, self._size, self._loss = launcher, size, loss
        self._alpha: Float32Array | None = None
        self._alpha_on_device: DeviceArray | None = None
        factors = loss.factors
        edges, ms_ssim = (bool(factors.get(name)) for name in ("edges", "ms_ssim"))
        count = max(scales_of(size) if ms_ssim else 1, EDGE_SCALES if edges else 1)
        self._scales = _Scales(size, count, loss.weights)
        with memory_errors(self._bytes(), what):
            self._allocate()

    def _ssim_jobs(self) -> Iterator[_Job]:
        factors, totals = self._loss.factors, self._scales.totals
        if factor := factors.get("ssim", 0.0):
            yield _Job(0, -factor / totals[0], True, 9)
        if factors.get("ms_ssim", 0.0):
            scales = scales_of(self._size)
            yield from (_Job(s, 0.0, s == scales - 1, 9) for s in range(scales))

    def _edge_jobs(self) -> Iterator[_Job]:
        if factor := self._loss.factors.get("edges", 0.0):
            yield from (_Job(s, factor / self._scales.totals[s]) for s in range(EDGE_SCALES))

    def _jobs(self) -> list[_Job]:
        """Those of SSIM, of edges, and the gradient that terms in Python give."""
        other = [] if self._loss.other is None else [_Job(0, 1.0)]
        return [*self._ssim_jobs(), *self._edge_jobs(), *other]

    def _pixels(self, job: _Job) -> int:
        height, width = self._scales.sizes[job.scale]
        return height * width

    def _bytes(self) -> int:
        pixels = self._scales.starts[-1] if self.needs_picture else 0
        jobs = sum((job.maps + 3) * self._pixels(job) for job in self._jobs())
        weights = 0 if self._scales.weights is None else len(self._scales.weights)
        return 4 * (6 * pixels + jobs + weights + 4 * self._size[0] * self._size[1])

    def _allocate(self) -> None:
        """Memory, and the table of the jobs."""
        device, scales, jobs = self._launcher.device, self._scales, self._jobs()
        self._weights = None if scales.weights is None else copied(scales.weights, device)
        if ALPHA in self._loss.factors:
            self._alpha_on_device = DeviceArray(device, self._size, np.float32)
        if not self.needs_picture:
            return
        self._pictures = DeviceArray(device, (6 * scales.starts[-1],), np.float32)
        self._maps = DeviceArray(device, (sum(job.maps * self._pixels(job) for job in jobs),), np.float32)
        self._gradients = DeviceArray(device, (sum(3 * self._pixels(job) for job in jobs),), np.float32)
        self._factors = copied(np.array([job.factor for job in jobs], np.float32), device)
        self._totals = copied(np.array(scales.totals), device)
        # A table for each kernel, whose blocks are counted from 0, and one of all jobs for what gathers them.
        self._ssim, self._edges = (list(found) for found in (self._ssim_jobs(), self._edge_jobs()))
        self._table = self._uploaded(jobs, 0)
        self._edge_table = self._uploaded(self._edges, len(self._ssim))
        self._sums = DeviceArray(device, (self._blocks(self._ssim),), np.float32)
        # One job at the full size is all there is to gather.
        is_gathered = len(jobs) == 1 and jobs[0].scale == 0
        shape = (3, *self._size)
        self._gradient = self._gradients if is_gathered else DeviceArray(device, shape, np.float32)

    def _uploaded(self, jobs: list[_Job], before: int) -> DeviceArray:
        """The table of jobs, before which there are others in the order of them all, and an end."""
        everything = self._jobs()
        rows = bytearray()
        for i, job in enumerate(jobs):
            earlier = everything[: before + i]
            rows += JOB.pack(
                self._blocks(jobs[:i]),
                *self._scales.sizes[job.scale],
                job.scale,
                job.with_luminance,
                0,
                6 * self._scales.starts[job.scale],
                self._scales.starts[job.scale],
                sum(other.maps * self._pixels(other) for other in earlier),
                sum(3 * self._pixels(other) for other in earlier),
            )
        rows += JOB.pack(self._blocks(jobs), *[0] * 9)
        return copied(np.frombuffer(bytes(rows), np.uint8), self._launcher.device)

    def _blocks(self, jobs: list[_Job]) -> int:
        """Of a launch for these jobs."""
        return sum(3 * -(-height // TILE) * -(-width // TILE) for height, width in map(self._size_of, jobs))

    def _size_of(self, job: _Job) -> Size:
        return self._scales.sizes[job.scale]

    def lacks_alpha(self, target_alpha: Float32Array) -> bool:
        """Whether this target's alpha has to be copied to the GPU yet."""
        return self._alpha_on_device is not None and self._alpha is not target_alpha

    def take_alpha(self, target_alpha: Float32Array) -> None:
        """Copy the target's alpha [h, w] to the GPU."""
        assert self._alpha_on_device is not None
        self._alpha_on_device.copy_from(target_alpha)
        self._alpha = target_alpha  # while it lives, no other has its address

    @property
    def planes(self) -> tuple[DeviceArray, DeviceArray]:
        """What the picture and its goal are drawn into, [3 h w] each."""
        size = 3 * self._size[0] * self._size[1]
        return self._pictures[:size], self._pictures[size : 2 * size]

    def arguments(self) -> tuple[Argument, ...]:
        """Of the kernels step_terms, see smalti.cu."""
        unit = loss_scale(self._size)
        mse, l1, huber, oklab = self._loss.of(PIXEL_TERMS)
        alpha = 3 * unit * self._loss.factors.get(ALPHA, 0.0)
        gradient = self._gradient if self.needs_picture else None
        factors = unit * mse, unit * l1, unit * huber, 3 * unit * oklab, alpha
        return *factors, self._weights, self._alpha_on_device, gradient

    def run_other(self, loss: StepLoss) -> float:
        """Let the terms in Python look at the planes, which were drawn, and take their gradient; their value."""
        assert loss.other is not None
        pixels = 3 * self._size[0] * self._size[1]
        shown, expected = self._pictures[: 2 * pixels].numpy().reshape(2, 3, *self._size)
        value, gradient = loss.other(shown, expected)
        of_other = self._gradients[self._gradients.size - pixels :]
        of_other.copy_from(np.ascontiguousarray(gradient, np.float32).ravel())
        return value

    def differentiate(self) -> None:
        """From the planes, which were drawn, to the gradient of the terms of neighborhoods."""
        self._halve()
        if self._ssim:
            self._differentiate_ssim()
        if self._edges:
            of_edges = self._factors[len(self._ssim) : len(self._ssim) + len(self._edges)]
            pictures = self._edge_table, self._pictures, self._weights
            self._launch("differentiate_edges", self._blocks(self._edges), *pictures, of_edges, self._gradients)
        if self._gradient is not self._gradients:
            height, width = self._size
            jobs = len(self._jobs()), self._table, self._gradients
            self._launch("gather_gradients", blocks(3 * height * width)[0], *jobs, height, width, self._gradient)

    def _halve(self) -> None:
        starts, sizes = self._scales.starts, self._scales.sizes
        for s in range(len(sizes) - 1):
            larger, smaller = (self._pictures[6 * starts[i] : 6 * starts[i + 1]] for i in (s, s + 1))
            self._launch("halve_planes", blocks(smaller.size)[0], 6, *sizes[s], larger, smaller)

    def _differentiate_ssim(self) -> None:
        count, table, pictures = self._blocks(self._ssim), self._table, self._pictures
        self._launch("measure_ssim", count, table, pictures, self._weights, self._maps, self._sums)
        if factor := self._loss.factors.get("ms_ssim", 0.0):
            scales = scales_of(self._size)
            first = len(self._ssim) - scales
            jobs, factors = self._table[first * JOB.size :], self._factors[first : first + scales]
            arguments = scales, jobs, self._sums, self._totals, float(factor), factors
            self._launcher.launch("combine_scales", (1, 1, 1), (1024, 1, 1), *arguments)
        self._launch("differentiate_ssim", count, table, pictures, self._maps, self._factors, self._gradients)

    def _launch(self, name: str, grid: int, *arguments: Argument) -> None:
        self._launcher.launch(name, (grid, 1, 1), (THREADS, 1, 1), *arguments)


def terms_of(loss: StepLoss | None) -> tuple[object, ...]:
    """What launches for a loss depend on, to tell them apart; its arrays by their memory."""
    if loss is None:
        return ()
    weights = None if loss.weights is None else loss.weights.__array_interface__["data"][0]
    return *loss.of(KERNEL_TERMS), weights, loss.other is None
