# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of this machine. Imports nothing heavy, so that the worker can report them at once."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from . import kernel_pack

OLDEST = (7, 5)
"""Lowest compute capability that the kernels are compiled for: Turing."""

_TORCH_EXTRA_HINT = 'Install it: pip install "smalti[torch]"'
_DRIVER_HINT = "Install the newest NVIDIA driver for this GPU, then restart the computer."
_KERNELS_HINT = (
    "Install the newest Smalti, or where it was built from its sources their compiler: pip install nvidia-cuda-nvrtc"
)
_CPU_HINT = "Choose the device cpu or auto."

_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute
_STUB_LIBRARY, _NO_DEVICE = 34, 100  # CUresult


@dataclass(frozen=True)
class Gpu:
    """The first NVIDIA GPU, which is the one that is used.

    Attributes:
        name: as the driver reports it.
        capability: compute capability, such as (9, 0) for sm_90.
        memory: bytes.
        driver: newest version of CUDA that the driver supports, such as (13, 0).
    """

    name: str
    capability: tuple[int, int]
    memory: int
    driver: tuple[int, int]


@dataclass(frozen=True)
class Unavailable:
    """Why the GPU cannot be used.

    Attributes:
        reason: one sentence.
        hint: what to do about it.
        fixable: there is a GPU, and following the hint should make it work.
    """

    reason: str
    hint: str
    fixable: bool

    def __str__(self) -> str:
        return f"{self.reason} {self.hint}"


def cuda_unavailable() -> Unavailable | None:
    """Why ``"cuda"`` is not among the devices; None if it is.

    Queries the driver, and looks for kernels; `smalti.engine.cuda.why_not` also tries the GPU out. A missing GPU is
    reported before missing kernels. Never raises.
    """
    found = nvidia_gpu()
    return found if isinstance(found, Unavailable) else _kernels_unavailable(found)


@cache
def nvidia_gpu() -> Gpu | Unavailable:
    """The first GPU, or why there is none. Queries the driver once; never raises."""
    try:
        return _query_driver()
    except Exception as fault:  # a driver that is half installed can fail in any way
        return Unavailable(f"The NVIDIA driver does not work ({fault}).", _DRIVER_HINT, True)


def _load_driver() -> ctypes.CDLL:
    """The driver's library. Raises OSError if there is none."""
    if sys.platform == "darwin":
        raise OSError("macOS has no NVIDIA driver")
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


def _query_driver() -> Gpu | Unavailable:
    """The first GPU, or why there is none. May raise anything."""
    none = Unavailable("No NVIDIA driver was found on this machine.", _CPU_HINT, False)
    try:
        driver = _load_driver()
    except OSError:
        return none
    status = driver.cuInit(0)
    if status == _STUB_LIBRARY:  # a library of compilers, to link with only
        return none
    number, device = ctypes.c_int(), ctypes.c_int()
    if status == 0:
        status = driver.cuDeviceGetCount(ctypes.byref(number))
    if status == _NO_DEVICE or (status == 0 and number.value == 0):
        return Unavailable("There is an NVIDIA driver, but no GPU that it can use.", _CPU_HINT, False)
    major, minor, version_number = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    queries: tuple[Callable[[], int], ...] = (
        lambda: driver.cuDeviceGet(ctypes.byref(device), 0),
        lambda: driver.cuDriverGetVersion(ctypes.byref(version_number)),
        lambda: driver.cuDeviceGetName(name, len(name), device),
        lambda: driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device),
        lambda: driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device),
        lambda: driver.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device),
    )
    for query in queries:
        status = status or query()
    if status:
        return Unavailable(f"The NVIDIA driver does not work (error {status}).", _DRIVER_HINT, True)
    gpu = Gpu(
        name.value.decode(errors="replace"),
        (major.value, minor.value),
        memory.value,
        (version_number.value // 1000, version_number.value % 1000 // 10),
    )
    if gpu.capability < OLDEST:
        return Unavailable(
            f"{gpu.name} is too old: it has compute capability {gpu.capability[0]}.{gpu.capability[1]}, and "
            f"{OLDEST[0]}.{OLDEST[1]} (Turing) is the least.",
            _CPU_HINT,
            False,
        )
    return gpu


@cache
def _kernels_unavailable(gpu: Gpu) -> Unavailable | None:
    """Why this installation has no kernels for this GPU; None if it has, or can compile them."""
    pack = kernel_pack.usable_pack()
    image = pack.image_for(gpu.capability) if pack else None
    if pack and image:
        # A driver runs machine code of its own major version of CUDA and of earlier ones, PTX not of later minor ones.
        needed = pack.toolkit if image.startswith("compute_") else (pack.toolkit[0], 0)
    else:
        compiler = _compiler_major()
        if compiler is None:
            return Unavailable(
                f"This installation has no CUDA kernels for {gpu.name} (compute capability "
                f"{gpu.capability[0]}.{gpu.capability[1]}).",
                _KERNELS_HINT,
                True,
            )
        needed = compiler, 0
    if gpu.driver < needed:
        return Unavailable(
            f"The NVIDIA driver is too old: it knows CUDA {gpu.driver[0]}.{gpu.driver[1]}, and the kernels need CUDA "
            f"{needed[0]}.{needed[1]}.",
            _DRIVER_HINT,
            True,
        )
    return None


def _compiler_major() -> int | None:
    """Major version of CUDA that the installed NVRTC is of, None where there is none."""
    try:
        return int(version("nvidia-cuda-nvrtc").split(".")[0])
    except (PackageNotFoundError, ValueError):
        return None


def torch_unavailable() -> Unavailable | None:
    """Why what needs PyTorch cannot be used; None if it can. Does not import it; never raises."""
    try:
        found = find_spec("torch") is not None
    except (ImportError, ValueError):
        found = False
    return None if found else Unavailable("PyTorch is not installed.", _TORCH_EXTRA_HINT, False)


@dataclass(frozen=True)
class BackEnd:
    """One row of the table of back ends. How each is called and described for users stands in `bridge.choices.DEVICES`.

    Attributes:
        module: where its functions are, see `smalti.engine.raster.backends.Operations`; imported on first use.
        is_gpu: computes on a GPU: the host waits for it, and its number of threads plays no part.
        unavailable: returns why it cannot be used here, or None. Imports nothing heavy, never raises.
    """

    module: str
    is_gpu: bool = False
    unavailable: Callable[[], Unavailable | None] = lambda: None


BACK_ENDS = {
    "cuda": BackEnd("smalti.engine.cuda", is_gpu=True, unavailable=cuda_unavailable),
    "cpu": BackEnd("smalti.engine.cpu"),
    "reference": BackEnd("smalti.engine.pytorch.reference", unavailable=torch_unavailable),
}
"""All back ends by name, fastest first. A device that a job can request is one of these."""


def available_devices() -> tuple[str, ...]:
    """The devices that a job can request here, fastest first; it can also request ``"auto"``."""
    return tuple(name for name, back_end in BACK_ENDS.items() if back_end.unavailable() is None)


def default_device() -> str:
    """The device that ``"auto"`` stands for here."""
    return available_devices()[0]


def device_reason() -> str:
    """Why `default_device` is what it is: the GPU that is used, or why none is, with what to do where that helps."""
    why_not = cuda_unavailable()
    if why_not is not None:
        return str(why_not) if why_not.fixable else why_not.reason
    gpu = nvidia_gpu()
    return f"{gpu.name} can be used." if isinstance(gpu, Gpu) else gpu.reason
