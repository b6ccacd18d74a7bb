# SPDX-License-Identifier: GPL-3.0-or-later
"""The options follow from the table of settings."""

from __future__ import annotations

import argparse

import pytest
from calls import smalti

from smalti.bridge.job import JobSpec, RegionSpec
from smalti.bridge.settings import settings_of
from smalti.engine.cli.options import POSITIONAL, add_options, add_positional, option_of
from smalti.engine.cli.region_argument import key_of, read_region, syntax


@pytest.mark.parametrize("command", ["fit", "estimate"])
def test_every_setting_of_the_table_has_an_option_with_help(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert smalti(command, "--help") == 0
    told = capfd.readouterr().out
    for name in settings_of(JobSpec):
        assert (f"  {option_of(name)} " if name != POSITIONAL else "  TARGET ") in told


def test_an_option_that_is_not_given_leaves_the_settings_own_default() -> None:
    parser = argparse.ArgumentParser()
    add_positional(parser)
    add_options(parser)
    given = vars(parser.parse_args(["a.png"]))
    assert set(given) == set(settings_of(JobSpec))
    assert {name: value for name, value in given.items() if value is not None} == {"target": "a.png"}


def test_every_setting_of_a_region_is_written_as_the_help_says() -> None:
    assert syntax() == "mask=FILE,count=N[,min=PX][,max=PX][,primitives=FOLDER][,confine]"
    for name, one in settings_of(RegionSpec).items():
        assert option_of(f"regions.{name}") == key_of(one)
    everything = "mask=a.png,count=3,min=4,max=5.5,primitives=petals,confine"
    assert read_region(everything) == RegionSpec("a.png", 3, 4.0, 5.5, "petals", True)


@pytest.mark.parametrize("given", ["28", "28dB", "28.0 db"])
def test_a_likeness_is_a_number_with_its_unit_or_without(given: str) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert parser.parse_args(["--until", given]).until == 28
