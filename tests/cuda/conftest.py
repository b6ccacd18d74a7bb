# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the CUDA back end share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cuda_host import HostGpu
from fake_gpu import forget, machine_maker
from small_kernels import SMALL

OF_ALL_TESTS = os.environ["SMALTI_CACHE"]
"""The cache that the tests use but for those of this folder."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of this test's own, and nothing remembered of this machine's GPU before or after."""
    monkeypatch.setenv("SMALTI_CACHE", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "cache" / "cuda"
    monkeypatch.undo()
    forget()


@pytest.fixture
def kept_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of all tests, for what needs the real kernels but not to compile them once more."""
    monkeypatch.setenv("SMALTI_CACHE", OF_ALL_TESTS)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for folder in ("cuda", "kernels"):
        (tmp_path / folder).mkdir()
    (tmp_path / "kernels" / "twice.h").write_text("__device__ float twice(float x) { return 2 * x; }\n")
    (tmp_path / "cuda" / "small.cu").write_text(SMALL)
    return tmp_path / "cuda" / "small.cu"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this a machine with a GPU, good but for the arguments (see `fake_gpu.machine_maker`)."""
    return machine_maker(monkeypatch)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> HostGpu:
    """A GPU on the host."""
    return HostGpu(monkeypatch)
