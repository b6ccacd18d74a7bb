# SPDX-License-Identifier: GPL-3.0-or-later
"""``smalti estimate``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from calls import smalti
from jobs import contents, film

from smalti.engine import cli


def test_an_estimate_says_how_long_each_preset_takes_and_writes_nothing(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = contents(here)
    assert cli.main(["estimate", "target.png", "--primitives", "marks", "--count", "12", "--steps", "40"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["draft", "balanced", "best"]
    assert all(re.fullmatch(r"\w+ +40 steps +about [\d.]+ s", line) for line in lines)
    assert contents(here) == before
    assert cli.main(["estimate", "none.png", "--primitives", "marks"]) == 2
    assert "none.png" in capfd.readouterr().err


@pytest.mark.parametrize("preset", ["draft", "balanced", "published"])
def test_an_estimate_for_one_preset_says_nothing_of_the_others(
    here: Path, capfd: pytest.CaptureFixture[str], preset: str
) -> None:
    settings = ("target.png", "--primitives", "marks", "--count", "12", "--steps", "40", "--preset", preset)
    assert smalti("estimate", *settings) == 0
    assert re.fullmatch(rf"{preset} +40 steps +about [\d.]+ s\n", capfd.readouterr().out)


def test_an_estimate_for_a_film_tells_the_steps_that_the_fit_takes(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = (film(here / "film"), "--primitives", "marks", "--count", "12", "--preset", "draft")
    assert smalti("estimate", *settings) == 0
    told = capfd.readouterr().out
    assert smalti("fit", *settings, "--out", "out") == 0
    steps = json.loads((here / "out" / "report.json").read_text())["steps"]
    assert re.search(r"(\d+) steps \((\d+) for the first frame\) +about", told)
    total, first = map(int, re.findall(r"\d+", told)[:2])
    assert total == steps > first


@pytest.mark.slow
def test_an_estimate_is_about_what_the_fit_then_takes(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = ["target.png", "--primitives", "marks", "--count", "200", "--size", "128", "--steps", "200"]
    assert cli.main(["estimate", *settings]) == 0
    told = float(re.search(r"balanced.*about ([\d.]+) s", capfd.readouterr().out)[1])  # type: ignore[index]
    assert cli.main(["fit", *settings, "--out", "out"]) == 0
    took = json.loads((here / "out" / "report.json").read_text())["seconds"]
    assert took / 6 < told < 6 * took  # other work on the machine comes and goes
