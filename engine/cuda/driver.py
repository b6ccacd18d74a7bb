# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's driver, by its C interface: the functions that are called, and their faults. Needs no Python package."""

from __future__ import annotations

from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p
from functools import cache
from typing import Any

from .. import devices

_Address = c_uint64  # CUdeviceptr
_Out = POINTER(c_void_p)

_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (_Out, c_int),
    "cuCtxGetCurrent": (_Out,),
    "cuCtxPushCurrent_v2": (c_void_p,),
    "cuCtxPopCurrent_v2": (_Out,),
    "cuCtxSynchronize": (),
    "cuModuleLoadData": (_Out, c_char_p),
    "cuModuleGetFunction": (_Out, c_void_p, c_char_p),
    "cuFuncGetAttribute": (POINTER(c_int), c_int, c_void_p),
    "cuFuncSetAttribute": (c_void_p, c_int, c_int),
    "cuLaunchKernel": (c_void_p, *[c_uint] * 7, c_void_p, c_void_p, c_void_p),
    "cuStreamCreate": (_Out, c_uint),
    "cuStreamSynchronize": (c_void_p,),
    "cuStreamBeginCapture_v2": (c_void_p, c_int),
    "cuStreamEndCapture": (c_void_p, _Out),
    "cuGraphInstantiateWithFlags": (_Out, c_void_p, c_uint64),
    "cuGraphLaunch": (c_void_p, c_void_p),
    "cuGraphDestroy": (c_void_p,),
    "cuGraphExecDestroy": (c_void_p,),
    "cuMemAlloc_v2": (POINTER(_Address), c_size_t),
    "cuMemFree_v2": (_Address,),
    "cuMemAllocAsync": (POINTER(_Address), c_size_t, c_void_p),
    "cuMemFreeAsync": (_Address, c_void_p),
    "cuDeviceGetDefaultMemPool": (_Out, c_int),
    "cuMemPoolSetAttribute": (c_void_p, c_int, c_void_p),
    "cuMemPoolTrimTo": (c_void_p, c_size_t),
    "cuMemHostAlloc": (_Out, c_size_t, c_uint),
    "cuMemFreeHost": (c_void_p,),
    "cuMemGetInfo_v2": (POINTER(c_size_t), POINTER(c_size_t)),
    "cuMemcpyHtoDAsync_v2": (_Address, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, _Address, c_size_t, c_void_p),
    "cuMemsetD8Async": (_Address, c_ubyte, c_size_t, c_void_p),
}
_OPTIONAL: dict[str, tuple[Any, ...]] = {
    "cuFuncLoad": (c_void_p,),
    "cuFuncGetParamInfo": (c_void_p, c_size_t, POINTER(c_size_t), POINTER(c_size_t)),
}
"""Newer than the rest: a driver may lack them."""

NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: no order with the legacy default stream
CAPTURE_OF_THIS_THREAD = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
MEMORY_POOLS_SUPPORTED = 115  # CUdevice_attribute
CAPABILITY = 75, 76
RELEASE_THRESHOLD = 4  # CUmemPool_attribute
SHARED_BYTES, LOCAL_BYTES, REGISTERS, MAX_DYNAMIC_SHARED = 1, 3, 4, 8  # CUfunction_attribute
_OUT_OF_MEMORY = 2  # CUresult


class DriverError(RuntimeError):
    """The driver refuses a call, or an earlier kernel has failed. `name` is NVIDIA's for it."""

    def __init__(self, name: str, where: str) -> None:
        super().__init__(f"{name}, {where}")
        self.name = name


class DeviceMemoryError(DriverError):
    """There is no room in the device's memory. `free_bytes` is how much is free, None where that is unknown."""

    free_bytes: int | None = None


class Driver:
    """The functions of the driver's library, each of which raises `DriverError` where it fails."""

    def __init__(self, library: Any) -> None:
        self._functions: dict[str, Any] = {}
        for name, arguments in (_FUNCTIONS | _OPTIONAL).items():
            function = getattr(library, name, None)
            if function is None and name not in _OPTIONAL:
                raise DriverError("CUDA_ERROR_NOT_FOUND", name)
            if function is not None:
                function.argtypes, function.restype = arguments, c_int
                self._functions[name] = function
        self("cuInit", 0)

    def has(self, name: str) -> bool:
        """Whether this driver has one of the functions that older ones lack."""
        return name in self._functions

    def status(self, name: str, *arguments: Any) -> int:
        """Call a function; what it returns: 0, or the number of its fault."""
        return int(self._functions[name](*arguments))

    def __call__(self, name: str, *arguments: Any, about: str = "") -> None:
        """Call a function. `about`: what the message of a fault names besides. Raises DriverError."""
        if status := self._functions[name](*arguments):
            kind = DeviceMemoryError if status == _OUT_OF_MEMORY else DriverError
            raise kind(self._name_of(status), about or name)

    def handle(self, name: str, *arguments: Any, about: str = "") -> int:
        """Call a function whose first argument receives a handle or an address. Raises DriverError."""
        found: Any = _Address() if name.startswith("cuMemAlloc") else c_void_p()
        self(name, byref(found), *arguments, about=about)
        return int(found.value or 0)

    def number(self, name: str, *arguments: Any) -> int:
        """Call a function whose first argument receives an int. Raises DriverError."""
        found = c_int()
        self(name, byref(found), *arguments)
        return found.value

    def _name_of(self, status: int) -> str:
        name = c_char_p()
        if self._functions["cuGetErrorName"](status, byref(name)) or name.value is None:
            return f"CUDA error {status}"
        return name.value.decode()


@cache
def driver() -> Driver:
    """The driver of this machine. Raises OSError where there is none, DriverError where it does not work."""
    return Driver(devices._load_driver())
