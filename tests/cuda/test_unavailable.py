# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a GPU cannot be used, and what is said about it. Objects answer in place of NVIDIA's libraries."""

from __future__ import annotations

import importlib.util
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fake_gpu import Library, forget
from jobs import ramp
from PIL import Image

from smalti.bridge.choices import AUTO, DEVICES
from smalti.bridge.errors import SmaltiError
from smalti.engine import cli, devices
from smalti.engine.cli import doctor
from smalti.engine.cuda import driver
from smalti.engine.job.device import resolve_device
from smalti.engine.raster import self_check


def test_the_back_ends_are_the_devices_that_a_job_can_name() -> None:
    assert {*devices.BACK_ENDS, AUTO} == set(DEVICES)


def test_a_gpu_that_works_comes_first(machine: Callable[..., None]) -> None:
    machine()
    assert devices.nvidia_gpu() == devices.Gpu("Test RTX", (8, 6), 8 * 2**30, (13, 0))
    assert devices.cuda_unavailable() is None
    assert driver.why_not() is None
    assert devices.available_devices() == ("cuda", "cpu", "reference")
    assert devices.default_device() == "cuda"


@pytest.mark.parametrize(
    ("made", "reason", "hint", "fixable"),
    [
        ({"library": OSError("libcuda.so.1")}, "No NVIDIA driver was found on this machine.", "cpu", False),
        ({"library": Library(init=34)}, "No NVIDIA driver was found on this machine.", "cpu", False),
        ({"library": Library(init=100)}, "There is an NVIDIA driver, but no GPU that it can use.", "cpu", False),
        ({"library": Library(count=0)}, "There is an NVIDIA driver, but no GPU that it can use.", "cpu", False),
        ({"library": Library(init=803)}, "The NVIDIA driver does not work (error 803).", "newest NVIDIA driver", True),
        ({"library": object()}, "The NVIDIA driver does not work ('object'", "newest NVIDIA driver", True),
        ({"library": Library((7, 0))}, "Test RTX is too old: it has compute capability 7.0", "cpu", False),
        ({"torch_cuda": None}, "The torch that is installed was built without CUDA.", "stands on pytorch.org", True),
        (
            {"library": Library(version=12080), "torch_cuda": 12},
            "The NVIDIA driver is too old: it knows CUDA 12.8, and NVRTC needs CUDA 13.0.",
            "newest NVIDIA driver",
            True,
        ),
        (
            {"library": Library(version=13020), "torch_cuda": 14},
            "The NVIDIA driver is too old: it knows CUDA 13.2, and torch needs CUDA 14.0.",
            "newest NVIDIA driver",
            True,
        ),
    ],
)
def test_why_a_gpu_cannot_be_used(
    made: dict[str, Any], reason: str, hint: str, fixable: bool, machine: Callable[..., None]
) -> None:
    machine(**made)
    unavailable = devices.cuda_unavailable()
    assert unavailable is not None
    assert unavailable.reason.startswith(reason)
    assert hint in unavailable.hint
    assert unavailable.fixable == fixable
    assert driver.why_not() == str(unavailable)
    assert devices.available_devices() == ("cpu", "reference")


def test_missing_packages_are_named(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    true = importlib.util.find_spec
    monkeypatch.setattr("smalti.engine.devices.find_spec", lambda name: None if name == "cuda.core" else true(name))
    assert "packages for NVIDIA GPUs are not installed (cuda.core)" in str(driver.why_not())
    assert 'pip install "smalti[cuda]"' in str(driver.why_not())


def test_a_gpu_that_torch_or_nvrtc_cannot_use(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine(torch_works=False)
    expected = "torch cannot use the GPU (CUDA error: all CUDA-capable devices are busy or unavailable)."
    assert str(driver.why_not()).startswith(expected)
    forget()

    def missing() -> None:
        raise SmaltiError("NVRTC is missing.", "Install it.", "cuda_missing")

    monkeypatch.setattr(driver, "nvrtc_version", missing)
    assert driver.why_not() == "NVRTC is missing. Install it."


def test_torchs_cuda_is_read_from_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices._torch_cuda() == (int(torch.version.cuda.split(".")[0]) if torch.version.cuda else None)
    monkeypatch.setattr(
        "smalti.engine.devices.find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    )
    assert devices._torch_cuda() is None
    (tmp_path / "version.py").write_text("debug = False\ncuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n")
    assert devices._torch_cuda() == 13


def test_asking_for_the_devices_imports_nothing_heavy() -> None:
    code = (
        "import sys; from smalti.engine import devices; devices.available_devices();"
        "assert not {'torch', 'numpy', 'smalti.engine.cuda'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_asking_for_a_gpu_that_cannot_be_used_is_one_line_and_2(
    machine: Callable[..., None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    machine(OSError())
    Image.fromarray(ramp()).save(tmp_path / "target.png")
    arguments = ["fit", str(tmp_path / "target.png"), "--primitives", str(tmp_path), "--out", str(tmp_path / "out")]
    assert cli.main([*arguments, "--device", "cuda"]) == 2
    assert capfd.readouterr().err == (
        "smalti: --device is 'cuda', but: No NVIDIA driver was found on this machine. Choose the device cpu or auto.\n"
    )
    assert not (tmp_path / "out").exists()


def test_auto_computes_on_the_cpu_and_says_why(machine: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smalti")
    machine(OSError())
    assert resolve_device("auto") == "cpu"
    (said,) = caplog.records
    assert (said.levelname, said.getMessage()[:48]) == ("INFO", "The GPU is not used: No NVIDIA driver was found ")
    caplog.clear()
    forget()
    machine(torch_cuda=None)
    assert resolve_device("auto") == "cpu"
    assert [(r.levelname, "built without CUDA" in r.getMessage()) for r in caplog.records] == [("WARNING", True)]
    caplog.clear()
    forget()
    machine(torch_works=False)
    assert resolve_device("auto") == "cpu"
    assert [(r.levelname, "devices are busy" in r.getMessage()) for r in caplog.records] == [("WARNING", True)]
    with pytest.raises(SmaltiError, match="device is 'cuda', but: torch cannot use the GPU"):
        resolve_device("cuda")


def cuda_checks() -> dict[str, doctor.Check]:
    return {check.name: check for check in doctor._cuda()}


@pytest.mark.usefixtures("kept_cache")
def test_doctor_is_calm_about_a_machine_without_a_gpu(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(OSError())
    found = cuda_checks()
    assert list(found) == ["GPU", "CUDA packages", "CUDA kernels"]
    assert all(check.good for check in found.values())
    assert found["GPU"].found == "not used: No NVIDIA driver was found on this machine."
    assert "nvidia-cuda-nvrtc" in found["CUDA packages"].found
    assert re.match(r"(compiled|cached) for sm_75 by NVRTC \d", found["CUDA kernels"].found)
    assert cuda_checks()["CUDA kernels"].found.startswith("cached for sm_75 by NVRTC ")
    monkeypatch.setattr(doctor, "_version", lambda package: "")
    found = cuda_checks()
    assert list(found) == ["GPU", "CUDA packages"]
    assert all(check.good for check in found.values())
    assert found["CUDA packages"].found.endswith("only a GPU needs them")


@pytest.mark.usefixtures("kept_cache")
def test_doctor_tells_of_a_gpu_and_what_it_lacks(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine(torch_cuda=None)
    found = cuda_checks()
    assert found["NVIDIA driver"].found == "for CUDA 13.0"
    assert found["GPU"].found == "Test RTX, 8,192 MB, compute capability 8.6"
    assert " for sm_86 by NVRTC " in found["CUDA kernels"].found
    assert not found["GPU drawing"].good
    assert "built without CUDA" in found["GPU drawing"].found
    monkeypatch.setattr(doctor, "_version", lambda package: "")
    packages = cuda_checks()["CUDA packages"]
    assert not packages.good
    assert packages.hint == 'Install them: pip install "smalti[cuda]"'


@pytest.mark.usefixtures("kept_cache")
def test_doctor_draws_with_a_gpu_that_works(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    monkeypatch.setattr(self_check, "matches_reference", lambda back_end: back_end == "cuda")
    assert cuda_checks()["GPU drawing"] == doctor.Check("GPU drawing", True, "works")
    monkeypatch.setattr(self_check, "matches_reference", lambda back_end: 1 / 0)
    assert not cuda_checks()["GPU drawing"].good
