# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels on the GPU, their launches, and the reason why a GPU cannot be used."""

from __future__ import annotations

import ctypes
import logging
import struct
from ctypes import byref, c_size_t, c_void_p
from dataclasses import dataclass
from functools import cache

from smalti.bridge.errors import SmaltiError

from .. import devices, kernel_pack
from ..errors import REINSTALL
from . import driver as cuda
from .compiler import architecture_for, compile_kernels, resources
from .device import Device, device
from .driver import DeviceMemoryError, DriverError
from .memory import DeviceArray

logger = logging.getLogger("smalti")

_SHARED_BYTES = 48 * 1024
"""Dynamic shared memory that a kernel may have without asking."""

_SLOT = 8
"""Bytes for each argument of a launch."""
_MOST_ARGUMENTS = 64
_POINTER, _INT, _FLOAT = "Q", "i4x", "f4x"
_SIZES = {_POINTER: 8, _INT: 4, _FLOAT: 4}


@cache
def why_not() -> str | None:
    """None where a GPU can be used, otherwise why not and what to do. Never raises, and looks once."""
    try:
        if unavailable := devices.cuda_unavailable():
            return str(unavailable)
        # Many faults (a driver of two versions, a GPU that another process has for itself) show here first.
        device()
        return None
    except SmaltiError as fault:
        return str(fault)
    except Exception as fault:
        reason = " ".join(str(fault).split()).rstrip(".")[:200]
        return f"The GPU cannot be used ({reason}). Choose the device cpu."


@cache
def kernels() -> Kernels:
    """The kernels on the GPU, loaded once. Raises SmaltiError as `Kernels`, OSError and DriverError as `device`."""
    return Kernels(device())


@dataclass(frozen=True)
class Image:
    """Compiled kernels, as a driver loads them.

    Attributes:
        name: such as ``"sm_90"``, or ``"compute_100"`` for PTX.
        data: the machine code or PTX.
        kernels: names of the kernels in it.
        origin: where it is from, to be shown, such as ``"by CUDA 13.0, in this installation"``.
    """

    name: str
    data: bytes
    kernels: tuple[str, ...]
    origin: str


def image_for(capability: tuple[int, int]) -> Image:
    """The kernels for a GPU: those that the wheel carries, or else compiled now.

    Raises:
        SmaltiError: codes of `compile_kernels`; ``"cuda_missing"``, the wheel's are damaged.
    """
    pack = kernel_pack.usable_pack()
    name = pack.image_for(capability) if pack else None
    if pack and name:
        try:
            data = pack.read(name)
        except (OSError, ValueError) as fault:
            raise SmaltiError(
                f"The compiled CUDA kernels cannot be read ({fault}).", REINSTALL, "cuda_missing"
            ) from fault
        return Image(name, data, pack.kernels, f"by CUDA {'.'.join(map(str, pack.toolkit))}, in this installation")
    architecture = architecture_for(capability)
    compiled = compile_kernels(architecture)
    how = "kept from an earlier start" if compiled.cached else f"compiled in {compiled.seconds:.1f} s"
    if not compiled.cached:
        logger.info("the CUDA kernels were compiled for %s in %.1f s", architecture, compiled.seconds)
    return Image(architecture, compiled.cubin, tuple(resources(compiled.log)), how)


@dataclass(frozen=True)
class Occupied:
    """What one kernel takes on this GPU: registers of a thread, shared bytes of a block, local bytes of a thread."""

    registers: int
    shared: int
    local: int


class Kernels:
    """The kernels of smalti.cu on a device. They stay loaded until the process ends.

    Attributes:
        device: where they run.
        image: what was loaded.
    """

    def __init__(self, on: Device) -> None:
        """Load them.

        Raises:
            SmaltiError: codes of `image_for`; ``"cuda_driver"``, the driver refuses the kernels.
        """
        self.device = on
        self.image = image_for(on.capability)
        with on.in_use():
            self._module = self._load()
            self._functions = {name: self._function(name) for name in self.image.kernels}
        self._layouts: dict[str, str] = {}
        self._shared = dict.fromkeys(self._functions, _SHARED_BYTES)
        # The driver copies the arguments before a launch returns, so one place for them serves all launches.
        self._values = ctypes.create_string_buffer(_SLOT * _MOST_ARGUMENTS)
        start = ctypes.addressof(self._values)
        self._pointers = (c_void_p * _MOST_ARGUMENTS)(*(start + _SLOT * k for k in range(_MOST_ARGUMENTS)))
        self._parameters = ctypes.addressof(self._pointers)

    def launch(
        self,
        name: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        *arguments: DeviceArray | int | float | None,
        shared: int = 0,
    ) -> None:
        """Run a kernel in the order of the device's stream, or record it (see `Device.record`).

        Args:
            name: the kernel's.
            grid: number of blocks, each above 0.
            block: number of threads in each.
            arguments: the kernel's, in its order: an array on this device for a pointer, None for the null pointer, an
                int for a 32-bit integer, a float for a 32-bit one.
            shared: bytes of dynamic shared memory for each block.

        Raises:
            ValueError: no such kernel, or an argument that does not fit it.
            DeviceMemoryError: see `smalti.engine.cuda.memory.memory_errors`.
            DriverError: the driver refuses the launch, or an earlier kernel has failed.
        """
        function = self._functions.get(name)
        if function is None:
            raise ValueError(f"there is no kernel {name!r}")
        kinds, values = [], []
        for number, argument in enumerate(arguments):
            kind, value = self._kind_and_value(argument, f"{name}, argument {number}")
            kinds.append(kind)
            values.append(value)
        layout = "<" + "".join(kinds)
        with self.device.in_use() as driver:
            if self._layouts.get(name) != layout:
                self._check_layout(name, function, kinds)
                self._layouts[name] = layout
            if shared > self._shared[name]:
                driver("cuFuncSetAttribute", function, cuda.MAX_DYNAMIC_SHARED, shared, about=name)
                self._shared[name] = shared
            try:
                struct.pack_into(layout, self._values, 0, *values)
            except (struct.error, OverflowError) as fault:
                raise ValueError(f"{name}: a number among {values} does not fit into 32 bits") from fault
            stream = self.device.stream
            driver("cuLaunchKernel", function, *grid, *block, shared, stream, self._parameters, None, about=name)

    def occupied(self) -> dict[str, Occupied]:
        """What each kernel takes, by name."""
        which = cuda.REGISTERS, cuda.SHARED_BYTES, cuda.LOCAL_BYTES
        with self.device.in_use() as driver:
            return {
                name: Occupied(*(driver.number("cuFuncGetAttribute", attribute, function) for attribute in which))
                for name, function in sorted(self._functions.items())
            }

    def _kind_and_value(self, argument: DeviceArray | int | float | None, name: str) -> tuple[str, int | float]:
        """What an argument is to a kernel. Raises ValueError, which names it, where it is nothing of the kind."""
        if isinstance(argument, DeviceArray):
            if argument.device is not self.device:
                raise ValueError(f"{name}: needs an array on this device")
            return _POINTER, argument.pointer
        if isinstance(argument, float):
            return _FLOAT, argument
        if isinstance(argument, int):
            return _INT, argument
        if argument is None:
            return _POINTER, 0
        raise ValueError(f"{name}: is a {type(argument).__name__}")

    def _load(self) -> int:
        with self.device.in_use() as driver:
            try:
                return driver.handle("cuModuleLoadData", self.image.data + b"\0")  # PTX is a text that ends with 0
            except DeviceMemoryError:
                raise
            except DriverError as fault:
                raise SmaltiError(
                    f"The NVIDIA driver refuses the kernels for {self.image.name} ({fault.name}).",
                    "Install the newest NVIDIA driver for this GPU, or choose the device cpu.",
                    "cuda_driver",
                ) from fault

    def _function(self, name: str) -> int:
        with self.device.in_use() as driver:
            function = driver.handle("cuModuleGetFunction", self._module, name.encode(), about=name)
            # Otherwise the driver loads it at its first launch, which must not be while launches are recorded.
            if driver.has("cuFuncLoad"):
                driver("cuFuncLoad", function, about=name)
            return function

    def _check_layout(self, name: str, function: int, kinds: list[str]) -> None:
        """Refuse a wrong number of arguments, or one of the wrong size: the driver would read what lies behind."""
        expected: list[int] = []
        with self.device.in_use() as driver:
            if not driver.has("cuFuncGetParamInfo"):
                return
            offset, size = c_size_t(), c_size_t()
            while not driver.status("cuFuncGetParamInfo", function, len(expected), byref(offset), byref(size)):
                expected.append(size.value)
        given = [_SIZES[kind] for kind in kinds]
        if given != expected:
            raise ValueError(f"{name}: takes arguments of {expected} bytes, not of {given}")
