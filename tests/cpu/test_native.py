# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU kernels under AddressSanitizer and UndefinedBehaviorSanitizer, driven by tests/native without Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests" / "native"
BUILD = ROOT / "build" / "native"
CASES = (SOURCE / "cases.txt").read_text(encoding="utf-8").split()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="GCC's and Clang's sanitizers"),
]


def _tool(name: str) -> str:
    """The path of a program of this environment, or else of the system."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}")
    return found


@pytest.fixture(scope="module")
def driver() -> Path:
    """The program that runs the cases, with the sanitizers in it. (`ctest --test-dir build/native` runs them too.)"""
    import fcntl

    cmake, ninja = _tool("cmake"), _tool("ninja")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"]
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:  # of several processes that test, one builds
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([cmake, "--fresh", "-S", SOURCE, "-B", BUILD, *generator, "-DSMALTI_SANITIZE=ON"], check=True)
        subprocess.run([cmake, "--build", BUILD], check=True)
    return BUILD / "native_tests"


def test_the_list_of_cases_is_complete(driver: Path) -> None:
    listed = subprocess.run([driver], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == CASES


@pytest.mark.parametrize("case", CASES)
def test_kernels_keep_their_promises_under_sanitizers(case: str, driver: Path) -> None:
    done = subprocess.run([driver, case], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
