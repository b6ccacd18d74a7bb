# SPDX-License-Identifier: GPL-3.0-or-later
"""The CUDA kernels on the host: compiled with g++ and run thread by thread (see cuda_host/shim.h)."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "build" / "cuda_host" / "libsmalti_cuda_host.so"


@cache
def library() -> ctypes.CDLL:
    """The kernels, compiled anew when a source has changed."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    source = ROOT / "tests" / "cuda_host" / "host.cpp"
    folders = ("engine/cuda", "engine/kernels", "tests/cuda_host")
    newest = max(path.stat().st_mtime for folder in folders for path in (ROOT / folder).iterdir())
    if not LIBRARY.exists() or LIBRARY.stat().st_mtime < newest:
        LIBRARY.parent.mkdir(parents=True, exist_ok=True)
        flags = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-fPIC", "-shared"]
        subprocess.run([compiler, *flags, source, "-o", LIBRARY], check=True)
    return ctypes.CDLL(str(LIBRARY))


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
