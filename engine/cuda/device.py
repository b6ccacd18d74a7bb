# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU: its context, one stream in whose order everything happens, and what is recorded to be replayed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from ctypes import byref, c_size_t, c_uint64, c_void_p
from functools import cache
from typing import Any

from ..arrays import AnyArray
from . import driver as cuda
from .driver import DeviceMemoryError, Driver

PLAIN_MEMORY = "SMALTI_CUDA_PLAIN_MEMORY"
"""Environment variable; where it is set, each array is an allocation of its own, which compute-sanitizer can watch."""

KEPT_BYTES = 256 * 2**20
"""Freed memory up to this much stays with the process, which allocates it again in no time."""


class Device:
    """The GPU: its primary context, which all libraries of a process share, and a stream of our own.

    Attributes:
        capability: compute capability, such as (9, 0).
        stream: the stream's handle.
        allocated: bytes that arrays of ours take now.
        peak: the most that they took since `reset_peak`.
    """

    def __init__(self, driver: Driver, index: int = 0) -> None:
        """Raises DriverError."""
        self._driver = driver
        handle = driver.number("cuDeviceGet", index)
        major, minor = (driver.number("cuDeviceGetAttribute", which, handle) for which in cuda.CAPABILITY)
        self.capability = major, minor
        self._context = driver.handle("cuDevicePrimaryCtxRetain", handle)
        # Held over each use of the stream: while launches are recorded, nothing else may come between.
        self._lock = threading.RLock()
        self._recording = False
        self._to_free: list[tuple[int, int]] = []
        self.allocated = self.peak = 0
        with self.in_use():
            self.stream = driver.handle("cuStreamCreate", cuda.NON_BLOCKING)
            pools = driver.number("cuDeviceGetAttribute", cuda.MEMORY_POOLS_SUPPORTED, handle)
            self._pool: int | None = None
            if pools and not os.environ.get(PLAIN_MEMORY):
                self._pool = driver.handle("cuDeviceGetDefaultMemPool", handle)
                driver("cuMemPoolSetAttribute", self._pool, cuda.RELEASE_THRESHOLD, byref(c_uint64(KEPT_BYTES)))

    @contextlib.contextmanager
    def in_use(self) -> Iterator[Driver]:
        """The driver, with this device's context current in this thread, and no other thread at it."""
        with self._lock:
            # It is current already in all but a new thread.
            pushed = self._driver.handle("cuCtxGetCurrent") != self._context
            if pushed:
                self._driver("cuCtxPushCurrent_v2", self._context)
            try:
                yield self._driver
            finally:
                if pushed:
                    self._driver.handle("cuCtxPopCurrent_v2")

    def allocate(self, size: int) -> int:
        """The address of this many bytes, 0 for none. Raises DeviceMemoryError."""
        if size == 0:
            return 0
        with self.in_use():
            try:
                address = self._allocate(size)
            except DeviceMemoryError:
                self.synchronize()
                if self._pool is not None:  # what it keeps may lie in pieces
                    self._driver("cuMemPoolTrimTo", self._pool, 0)
                try:
                    address = self._allocate(size)
                except DeviceMemoryError as fault:
                    with contextlib.suppress(RuntimeError):  # the message is good without it too
                        fault.free_bytes = self.free_bytes()
                    raise
            self.allocated += size
            self.peak = max(self.peak, self.allocated)
            return address

    def _allocate(self, size: int) -> int:
        if self._pool is None:
            return self._driver.handle("cuMemAlloc_v2", size)
        return self._driver.handle("cuMemAllocAsync", size, self.stream)

    def free(self, address: int, size: int) -> None:
        """Give memory back once everything before in the stream is done. Never raises."""
        if address == 0:
            return
        with contextlib.suppress(Exception), self.in_use():
            if self._recording:  # Python's collector may come at any time; this is not to be recorded
                self._to_free.append((address, size))
                return
            self.allocated -= size
            if self._pool is None:
                self._driver("cuMemFree_v2", address)
            else:
                self._driver("cuMemFreeAsync", address, self.stream)

    def upload(self, address: int, array: AnyArray) -> None:
        """Copy a contiguous array to the device. The array may be changed as soon as this returns."""
        if array.nbytes:
            with self.in_use() as driver:
                driver("cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, self.stream)

    def download(self, array: AnyArray, address: int) -> None:
        """Copy memory into a contiguous array. Waits for everything before in the stream."""
        if array.nbytes:
            with self.in_use() as driver:
                driver("cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, self.stream)
                driver("cuStreamSynchronize", self.stream)

    def clear(self, address: int, size: int) -> None:
        """Set bytes to 0."""
        if size:
            with self.in_use() as driver:
                driver("cuMemsetD8Async", address, 0, size, self.stream)

    def synchronize(self) -> None:
        """Wait for everything in the stream."""
        with self.in_use() as driver:
            driver("cuStreamSynchronize", self.stream)

    def wait_for(self, interface: dict[str, Any]) -> None:
        """Wait until an array of another library is there, as its interface demands."""
        stream = interface.get("stream", self)
        if stream is None:
            return
        with self.in_use() as driver:
            if stream is self:  # the older form of the interface does not say which stream it is
                driver("cuCtxSynchronize")
            else:
                driver("cuStreamSynchronize", stream)

    def free_bytes(self) -> int:
        """Free memory of the device, other programs counted."""
        free, total = c_size_t(), c_size_t()
        with self.in_use() as driver:
            driver("cuMemGetInfo_v2", byref(free), byref(total))
        return free.value

    def reset_peak(self) -> None:
        """Let `peak` begin at what is allocated now."""
        self.peak = self.allocated

    def record(self, launches: Callable[[], object]) -> Graph:
        """A graph of the launches, which are not made now. They may not allocate or wait. Raises DriverError."""
        with self.in_use() as driver:
            driver("cuStreamBeginCapture_v2", self.stream, cuda.CAPTURE_OF_THIS_THREAD)
            self._recording = True
            try:
                launches()
            except BaseException:
                with contextlib.suppress(RuntimeError):
                    driver("cuGraphDestroy", self._end_recording())
                raise
            graph = self._end_recording()
            try:
                return Graph(self, driver.handle("cuGraphInstantiateWithFlags", graph, 0))
            finally:
                driver("cuGraphDestroy", graph)

    def _end_recording(self) -> int:
        self._recording = False
        try:
            graph = c_void_p()
            self._driver("cuStreamEndCapture", self.stream, byref(graph))
            return graph.value or 0
        finally:
            to_free, self._to_free = self._to_free, []
            for address, size in to_free:
                self.free(address, size)


class Graph:
    """Recorded launches."""

    def __init__(self, device: Device, handle: int) -> None:
        self._device, self._handle = device, handle

    def replay(self) -> None:
        """Make all launches, after everything before in the stream."""
        with self._device.in_use() as driver:
            driver("cuGraphLaunch", self._handle, self._device.stream)

    def __del__(self) -> None:
        with contextlib.suppress(Exception), self._device.in_use() as driver:
            driver("cuGraphExecDestroy", self._handle)


class PinnedSlots:
    """Memory of the host that the GPU reads by itself: uploading from it never waits."""

    def __init__(self, device: Device, slots: int, size: int) -> None:
        """Room for `slots` times `size` bytes."""
        self._device, self._slots, self._size, self._address = device, slots, size, 0
        with device.in_use() as driver:
            self._address = driver.handle("cuMemHostAlloc", slots * size, 0)

    def upload(self, slot: int, data: bytes, address: int) -> None:
        """Copy bytes to an address of the device by way of a slot, whose last upload is over; slots go round."""
        place = self._address + slot % self._slots * self._size
        ctypes.memmove(place, data, len(data))
        with self._device.in_use() as driver:
            driver("cuMemcpyHtoDAsync_v2", address, c_void_p(place), len(data), self._device.stream)

    def __del__(self) -> None:
        with contextlib.suppress(Exception), self._device.in_use() as driver:
            driver("cuMemFreeHost", self._address)


@cache
def device() -> Device:
    """The GPU that is used, the first one. Raises OSError without a driver, DriverError where it does not work."""
    return Device(cuda.driver())
