# SPDX-License-Identifier: GPL-3.0-or-later
"""The CUDA kernels on the host: compiled with g++ and run thread by thread (see cuda_host/shim.h)."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
SANITIZED = "SMALTI_CUDA_HOST_SANITIZED"
"""Environment variable; where it is set, reads and writes outside an array end the process."""


def built(sanitized: bool) -> Path:
    """The kernels as a library, compiled again when a source has changed."""
    source = ROOT / "tests" / "cuda_host" / "host.cpp"
    folders = ("engine/cuda", "engine/kernels", "tests/cuda_host")
    newest = max(path.stat().st_mtime for folder in folders for path in (ROOT / folder).iterdir())
    path = ROOT / "build" / "cuda_host" / f"libsmalti_cuda_host{'_sanitized' if sanitized else ''}.so"
    if not path.exists() or path.stat().st_mtime < newest:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-fPIC", "-shared"]
        watched = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
        fresh = path.with_suffix(f".{os.getpid()}")
        subprocess.run([_compiler(), *flags, *(watched if sanitized else ["-O2"]), source, "-o", fresh], check=True)
        fresh.replace(path)  # all at once: another process may be building or reading it
    return path


def _compiler() -> str:
    found = shutil.which("g++")
    if found is None:
        pytest.skip("needs g++")
    return found


@cache
def library() -> ctypes.CDLL:
    """The kernels, ready to be called."""
    return ctypes.CDLL(str(built(SANITIZED in os.environ)))


def sanitized_environment() -> dict[str, str]:
    """The environment of a process in which the sanitizers watch the kernels."""
    built(True)  # here, where they do not watch the compiler too
    runtimes = [
        subprocess.run([_compiler(), f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
        for name in ("libasan.so", "libubsan.so")
    ]
    # Fibres have stacks of their own, which the sanitizer cannot follow; arrays are what is watched.
    options = "detect_leaks=0,detect_stack_use_after_return=0"
    return {**os.environ, SANITIZED: "1", "ASAN_OPTIONS": options, "LD_PRELOAD": "".join(runtimes).replace("\n", " ")}


class HostKernels:
    """Launches kernels on the host, each fibre in an order that `seed` draws."""

    device = torch.device("cpu")

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.launched: list[str] = []

    def launch(
        self,
        name: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        *arguments: Tensor | int | float | None,
        shared: int = 0,
    ) -> None:
        assert shared == 0
        values: list[ctypes.c_void_p | ctypes.c_int32 | ctypes.c_float] = []
        for argument in arguments:
            if isinstance(argument, Tensor):
                assert argument.is_contiguous()
                values.append(ctypes.c_void_p(argument.data_ptr()))
            elif argument is None:
                values.append(ctypes.c_void_p(0))
            elif isinstance(argument, int):
                assert -(2**31) <= argument < 2**31
                values.append(ctypes.c_int32(argument))
            else:
                values.append(ctypes.c_float(argument))
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        shape = ((ctypes.c_uint * 3)(*dimensions) for dimensions in (grid, block))
        code = library().launch(name.encode(), *shape, pointers, len(values), self.seed)
        assert code == 0, f"{name}: code {code}"
        self.launched.append(name)
