# SPDX-License-Identifier: GPL-3.0-or-later
"""``smalti doctor``: what this machine can do, and what to install where something is missing."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from smalti.bridge.errors import SmaltiError
from smalti.bridge.version import VERSION

from .. import kernel_pack
from ..devices import Gpu, available_devices, cuda_unavailable, default_device, nvidia_gpu
from ..errors import REINSTALL
from .commands import Commands

FREE_DISK_MB = 500
"""A job's folder with its PSD rarely needs more."""

_CPU_HINT = "Choose the device cpu until it works."


@dataclass(frozen=True)
class Check:
    """One finding: what was looked at, whether it is as it should be, what was found, what to do."""

    name: str
    good: bool
    found: str
    hint: str = ""


def add(commands: Commands) -> None:
    """Add the command."""
    commands.add("doctor", _run, "what this machine can do, and what is missing")


def _run(options: argparse.Namespace) -> int:
    good = True
    for check in checks():
        print(f"{'ok     ' if check.good else 'MISSING'} {check.name}: {check.found}")
        if check.hint:
            print(f"        {check.hint}")
        good = good and check.good
    return 0 if good else 1


def checks() -> Iterator[Check]:
    """Look at everything that a job needs, the likeliest trouble first."""
    yield Check(
        "Smalti", True, f"{VERSION}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    for package, module in (("numpy", "numpy"), ("pillow", "PIL.Image"), ("resvg_py", "resvg_py")):
        yield _package(package, module)
    for package, module in (("psd-tools", "psd_tools"), ("wcwidth", "wcwidth"), ("tqdm", "tqdm")):
        yield _pure_package(package, module)
    kernels = _kernels()
    yield kernels
    yield from _cuda()
    yield _devices(kernels)
    yield _disk()


def _devices(kernels: Check) -> Check:
    """The devices, of which the CPU is one only where its `kernels` are good."""
    broken = () if kernels.good else ("cpu",)
    names = [name for name in available_devices() if name not in broken]
    chosen = default_device()
    if chosen in names:
        return Check("devices", True, f"{', '.join(names)}; auto means {chosen}")
    return Check("devices", False, f"{', '.join(names)}; auto means {chosen}, which does not work", kernels.hint)


def _disk() -> Check:
    try:
        free = shutil.disk_usage(Path.cwd()).free // 2**20
    except OSError as fault:
        return Check(
            "disk", False, f"the current folder cannot be read ({fault.strerror})", "Change to another folder."
        )
    return Check(
        "disk",
        free >= FREE_DISK_MB,
        f"{free:,} MB free in the current folder",
        "" if free >= FREE_DISK_MB else f"Free some space: jobs want {FREE_DISK_MB} MB.",
    )


def _package(package: str, module: str) -> Check:
    """A package with native code, which may be there and still not load."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        import_module(module)
        return Check(package, True, version(package))
    except (ImportError, PackageNotFoundError, OSError) as fault:
        return Check(package, False, f"cannot be imported ({fault})", f"Install it: pip install {package}")


def _pure_package(package: str, module: str) -> Check:
    """A package without native code: to import it would take longer than all the rest here."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        if find_spec(module) is not None:
            return Check(package, True, version(package))
    except (ImportError, ValueError, PackageNotFoundError):
        pass
    return Check(package, False, "cannot be imported (it is not installed)", f"Install it: pip install {package}")


def _kernels() -> Check:
    try:
        from .. import cpu
        from ..raster.self_check import kernels_work
        from ..thread_count import threads

        good = kernels_work()
        found = f"{cpu.instruction_set()}, {threads()} of {os.cpu_count()} threads"
        return Check("CPU kernels", good, found if good else "give a wrong result", "" if good else REINSTALL)
    except Exception as fault:  # whatever it is, the user wants to read it rather than a traceback
        return Check("CPU kernels", False, f"do not run ({fault})", REINSTALL)


def _cuda() -> Iterator[Check]:
    """The GPU and what computing on it needs. Without a GPU, or with one too old, nothing here is a fault."""
    gpu = nvidia_gpu()
    here = isinstance(gpu, Gpu)
    if isinstance(gpu, Gpu):
        driver, (major, minor) = ".".join(map(str, gpu.driver)), gpu.capability
        yield Check("NVIDIA driver", True, f"for CUDA {driver}")
        memory = f"{gpu.memory // 2**20:,} MB"
        yield Check("GPU", True, f"{gpu.name}, {memory}, compute capability {major}.{minor}")
    else:
        yield Check("GPU", not gpu.fixable, f"not used: {gpu.reason}", gpu.hint if gpu.fixable else "")
    yield _cuda_kernels(gpu.capability if isinstance(gpu, Gpu) else None)
    if here:
        yield _gpu_draws()


def _gpu_draws() -> Check:
    try:
        if reason := _why_no_cuda():
            unavailable = cuda_unavailable()
            return Check("GPU drawing", unavailable is not None and not unavailable.fixable, f"not used: {reason}")
        from ..raster.self_check import agrees_with_cpu

        good = agrees_with_cpu("cuda")
        return Check("GPU drawing", good, "works" if good else "gives a wrong result", "" if good else _CPU_HINT)
    except Exception as fault:
        return Check("GPU drawing", False, f"fails ({fault})", _CPU_HINT)


def _why_no_cuda() -> str | None:
    try:
        from ..cuda import why_not
    except (ImportError, OSError) as fault:  # NumPy is broken, which has a line of its own
        return f"the back end cannot be imported ({fault})."
    return why_not()


def _cuda_kernels(capability: tuple[int, int] | None) -> Check:
    """The kernels for the GPU, or where there is none those for any."""
    pack = kernel_pack.usable_pack()
    found = pack.image_for(capability) if pack and capability else None
    if pack and (found or capability is None):
        images = found or ", ".join(pack.images)
        return Check("CUDA kernels", True, f"for {images}, compiled by CUDA {'.'.join(map(str, pack.toolkit))}")
    try:
        return _nvrtc(capability)
    except SmaltiError as fault:
        if capability is None and fault.code == "cuda_missing":
            return Check("CUDA kernels", True, "not in this installation; only a GPU needs them")
        return Check("CUDA kernels", capability is None, fault.message, fault.hint)
    except Exception as fault:
        return Check("CUDA kernels", capability is None, f"cannot be compiled ({fault})", "")


def _nvrtc(capability: tuple[int, int] | None) -> Check:
    """Compile the kernels for the GPU, or where there is none for the oldest that they run on."""
    from ..cuda.compiler import ARCHITECTURES, architecture_for, compile_kernels, nvrtc_version

    architecture = architecture_for(capability) if capability else ARCHITECTURES[0]
    compiled = compile_kernels(architecture)
    how = "cached" if compiled.cached else "compiled"
    number = ".".join(map(str, nvrtc_version()))
    return Check("CUDA kernels", True, f"{how} for {architecture} by NVRTC {number} in {compiled.seconds:.1f} s")
