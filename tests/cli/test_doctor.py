# SPDX-License-Identifier: GPL-3.0-or-later
"""``smalti doctor``."""

from __future__ import annotations

import shutil
import sys

import pytest
from calls import broken, smalti

from smalti.engine.cli import doctor


def test_doctor_finds_this_machine_good(capfd: pytest.CaptureFixture[str]) -> None:
    assert smalti("doctor") == 0
    out = capfd.readouterr().out
    for name in (
        "Smalti",
        "numpy",
        "pillow",
        "psd-tools",
        "resvg_py",
        "wcwidth",
        "tqdm",
        "CPU kernels",
        "devices",
        "disk",
    ):
        assert f"ok      {name}: " in out


def test_doctor_names_what_is_missing_and_what_to_do(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psd_tools", None)
    assert smalti("doctor") == 1
    out = capfd.readouterr().out
    assert "MISSING psd-tools: cannot be imported" in out
    assert "pip install psd-tools" in out
    assert "ok      numpy: " in out


def test_doctor_tells_of_kernels_that_do_not_run(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smalti.engine.cpu._native.forward", broken)
    monkeypatch.setattr(doctor, "available_devices", lambda: ("cpu", "reference"))
    monkeypatch.setattr(doctor, "default_device", lambda: "cpu")
    assert smalti("doctor") == 1
    out = capfd.readouterr().out
    assert "MISSING CPU kernels: do not run" in out
    assert "MISSING devices: reference; auto means cpu, which does not work" in out
    assert out.count("pip install --force-reinstall --no-deps .\n") == 2


def test_doctor_does_not_count_the_cpu_among_the_devices_where_only_the_gpu_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smalti.engine.cpu._native.forward", broken)
    monkeypatch.setattr(doctor, "available_devices", lambda: ("cuda", "cpu", "reference"))
    monkeypatch.setattr(doctor, "default_device", lambda: "cuda")
    (devices,) = (check for check in doctor.checks() if check.name == "devices")
    assert (devices.good, devices.found) == (True, "cuda, reference; auto means cuda")


def test_doctor_tells_of_a_disk_that_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr("smalti.engine.cli.doctor.shutil.disk_usage", lambda path: usage._replace(free=10 * 2**20))
    (disk,) = (check for check in doctor.checks() if check.name == "disk")
    assert not disk.good
    assert "10 MB free" in disk.found
