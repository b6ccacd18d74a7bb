# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the kernels with NVRTC, once for each architecture: the result is kept on the disk. Needs no driver.

This is for developers, and for the build of a wheel; a wheel carries compiled kernels (`smalti.engine.kernel_pack`).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smalti.bridge.errors import SmaltiError

from ..errors import REINSTALL
from ..files.atomic import write_atomic
from ..kernel_pack import source_files
from . import nvrtc

logger = logging.getLogger("smalti")

ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
"""Turing to Blackwell: what the kernels are compiled for, in the tests and for a wheel."""

PORTABLE = "compute_100"
"""As PTX, from which a driver compiles for GPUs that are newer than these, and for those of 11.0 in between."""

SOURCE = Path(__file__).parent / "smalti.cu"

# Fast mathematics stays off: its divisions and roots are not those of the CPU.
PTX_OPTIONS = (
    "--std=c++17",
    "--fmad=true",
    "--no-cache",  # NVRTC's own: what comes out of it has no log
    "--no-source-include",  # otherwise headers in the current folder come first
)
PACK_OPTIONS = (*PTX_OPTIONS, "--ptxas-options=-v")
OPTIONS = (*PACK_OPTIONS, "--generate-line-info")

KEPT = 4
"""Number of cached files for one architecture; when there are more, those go that were not used for longest."""

_MAGIC = b"smalti-cuda-1\n"
_HASH_BYTES = 32
_MISSING_HINT = (
    f"Install it: pip install {nvrtc.PACKAGE}. Or install a wheel of Smalti, which carries compiled kernels."
)


@dataclass(frozen=True)
class Compiled:
    """The kernels for one architecture.

    Attributes:
        architecture: such as ``"sm_90"``.
        cubin: what a driver loads.
        log: the compiler's, with the assembler's report on each kernel (see `resources`).
        cached: it was on the disk already.
        seconds: that getting it took.
    """

    architecture: str
    cubin: bytes
    log: str
    cached: bool
    seconds: float


@dataclass(frozen=True)
class Resources:
    """What one kernel takes: registers of a thread, and in bytes the rest.

    Attributes:
        registers: 32-bit ones, of each thread.
        spill_stores, spill_loads: registers that did not suffice, with those of functions that it calls.
        shared: static shared memory of a block.
        stack: local memory of a thread, with that of functions that it calls.
    """

    registers: int
    spill_stores: int
    spill_loads: int
    shared: int
    stack: int


def compile_kernels(architecture: str, source: Path = SOURCE, options: Sequence[str] = OPTIONS) -> Compiled:
    """Compile a source for one architecture, or take what an earlier call has left in the cache.

    Headers are looked for in the source's folder and in its neighbor ``kernels``.

    Raises:
        SmaltiError: code ``"cuda_missing"``, NVRTC is not installed or cannot be loaded; ``"cuda_compile"``, the source
            cannot be read or does not compile, or NVRTC does not know the architecture.
    """
    start = time.perf_counter()
    try:
        path = cache_folder() / f"{architecture}-{cache_key(architecture, source, options)}.bin"
        found = _read(path)
        if found is None:
            program = compile_image(architecture, source, options)
            cubin, log = program.image, program.log
            _write(path, cubin, log, architecture)
        else:
            cubin, log = found
    except OSError as fault:
        raise SmaltiError(
            f"{fault.filename or source}: cannot be read ({fault.strerror or fault}).",
            REINSTALL,
            "cuda_compile",
        ) from fault
    return Compiled(architecture, cubin, log, found is not None, time.perf_counter() - start)


def resources(log: str) -> dict[str, Resources]:
    """What each kernel takes, by name, from the log of `compile_kernels`.

    ptxas reports a kernel as "Compiling entry function", "Function properties" and "Used", and after it the properties
    of those functions that it calls and that were not inlined.
    """
    numbers: dict[str, dict[str, int]] = {}
    kernel: dict[str, int] | None = None
    for line in log.splitlines():
        if entry := re.search(r"Compiling entry function '([^']+)'", line):
            kernel = numbers.setdefault(entry[1], dict.fromkeys(Resources.__dataclass_fields__, 0))
        elif kernel is None:
            continue
        elif spills := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            for name, value in zip(("stack", "spill_stores", "spill_loads"), spills.groups()):
                kernel[name] += int(value)
        elif used := re.search(r"Used (\d+) registers", line):
            kernel["registers"] = int(used[1])
            shared = re.search(r"(\d+) bytes smem", line)
            kernel["shared"] = int(shared[1]) if shared else 0
    return {name: Resources(**values) for name, values in sorted(numbers.items())}


def architecture_for(capability: tuple[int, int]) -> str:
    """The architecture to compile for: the newest that NVRTC knows and that runs on a device of this capability.

    Raises:
        SmaltiError: code ``"cuda_missing"`` as `compile_kernels`, ``"cuda_compile"`` where NVRTC knows none.
    """
    # A cubin runs on all later devices of its major version.
    fitting = [a for a in _known() if a // 10 == capability[0] and a % 10 <= capability[1]]
    if not fitting:
        raise _unknown(f"sm_{capability[0]}{capability[1]}")
    return f"sm_{max(fitting)}"


def nvrtc_version() -> tuple[int, int]:
    """Major and minor version of NVRTC. Raises SmaltiError, code ``"cuda_missing"``, where it cannot be loaded."""
    try:
        return nvrtc.version()
    except nvrtc.MissingError as fault:
        raise _missing(fault) from fault


def cache_key(architecture: str, source: Path = SOURCE, options: Sequence[str] = OPTIONS) -> str:
    """SHA-256 of all that the result depends on: every source and header, the options, the architecture, NVRTC.

    Raises:
        OSError: a source cannot be read.
        SmaltiError: as `nvrtc_version`.
    """
    digest = hashlib.sha256()

    def add(part: bytes) -> None:
        digest.update(struct.pack("<Q", len(part)) + part)

    for part in (architecture, source.name, nvrtc_version(), sorted(options)):
        add(repr(part).encode())
    for path in source_files(_folders(source)):
        add(path.name.encode())
        add(path.read_bytes())
    return digest.hexdigest()


def cache_folder() -> Path:
    """Where compiled kernels are kept; SMALTI_CACHE in the environment names another folder."""
    if chosen := os.environ.get("SMALTI_CACHE"):
        return Path(chosen) / "cuda"
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "Smalti" / "cuda"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "smalti" / "cuda"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "smalti" / "cuda"


def _folders(source: Path) -> tuple[Path, Path]:
    return source.parent, source.parent.parent / "kernels"


def compile_image(architecture: str, source: Path, options: Sequence[str], kind: str = "CUBIN") -> nvrtc.Program:
    """Compile without a look at the cache. Raises SmaltiError as `compile_kernels`, OSError for the source."""
    text = source.read_text(encoding="utf-8")
    if int(architecture.split("_")[1]) not in _known():
        raise _unknown(architecture)
    target = [f"--gpu-architecture={architecture}", *(f"--include-path={folder}" for folder in _folders(source))]
    try:
        return nvrtc.compile_program(text, source.name, [*target, *options], kind)
    except nvrtc.CompileError as fault:
        logger.info("NVRTC, %s: %s", architecture, fault)
        raise SmaltiError(
            f"The CUDA kernels do not compile for {architecture}: {_first_error(str(fault))}.",
            f"Bring the compiler up to date: pip install --upgrade {nvrtc.PACKAGE}. Until then choose the device cpu.",
            "cuda_compile",
        ) from fault


def _first_error(log: str) -> str:
    lines = [line.strip() for line in log.replace("\0", "\n").splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b", line)]
    return (errors or lines or ["no reason given"])[0].rstrip(".")[:300]


def _known() -> list[int]:
    """Architectures that NVRTC compiles for, such as 90. Raises SmaltiError as `nvrtc_version`."""
    try:
        return nvrtc.architectures()
    except nvrtc.MissingError as fault:
        raise _missing(fault) from fault


def _unknown(architecture: str) -> SmaltiError:
    major, minor = nvrtc_version()
    return SmaltiError(
        f"NVRTC {major}.{minor} cannot compile for {architecture}.",
        f"If the GPU is newer than it: pip install --upgrade {nvrtc.PACKAGE}",
        "cuda_compile",
    )


def _missing(fault: Exception) -> SmaltiError:
    reason = " ".join(str(fault).split()).rstrip(".")[:200]
    return SmaltiError(f"The compiler for NVIDIA GPUs is missing or broken ({reason}).", _MISSING_HINT, "cuda_missing")


def _read(path: Path) -> tuple[bytes, str] | None:
    """Cubin and log from a cached file; None where there is none, or it is not as it was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    head = len(_MAGIC) + _HASH_BYTES
    body = data[head:]
    if data[:head] != _MAGIC + hashlib.sha256(body).digest():
        return None
    (log_bytes,) = struct.unpack_from("<I", body)
    with contextlib.suppress(OSError):
        os.utime(path)  # it was used just now
    return body[4 + log_bytes :], body[4 : 4 + log_bytes].decode()


def _write(path: Path, cubin: bytes, log: str, architecture: str) -> None:
    """Keep a result, and forget the oldest of the same architecture. Where that fails it costs the next start time."""
    text = log.encode()
    body = struct.pack("<I", len(text)) + text + cubin
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda file: file.write(_MAGIC + hashlib.sha256(body).digest() + body))
        kept = sorted(path.parent.glob(f"{architecture}-*.bin"), key=lambda p: p.stat().st_mtime, reverse=True)
        for old in kept[KEPT:]:
            old.unlink(missing_ok=True)
    except (OSError, SmaltiError) as fault:
        logger.info("the compiled kernels cannot be kept: %s", fault)
