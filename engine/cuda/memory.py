# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays in the GPU's memory.

Those of other libraries are taken, and ours are given, without a copy by `__cuda_array_interface__`, which torch, CuPy
and Numba know.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from smalti.bridge.errors import SmaltiError

from ..arrays import AnyArray
from .device import Device
from .driver import DeviceMemoryError

MEGABYTE = 2**20

Shape = tuple[int, ...]


class DeviceArray:
    """An array in the GPU's memory, contiguous, the last axis fastest.

    Attributes:
        device: where it is.
        pointer: its address, 0 where it is empty.
        shape, dtype: as NumPy's.
    """

    def __init__(self, device: Device, shape: Shape, dtype: Any, pointer: int | None = None, owner: Any = None) -> None:
        """Memory of its own, or with a pointer that of `owner`, an array of another library or a larger one of ours.

        Raises:
            DeviceMemoryError: there is no room.
        """
        self.device = device
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype)
        self._owner = owner
        self.pointer = 0
        self.pointer = device.allocate(self.nbytes) if owner is None else int(pointer or 0)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(math.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return self.size * int(self.dtype.itemsize)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> DeviceArray:
        """Rows that follow each other, in the same memory."""
        first, last, step = rows.indices(self.shape[0])
        if step != 1:
            raise ValueError("rows of an array on the GPU are taken one after another")
        stride = self.nbytes // max(self.shape[0], 1)
        shape = max(last - first, 0), *self.shape[1:]
        return DeviceArray(self.device, shape, self.dtype, self.pointer + first * stride, self)

    def numpy(self) -> AnyArray:
        """A copy on the host. Waits for the GPU."""
        array = np.empty(self.shape, self.dtype)
        self.device.download(array, self.pointer)
        return array

    def copy_from(self, array: AnyArray) -> None:
        """Take over the numbers of a NumPy array of the same shape, converted to this one's type."""
        if array.shape != self.shape:
            raise ValueError(f"needs an array of shape {self.shape}, not {array.shape}")
        self.device.upload(self.pointer, np.ascontiguousarray(array, self.dtype))

    def clear(self) -> None:
        """Set everything to 0."""
        self.device.clear(self.pointer, self.nbytes)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.pointer, False),
            "strides": None,
            "stream": self.device.stream,
        }

    def __del__(self) -> None:
        if getattr(self, "_owner", None) is None:
            self.device.free(self.pointer, self.nbytes)
        elif not isinstance(self._owner, DeviceArray):
            # Its library does not know that this stream still reads it.
            with contextlib.suppress(Exception):
                self.device.synchronize()


def zeros(device: Device, shape: Shape, dtype: Any) -> DeviceArray:
    """An array of zeros. Raises DeviceMemoryError."""
    array = DeviceArray(device, shape, dtype)
    array.clear()
    return array


def copied(array: AnyArray, device: Device) -> DeviceArray:
    """A copy of a NumPy array in the device's memory. Raises DeviceMemoryError."""
    copy = DeviceArray(device, array.shape, array.dtype)
    copy.copy_from(array)
    return copy


def to_device(array: Any, device: Device, dtype: Any = np.float32) -> DeviceArray:
    """An array in the device's memory: a NumPy array copied, one that is there as it is where type and layout fit.

    Raises:
        DeviceMemoryError: there is no room.
        TypeError: it is neither a NumPy array nor on a GPU.
    """
    needed = np.dtype(dtype)
    if isinstance(array, DeviceArray):
        return array if array.dtype == needed else copied(array.numpy().astype(needed), device)
    if isinstance(array, np.ndarray):
        return copied(np.asarray(array, needed), device)
    interface = getattr(array, "__cuda_array_interface__", None)
    if interface is None:
        raise TypeError(f"neither a NumPy array nor one on a GPU: {type(array).__name__}")
    device.wait_for(interface)
    shape, given = tuple(interface["shape"]), np.dtype(interface["typestr"])
    strides, pointer = interface.get("strides"), interface["data"][0]
    contiguous = _contiguous_strides(shape, given.itemsize)
    if given == needed and (strides is None or tuple(strides) == contiguous or 0 in shape):
        return DeviceArray(device, shape, needed, pointer, owner=array)
    return copied(_downloaded(device, pointer, shape, given, tuple(strides or contiguous)).astype(needed), device)


def to_host(array: Any, device: Device) -> AnyArray:
    """An array as a NumPy array: a copy where it is on the device."""
    if isinstance(array, np.ndarray):
        return array
    if not isinstance(array, DeviceArray):
        array = to_device(array, device, np.dtype(array.__cuda_array_interface__["typestr"]))
    found: AnyArray = array.numpy()
    return found


def _contiguous_strides(shape: Shape, itemsize: int) -> Shape:
    return tuple(itemsize * math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _downloaded(device: Device, pointer: int, shape: Shape, dtype: Any, strides: Shape) -> AnyArray:
    """A copy on the host of another library's array with any layout."""
    if 0 in shape:
        return np.empty(shape, dtype)
    low = sum(min((n - 1) * stride, 0) for n, stride in zip(shape, strides))
    high = sum(max((n - 1) * stride, 0) for n, stride in zip(shape, strides)) + dtype.itemsize
    around = np.empty(high - low, np.uint8)
    device.download(around, pointer + low)
    view: AnyArray = np.ndarray(shape, dtype, around, -low, strides)
    return view.copy()


@contextlib.contextmanager
def memory_errors(needed_bytes: int, what: str) -> Iterator[None]:
    """Turn the driver's complaint that the GPU's memory is full into one that a user can act on.

    Args:
        needed_bytes: what the block allocates in all.
        what: for whom, the subject of a sentence, such as ``"this canvas"``.

    Raises:
        SmaltiError: code ``"out_of_memory"``. Every other exception passes through.
    """
    try:
        yield
    except DeviceMemoryError as fault:
        free = "" if fault.free_bytes is None else f", and {fault.free_bytes // MEGABYTE:,} MB are free"
        raise SmaltiError(
            f"The GPU has too little memory: {what} needs {-(-needed_bytes // MEGABYTE):,} MB{free}.",
            "Choose a smaller size or count, close other programs that use the GPU, or choose the device cpu.",
            "out_of_memory",
        ) from fault
