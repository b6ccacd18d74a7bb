# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU kernels under AddressSanitizer and UndefinedBehaviorSanitizer, driven by tests/native without Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "tests" / "native"
BUILD = ROOT / "build" / "native"


def _tool(name: str) -> str:
    """The path of a program of this environment, or else of the system."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}")
    return found


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="GCC's and Clang's sanitizers")
def test_kernels_keep_their_promises_under_sanitizers() -> None:
    """The driver prints one line for each scene, and what failed."""
    cmake, ninja = _tool("cmake"), _tool("ninja")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    subprocess.run([cmake, "--fresh", "-S", SOURCE, "-B", BUILD, *generator, "-DSMALTI_SANITIZE=ON"], check=True)
    subprocess.run([cmake, "--build", BUILD], check=True)
    done = subprocess.run([BUILD / "native_tests"], check=False)
    assert done.returncode == 0
