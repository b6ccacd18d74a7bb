# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a GPU cannot be used, and what is said about it. Objects answer in place of NVIDIA's libraries."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_gpu import Library, forget
from jobs import ramp
from PIL import Image

from smalti.bridge.choices import AUTO, DEVICES
from smalti.bridge.errors import SmaltiError
from smalti.engine import cli, devices, kernel_pack
from smalti.engine.cli import doctor
from smalti.engine.cuda import launcher, nvrtc
from smalti.engine.job.device import resolve_device
from smalti.engine.raster import self_check


def test_the_back_ends_are_the_devices_that_a_job_can_name() -> None:
    assert {*devices.BACK_ENDS, AUTO} == set(DEVICES)


def test_a_gpu_that_works_comes_first(machine: Callable[..., None]) -> None:
    machine()
    assert devices.nvidia_gpu() == devices.Gpu("Test RTX", (8, 6), 8 * 2**30, (13, 0))
    assert devices.cuda_unavailable() is None
    assert launcher.why_not() is None
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
        (
            {"compiler": None},
            "This installation has no CUDA kernels for Test RTX (compute capability 8.6).",
            "pip install nvidia-cuda-nvrtc",
            True,
        ),
        (
            {"library": Library(version=12080)},
            "The NVIDIA driver is too old: it knows CUDA 12.8, and the kernels need CUDA 13.0.",
            "newest NVIDIA driver",
            True,
        ),
        (
            {"library": Library(version=13020), "compiler": 14},
            "The NVIDIA driver is too old: it knows CUDA 13.2, and the kernels need CUDA 14.0.",
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
    assert launcher.why_not() == str(unavailable)
    assert devices.available_devices() == ("cpu", "reference")


def carry(path: Path, monkeypatch: pytest.MonkeyPatch, *images: str, toolkit: tuple[int, int] = (13, 0)) -> None:
    """Let this installation carry kernels."""
    kernel_pack.write_pack(path, toolkit, kernel_pack.source_hash(), ["k"], dict.fromkeys(images, b"image"))
    monkeypatch.setattr(kernel_pack, "PACK", path)


@pytest.mark.parametrize(
    ("capability", "version", "said"),
    [
        ((8, 6), 13000, None),
        ((8, 6), 12090, "it knows CUDA 12.9, and the kernels need CUDA 13.0."),
        ((12, 0), 13010, None),
        ((12, 0), 13000, "it knows CUDA 13.0, and the kernels need CUDA 13.1."),
        ((9, 0), 13010, "This installation has no CUDA kernels for Test RTX (compute capability 9.0)."),
    ],
)
def test_kernels_that_a_wheel_carries_need_no_compiler(
    capability: tuple[int, int],
    version: int,
    said: str | None,
    machine: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    carry(tmp_path / "kernels.bin", monkeypatch, "sm_86", "compute_100", toolkit=(13, 1))
    machine(Library(capability, version), compiler=None)
    found = devices.cuda_unavailable()
    assert (found is None) == (said is None)
    assert said is None or said in str(found)


def test_a_gpu_that_cannot_be_opened(machine: Callable[..., None]) -> None:
    machine(works=False)
    assert launcher.why_not() == (
        "The GPU cannot be used (CUDA_ERROR_DEVICE_UNAVAILABLE, cuDevicePrimaryCtxRetain). Choose the device cpu."
    )


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
    machine(compiler=None)
    assert resolve_device("auto") == "cpu"
    assert [(r.levelname, "no CUDA kernels" in r.getMessage()) for r in caplog.records] == [("WARNING", True)]
    caplog.clear()
    forget()
    machine(works=False)
    assert resolve_device("auto") == "cpu"
    assert [(r.levelname, "DEVICE_UNAVAILABLE" in r.getMessage()) for r in caplog.records] == [("WARNING", True)]
    with pytest.raises(SmaltiError, match="device is 'cuda', but: The GPU cannot be used"):
        resolve_device("cuda")


def cuda_checks() -> dict[str, doctor.Check]:
    return {check.name: check for check in doctor._cuda()}


@pytest.mark.usefixtures("kept_cache")
def test_doctor_is_calm_about_a_machine_without_a_gpu(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine(OSError())
    found = cuda_checks()
    assert list(found) == ["GPU", "CUDA kernels"]
    assert all(check.good for check in found.values())
    assert found["GPU"].found == "not used: No NVIDIA driver was found on this machine."
    assert re.match(r"(compiled|cached) for sm_75 by NVRTC \d", found["CUDA kernels"].found)
    assert cuda_checks()["CUDA kernels"].found.startswith("cached for sm_75 by NVRTC ")
    monkeypatch.setattr(nvrtc, "files", lambda package: [])
    nvrtc._library.cache_clear()
    assert cuda_checks()["CUDA kernels"] == doctor.Check(
        "CUDA kernels", True, "not in this installation; only a GPU needs them"
    )
    carry(tmp_path / "kernels.bin", monkeypatch, "sm_86", "sm_90")
    kernels = cuda_checks()["CUDA kernels"]
    assert (kernels.good, kernels.found) == (True, "for sm_86, sm_90, compiled by CUDA 13.0")


@pytest.mark.usefixtures("kept_cache")
def test_doctor_tells_of_a_gpu_and_what_it_lacks(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine(works=False)
    found = cuda_checks()
    assert found["NVIDIA driver"].found == "for CUDA 13.0"
    assert found["GPU"].found == "Test RTX, 8,192 MB, compute capability 8.6"
    assert " for sm_86 by NVRTC " in found["CUDA kernels"].found
    assert not found["GPU drawing"].good
    assert "DEVICE_UNAVAILABLE" in found["GPU drawing"].found
    monkeypatch.setattr(nvrtc, "files", lambda package: [])
    nvrtc._library.cache_clear()
    kernels = cuda_checks()["CUDA kernels"]
    assert not kernels.good
    assert "pip install nvidia-cuda-nvrtc" in kernels.hint
    carry(tmp_path / "kernels.bin", monkeypatch, "sm_86", "sm_90")
    kernels = cuda_checks()["CUDA kernels"]
    assert (kernels.good, kernels.found) == (True, "for sm_86, compiled by CUDA 13.0")


@pytest.mark.usefixtures("kept_cache")
def test_doctor_draws_with_a_gpu_that_works(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    monkeypatch.setattr(self_check, "agrees_with_cpu", lambda back_end: back_end == "cuda", raising=False)
    assert cuda_checks()["GPU drawing"] == doctor.Check("GPU drawing", True, "works")
    monkeypatch.setattr(self_check, "agrees_with_cpu", lambda back_end: 1 / 0)
    assert not cuda_checks()["GPU drawing"].good
