# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PSD shows of its bitmaps: its layers alone have the figures of the composition."""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from compositions import composition, grid, letters, scattered, target
from jobs import badge, ramp, save, small_job
from PIL import Image
from psd_tools import PSDImage
from psd_tools.constants import BlendMode
from runs import refused

from smalti.engine import export_job, measure_legibility, run_job

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "quality" / "psd_legibility.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("psd_legibility", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["psd_legibility"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("background", ["#405060", "transparent"])
def test_a_psd_has_the_figures_of_its_composition(tmp_path: Path, script: ModuleType, background: str) -> None:
    rng = np.random.default_rng(3)
    shown = composition(
        letters(),
        **scattered(300),
        opacity=rng.uniform(0.2, 1, 300),
        scale=rng.uniform(6, 30, 300),
        background=background,
    )
    shown.save(tmp_path / "job")
    path = export_job(tmp_path / "job", "psd")
    cut_out = target()
    cut_out[:100, ..., 3] = 0
    expected = measure_legibility(shown, cut_out).as_json()
    found = script.psd_legibility(path, save(tmp_path / "target.png", cut_out))
    assert found.pop("sprites") == 300
    assert found == pytest.approx({name: expected[name] for name in found}, rel=0.02, abs=0.01)


def test_the_script_prints_json(tmp_path: Path, script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    run_job(small_job(tmp_path), tmp_path / "job")
    assert script.main([str(export_job(tmp_path / "job", "psd"))]) == 0
    assert json.loads(capsys.readouterr().out)["owned"] >= 0
    assert script.main([str(tmp_path / "job" / "job.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_that_cannot_be_measured_is_refused(tmp_path: Path, script: ModuleType) -> None:
    no_file = save(tmp_path / "picture.png", badge())
    empty = tmp_path / "empty.psd"
    PSDImage.frompil(Image.fromarray(ramp(40, 30))).save(empty)
    shown = composition(letters(), **grid())
    shown.save(tmp_path / "job")
    multiplied = export_job(tmp_path / "job", "psd")
    file = PSDImage.open(multiplied)
    file[1].blend_mode = BlendMode.MULTIPLY
    file.save(tmp_path / "multiplied.psd")
    for path, reason in (
        (no_file, "cannot be read as a PSD"),
        (empty, "no layers of sprites"),
        (tmp_path / "multiplied.psd", "does not blend normally"),
    ):
        fault = refused(partial(script.psd_legibility, path))
        assert fault.code == "not_measurable"
        assert reason in fault.message
        assert path.name in fault.message
