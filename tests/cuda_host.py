# SPDX-License-Identifier: GPL-3.0-or-later
"""A GPU on the host: a driver whose kernels run on the processor, thread by thread (cuda_host/driver.cpp, shim.h)."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from fake_gpu import forget

from smalti.engine import devices, kernel_pack
from smalti.engine.cuda import device

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "cuda_host"
SOURCES = ROOT / "tests" / "cuda_host"

FLAVOR = "SMALTI_CUDA_HOST"
"""Environment variable: which of `FLAVORS` is built and used."""
FLAVORS = {
    "plain": ["-O2"],
    # As NVRTC compiles: products are fused with additions.
    "fused": ["-O2", "-mfma", "-ffp-contract=fast"],
    # Reads and writes outside an array end the process.
    "sanitized": ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}

ALL_KERNELS = b"\x7fELFhost"
"""An image with all kernels, to this driver."""


def flavor() -> str:
    """The one that is used."""
    return os.environ.get(FLAVOR, "plain")


def compiled(target: str, sources: list[str], flags: list[str]) -> Path:
    """A program or library of build/cuda_host, compiled again when a source has changed."""
    folders = ("engine/cuda", "engine/kernels", "tests/cuda_host")
    newest = max(path.stat().st_mtime for folder in folders for path in (ROOT / folder).iterdir())
    path = BUILD / target
    if not path.exists() or path.stat().st_mtime < newest:
        BUILD.mkdir(parents=True, exist_ok=True)
        usual = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]
        fresh = path.with_suffix(f".{os.getpid()}")
        files = [str(SOURCES / source) for source in sources]
        subprocess.run([compiler(), *usual, *flags, *files, "-o", str(fresh)], check=True)
        fresh.replace(path)  # all at once: another process may be building or reading it
    return path


def compiler() -> str:
    """The host's compiler; without one the test is skipped."""
    found = shutil.which("g++")
    if found is None:
        pytest.skip("needs g++")
    return found


def library_path(of: str) -> Path:
    """The driver, in one of the flavors."""
    return compiled(f"libcuda_{of}.so", ["host.cpp", "driver.cpp", "images.cpp"], ["-fPIC", "-shared", *FLAVORS[of]])


@cache
def library() -> ctypes.CDLL:
    """The driver."""
    loaded = ctypes.CDLL(str(library_path(flavor())))
    loaded.shim_device.argtypes = (ctypes.c_int,) * 4 + (ctypes.c_size_t,)
    loaded.shim_allocated.restype = ctypes.c_size_t
    loaded.shim_run_name.restype = ctypes.c_char_p
    loaded.shim_record.argtypes = (ctypes.c_char_p,)
    return loaded


def sanitized_environment() -> dict[str, str]:
    """The environment of a process in which the sanitizers watch the kernels."""
    library_path("sanitized")  # here, where they do not watch the compiler too
    runtimes = [
        subprocess.run([compiler(), f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
        for name in ("libasan.so", "libubsan.so")
    ]
    # Fibres have stacks of their own, which the sanitizer cannot follow; arrays are what is watched.
    options = "detect_leaks=0,detect_stack_use_after_return=0"
    return {
        **os.environ,
        FLAVOR: "sanitized",
        "ASAN_OPTIONS": options,
        "LD_PRELOAD": "".join(runtimes).replace("\n", " "),
    }


class HostGpu:
    """The GPU on the host.

    Attributes:
        library: its driver.
    """

    def __init__(self, patch: pytest.MonkeyPatch, image: bytes = ALL_KERNELS, name: str = "sm_90") -> None:
        """Let the engine find it, until the patch is undone.

        Args:
            image: what the wheel carries.
            name: its name there.
        """
        self.library = library()
        self.library.shim_device(9, 0, 13000, 1, 2**30)
        self.library.shim_seed(0)
        self._begun = self.library.shim_run_count()
        pack = BUILD / f"kernels-{os.getpid()}.bin"
        kernel_pack.write_pack(pack, (13, 0), kernel_pack.source_hash(), KERNELS, {name: image})
        patch.setattr(devices, "_load_driver", lambda: self.library)
        patch.setattr(kernel_pack, "PACK", pack)
        forget()

    def order(self, seed: int) -> None:
        """Draw another order of threads."""
        self.library.shim_seed(seed)

    def fail(self, function: str, code: int, after: int = 0) -> None:
        """Let a function of the driver fail once, after some calls that do not."""
        self.library.shim_fail(function.encode(), after, code)

    def allocated(self) -> int:
        """Bytes of device memory that are allocated."""
        return int(self.library.shim_allocated())

    @property
    def launched(self) -> list[str]:
        """The kernels that have run, in order."""
        device.device().synchronize()
        count = self.library.shim_run_count()
        return [self.library.shim_run_name(i).decode() for i in range(self._begun, count)]


KERNELS = (
    "candidates_mixed",
    "candidates_shaded",
    "candidates_tint",
    "combine_scales",
    "compare_mixed",
    "compare_shaded",
    "compare_tint",
    "count_pairs",
    "differentiate_edges",
    "differentiate_mixed",
    "differentiate_shaded",
    "differentiate_ssim",
    "differentiate_tint",
    "draw_mixed",
    "draw_shaded",
    "draw_tint",
    "gather_gradients",
    "halve_planes",
    "list_pairs",
    "measure_ssim",
    "order_pairs",
    "place_parameters",
    "project_maps",
    "reduce_candidates",
    "reduce_gradients",
    "reduce_removal",
    "removal_mixed",
    "removal_shaded",
    "removal_tint",
    "scan_pairs",
    "show_mixed",
    "show_shaded",
    "show_tint",
    "step_mixed",
    "step_shaded",
    "step_terms_mixed",
    "step_terms_shaded",
    "step_terms_tint",
    "step_tint",
    "sum_losses",
    "update_parameters",
)
