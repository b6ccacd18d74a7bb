# SPDX-License-Identifier: GPL-3.0-or-later
"""NVRTC, NVIDIA's compiler as a library, by its C interface. Needs no driver, and no Python package but its wheel."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_void_p
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

PACKAGE = "nvidia-cuda-nvrtc"

_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "nvrtcVersion": (POINTER(c_int), POINTER(c_int)),
    "nvrtcGetNumSupportedArchs": (POINTER(c_int),),
    "nvrtcGetSupportedArchs": (POINTER(c_int),),
    "nvrtcCreateProgram": (POINTER(c_void_p), c_char_p, c_char_p, c_int, c_void_p, c_void_p),
    "nvrtcCompileProgram": (c_void_p, c_int, POINTER(c_char_p)),
    "nvrtcGetProgramLogSize": (c_void_p, POINTER(c_size_t)),
    "nvrtcGetProgramLog": (c_void_p, c_char_p),
    "nvrtcGetCUBINSize": (c_void_p, POINTER(c_size_t)),
    "nvrtcGetCUBIN": (c_void_p, c_char_p),
    "nvrtcGetPTXSize": (c_void_p, POINTER(c_size_t)),
    "nvrtcGetPTX": (c_void_p, c_char_p),
    "nvrtcDestroyProgram": (POINTER(c_void_p),),
}


class MissingError(RuntimeError):
    """NVRTC is not installed, or cannot be loaded."""


class CompileError(RuntimeError):
    """A program does not compile; the message is NVRTC's log."""


@dataclass(frozen=True)
class Program:
    """What came out of a compilation.

    Attributes:
        image: machine code (cubin), or PTX.
        log: warnings, and what the assembler reports.
    """

    image: bytes
    log: str


def version() -> tuple[int, int]:
    """Major and minor version of the toolkit that it belongs to. Raises MissingError."""
    major, minor = c_int(), c_int()
    _checked("nvrtcVersion", byref(major), byref(minor))
    return major.value, minor.value


def architectures() -> list[int]:
    """Architectures that it compiles for, such as 90, ascending. Raises MissingError."""
    number = c_int()
    _checked("nvrtcGetNumSupportedArchs", byref(number))
    found = (c_int * number.value)()
    _checked("nvrtcGetSupportedArchs", found)
    return sorted(found)


def compile_program(text: str, name: str, options: Sequence[str], kind: str = "CUBIN") -> Program:
    """Compile a source.

    Args:
        text: CUDA C++.
        name: stands in messages for its file's.
        options: as on a command line.
        kind: ``"CUBIN"`` or ``"PTX"``.

    Raises:
        CompileError: it does not compile.
        MissingError: see `version`.
    """
    program = c_void_p()
    _checked("nvrtcCreateProgram", byref(program), text.encode(), name.encode(), 0, None, None)
    try:
        given = (c_char_p * len(options))(*(option.encode() for option in options))
        status = _library().nvrtcCompileProgram(program, len(options), given)
        log = _contents(program, "ProgramLog").decode(errors="replace")
        if status:
            raise CompileError(log.rstrip("\0") or f"NVRTC: status {status}")
        return Program(_contents(program, kind), log.replace("\0", ""))
    finally:
        _library().nvrtcDestroyProgram(byref(program))


def _contents(program: c_void_p, kind: str) -> bytes:
    size = c_size_t()
    _checked(f"nvrtcGet{kind}Size", program, byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    _checked(f"nvrtcGet{kind}", program, buffer)
    return buffer.raw


def _checked(name: str, *arguments: Any) -> None:
    if status := getattr(_library(), name)(*arguments):
        raise MissingError(f"{name}: status {status}")


@cache
def _library() -> ctypes.CDLL:
    """The library of the installed wheel. Raises MissingError."""
    fault: Exception = FileNotFoundError(f"{PACKAGE} is not installed")
    for path in _candidates():
        try:
            library = _loaded(path)
            for name, arguments in _FUNCTIONS.items():
                function = getattr(library, name)
                function.argtypes, function.restype = arguments, c_int
            return library
        except (OSError, AttributeError) as refused:
            fault = refused
    raise MissingError(str(fault))


def _loaded(path: Path) -> ctypes.CDLL:
    """The library, and what it looks for by name alone when it compiles. Raises OSError."""
    if sys.platform == "win32":
        os.add_dll_directory(str(path.parent))
    else:
        for builtins in sorted(path.parent.glob("libnvrtc-builtins.so.*")):
            ctypes.CDLL(str(builtins))
    return ctypes.CDLL(str(path))


def _candidates() -> list[Path]:
    pattern = "nvrtc64_*_0.dll" if sys.platform == "win32" else "libnvrtc.so.*"
    try:
        return [Path(str(file.locate())) for file in files(PACKAGE) or [] if file.match(pattern)]
    except PackageNotFoundError:
        return []
