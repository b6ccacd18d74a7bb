# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests of the CUDA kernels once more, in other builds of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cuda_host import FLAVOR, flavor, sanitized_environment

NAMES = "test_kernels.py", "test_fused_step.py", "test_step_terms.py"
TESTS = [str(Path(__file__).with_name(name)) for name in NAMES]


@pytest.mark.slow
@pytest.mark.timeout(1800)  # each of its tests has a limit of its own
@pytest.mark.skipif(flavor() != "plain", reason="is run by itself")
def test_no_kernel_reads_or_writes_outside_its_arrays() -> None:
    """Those tests that launch each kernel in each way once more, under AddressSanitizer and UBSan."""
    # Left out, as they launch no other kernels: they take half of the time.
    others = "not each_step_has and not moved_from_outside and not go_on_from_a_checkpoint"
    run_again(sanitized_environment(), others)


@pytest.mark.slow
@pytest.mark.skipif(flavor() != "plain", reason="is run by itself")
def test_kernels_whose_products_are_fused_with_additions_agree_too() -> None:
    """As NVRTC fuses them, and g++ otherwise does not."""
    run_again({**os.environ, FLAVOR: "fused"}, "")


def run_again(environment: dict[str, str], chosen: str) -> None:
    """The fast tests of the kernels, in a process of their own."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", *TESTS, "-m", "not slow"]
    done = subprocess.run([*command, "-k", chosen], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.slow
@pytest.mark.skipif(flavor() != "plain", reason="would end the process")
def test_the_sanitizers_would_find_such_a_write() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests'); import pytest; from cuda_host import HostGpu\n"
        "from scenes import random_scene\n"
        "from smalti.engine.cuda import binning; from smalti.engine.raster import draw\n"
        "HostGpu(pytest.MonkeyPatch())\n"
        "reserve = binning.Bins.reserve\n"
        "def short(bins, pairs):\n    reserve(bins, pairs // 2); bins.capacity = pairs\n"
        "binning.Bins.reserve = short; draw(random_scene(1), 'cuda')"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=sanitized_environment(), cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
