# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs a driver: whether a GPU can be used, and the launches."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import struct
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor

from smalti.bridge.errors import SmaltiError

from .. import devices
from .compiler import Resources, architecture_for, compile_kernels, nvrtc_version, resources

logger = logging.getLogger("smalti")

MEGABYTE = 2**20

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
        nvrtc_version()
        # Many faults (a driver of two versions, a GPU that another process has for itself) show here first.
        torch.empty(1, device="cuda")
        return None
    except SmaltiError as fault:
        return str(fault)
    except Exception as fault:
        reason = " ".join(str(fault).split()).rstrip(".")[:200]
        return f"torch cannot use the GPU ({reason}). Choose the device cpu."


@cache
def kernels(index: int | None = None) -> Kernels:
    """The kernels on a CUDA device, by torch's number for it (None: the current one), loaded once.

    Raises:
        SmaltiError: as `Kernels`.
    """
    if index is None:
        return kernels(torch.cuda.current_device())
    return Kernels(torch.device("cuda", index))


@contextlib.contextmanager
def memory_errors(needed_bytes: int, what: str, device: torch.device | None = None) -> Iterator[None]:
    """Turn torch's complaint that the GPU's memory is full into one that a user can act on.

    Args:
        needed_bytes: what the block allocates in all.
        what: for whom, the subject of a sentence, such as ``"this canvas"``.
        device: the GPU; None is torch's current one.

    Raises:
        SmaltiError: code ``"out_of_memory"``. Every other exception passes through.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as fault:
        free = ""
        with contextlib.suppress(Exception):  # the sentence is good without it too
            unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            free = f", and {(torch.cuda.mem_get_info(device)[0] + unused) // MEGABYTE:,} MB are free"
        raise SmaltiError(
            f"The GPU has too little memory: {what} needs {-(-needed_bytes // MEGABYTE):,} MB{free}.",
            "Choose a smaller size or count, close other programs that use the GPU, or choose the device cpu.",
            "out_of_memory",
        ) from fault


class Kernels:
    """The kernels of smalti.cu on one device, in the context that torch uses.

    They stay loaded until the process ends.

    Attributes:
        device: torch's.
        architecture: what they were compiled for.
        resources: what each takes, by name.
    """

    def __init__(self, device: torch.device) -> None:
        """Compile what is not cached, and load it.

        Raises:
            SmaltiError: codes of `compile_kernels`; ``"cuda_driver"``, the driver refuses the kernels.
        """
        from cuda.bindings import driver

        self.device = device
        self._driver = driver
        torch.cuda.init()
        self.architecture = architecture_for(torch.cuda.get_device_capability(device))
        compiled = compile_kernels(self.architecture)
        if not compiled.cached:
            logger.info("the CUDA kernels were compiled for %s in %.1f s", self.architecture, compiled.seconds)
        self.resources: dict[str, Resources] = resources(compiled.log)
        # torch's context too is the device's primary one.
        self._context = self._checked(driver.cuDevicePrimaryCtxRetain(self._checked(driver.cuDeviceGet(device.index))))
        self._context_number = int(self._context)
        with self._current():
            self._module = self._load(compiled.cubin)
            self._functions = {name: self._function(name) for name in self.resources}
        self._layouts: dict[str, str] = {}
        self._shared = dict.fromkeys(self._functions, _SHARED_BYTES)
        # The driver copies the arguments before a launch returns, so one place for them serves all launches.
        self._lock = threading.Lock()
        self._values = ctypes.create_string_buffer(_SLOT * _MOST_ARGUMENTS)
        start = ctypes.addressof(self._values)
        self._pointers = (ctypes.c_void_p * _MOST_ARGUMENTS)(*(start + _SLOT * k for k in range(_MOST_ARGUMENTS)))
        self._parameters = ctypes.addressof(self._pointers)

    def launch(
        self,
        name: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        *arguments: Tensor | int | float | None,
        shared: int = 0,
    ) -> None:
        """Run a kernel in the order of torch's current stream, also while that stream is being captured.

        Args:
            name: the kernel's.
            grid: number of blocks, each above 0.
            block: number of threads in each.
            arguments: the kernel's, in its order: a contiguous tensor on this device for a pointer, None for the null
                pointer, an int for a 32-bit integer, a float for a 32-bit one.
            shared: bytes of dynamic shared memory for each block.

        Raises:
            ValueError: no such kernel, or an argument that does not fit it.
            torch.cuda.OutOfMemoryError: see `memory_errors`.
            RuntimeError: the driver refuses the launch, or an earlier kernel has failed.
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
        stream = torch.cuda.current_stream(self.device).cuda_stream
        with self._lock, self._current():
            if self._layouts.get(name) != layout:
                self._check_layout(name, function, kinds)
                self._layouts[name] = layout
            if shared > self._shared[name]:
                most = self._driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
                self._checked(self._driver.cuFuncSetAttribute(function, most, shared), name)
                self._shared[name] = shared
            try:
                struct.pack_into(layout, self._values, 0, *values)
            except (struct.error, OverflowError) as fault:
                raise ValueError(f"{name}: a number among {values} does not fit into 32 bits") from fault
            result = self._driver.cuLaunchKernel(function, *grid, *block, shared, stream, self._parameters, 0)
            if result[0]:
                self._checked(result, name)

    def _kind_and_value(self, argument: Tensor | int | float | None, name: str) -> tuple[str, int | float]:
        """What an argument is to a kernel. Raises ValueError, which names it, where it is nothing of the kind."""
        if isinstance(argument, Tensor):
            if argument.device != self.device or not argument.is_contiguous():
                raise ValueError(
                    f"{name}: needs a contiguous tensor on {self.device}, not one on {argument.device} with strides "
                    f"{argument.stride()}"
                )
            return _POINTER, argument.data_ptr()
        if isinstance(argument, float):
            return _FLOAT, argument
        if isinstance(argument, int):
            return _INT, argument
        if argument is None:
            return _POINTER, 0
        raise ValueError(f"{name}: is a {type(argument).__name__}")

    def _current(self) -> contextlib.AbstractContextManager[object]:
        """Makes the context this thread's current one, which it is already in all but a new thread."""
        if int(self._driver.cuCtxGetCurrent()[1]) == self._context_number:
            return contextlib.nullcontext()
        return self._pushed()

    @contextlib.contextmanager
    def _pushed(self) -> Iterator[None]:
        self._checked(self._driver.cuCtxPushCurrent(self._context))
        try:
            yield
        finally:
            self._driver.cuCtxPopCurrent()

    def _load(self, cubin: bytes) -> Any:
        result, module = self._driver.cuModuleLoadData(cubin)
        if result == self._driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            self._checked((result,))
        if result:
            raise SmaltiError(
                f"The NVIDIA driver refuses the kernels for {self.architecture} ({result.name}).",
                "Install the newest NVIDIA driver for this GPU, or choose the device cpu.",
                "cuda_driver",
            )
        return module

    def _function(self, name: str) -> Any:
        function = self._checked(self._driver.cuModuleGetFunction(self._module, name.encode()), name)
        # Otherwise the driver loads it at its first launch, which must not be while a stream is being captured.
        self._driver.cuFuncLoad(function)
        return function

    def _check_layout(self, name: str, function: Any, kinds: list[str]) -> None:
        """Refuse a wrong number of arguments, or one of the wrong size: the driver would read what lies behind."""
        expected: list[int] = []
        while True:
            result, _, size = self._driver.cuFuncGetParamInfo(function, len(expected))
            if result:
                break
            expected.append(int(size))
        given = [_SIZES[kind] for kind in kinds]
        if given != expected:
            raise ValueError(f"{name}: takes arguments of {expected} bytes, not of {given}")

    def _checked(self, result: tuple[Any, ...], name: str = "") -> Any:
        """The value behind a result of the driver. Raises RuntimeError where it is a failure."""
        status = result[0]
        if status == self._driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        if status:
            raise RuntimeError(f"CUDA: {status.name}{f', {name}' if name else ''}")
        return result[1] if len(result) > 1 else None
