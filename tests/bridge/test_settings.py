# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of settings: what its rows promise, and what follows from them."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from smalti.bridge.choices import DEVICES, PRESETS, Choice, everyday
from smalti.bridge.errors import SmaltiError, bad_setting, named, worded
from smalti.bridge.job import JobSpec, RegionSpec, setting_at
from smalti.bridge.job_file import read_job, write_job
from smalti.bridge.settings import Setting, check_ranges, setting, settings_of

ROOT = Path(__file__).resolve().parents[2]
ROWS = [one for kind in (JobSpec, RegionSpec) for one in settings_of(kind).values()]
SHAPES = {"round": Choice("Round", "Without corners"), "square": Choice("Square", "With four", everyday=False)}


@dataclass(frozen=True)
class Toy:
    """Settings of every kind."""

    share: float = setting(0.5, "Share", "How much", low=0, high=0.9)
    rate: float = setting(24.0, "Rate", "How often", above=0, high=1000, unit="times a second")
    depth: float | None = setting(None, "Depth", "How deep", none="any", above=0, unit="layers")
    length: int | None = setting(None, "Length", "How long", low=1, unit="pixels")
    shape: Literal["round", "square"] = setting("round", "Shape", "Which", choices=SHAPES)
    map: str | None = setting(None, "Map", "Where", path="file", rule="the path of a map")
    word: str = setting("a", "Word", "Called", check=lambda word: "" if word.islower() else "in small letters")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_says_what_all_front_doors_need(row: Setting) -> None:
    assert re.match("[A-Z]", row.label)
    assert re.match("[A-Z0]", row.help)
    assert not row.help.endswith(".")
    assert row.kind in (bool, int, float, str, tuple)
    assert row.kind is bool or row.choices or row.metavar
    said = f"{row.label} {row.help} {row.none} {' '.join(c.label + c.help for c in (row.choices or {}).values())}"
    assert not re.search("colour|grey|centre|minimis", said, re.IGNORECASE)
    if not row.required:
        assert row.broken_rule(row.default) == ""


def test_options_and_labels_are_told_apart() -> None:
    for kind in (JobSpec, RegionSpec):
        rows = settings_of(kind).values()
        assert len({row.label for row in rows}) == len({row.option for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"share": 1.0}, "share is 1.0, but must be from 0 to 0.9."),
        ({"share": float("nan")}, "share is nan, but must be from 0 to 0.9."),
        ({"rate": 0.0}, "rate is 0.0, but must be more than 0 and at most 1,000 times a second."),
        ({"rate": 1000.5}, "rate is 1000.5, but must be more than 0 and at most 1,000 times a second."),
        ({"depth": 0.0}, "depth is 0.0, but must be more than 0 layers."),
        ({"depth": float("inf")}, "depth is inf, but must be more than 0 layers."),
        ({"length": 0}, "length is 0, but must be at least 1 pixel."),
        ({"shape": "oval"}, "shape is 'oval', but must be one of round, square."),
        ({"map": ""}, "map is '', but must be the path of a map."),
        ({"word": "A"}, "word is 'A', but must be in small letters."),
        ({"share": None}, "share is missing, but must be given."),
    ],
)
def test_a_value_out_of_its_range_is_told_with_setting_value_and_rule(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SmaltiError) as caught:
        check_ranges(Toy(**changes))
    (name, value), *_ = changes.items()
    fault = caught.value
    assert (str(fault), fault.code, fault.setting) == (told, "bad_setting", name)
    assert fault.value is value
    assert told.endswith(f"must be {fault.rule}.")


def test_bounds_and_what_is_left_open_are_good() -> None:
    check_ranges(Toy())
    check_ranges(Toy(share=0, rate=1000, depth=1e300, length=10**9, shape="square", map="map.png"))
    check_ranges(Toy(share=0.9, rate=1e-9, depth=None, length=1))


def test_a_choice_that_is_none_is_refused_by_a_job() -> None:
    with pytest.raises(SmaltiError, match="preset is 'slow', but must be one of draft, balanced, best"):
        JobSpec("a.png", "leaves", preset="slow").checked()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (setting("round", "Shape", "Which", choices={"oval": SHAPES["round"]}), "the table of choices"),
        (setting("round", "Shape", "Which"), "the table of choices"),
    ],
)
def test_a_table_of_choices_that_is_not_that_of_its_type_is_a_mistake(row: Any, why: str) -> None:
    @dataclass(frozen=True)
    class Wrong:
        shape: Literal["round", "square"] = row

    Wrong.__annotations__["shape"] = Literal["round", "square"]
    with pytest.raises(TypeError, match=why):
        settings_of(Wrong)


def test_a_number_without_a_range_is_a_mistake() -> None:
    @dataclass(frozen=True)
    class Wrong:
        size: int = setting(1, "Size", "How large")

    with pytest.raises(TypeError, match="low or above"):
        settings_of(Wrong)


def test_every_front_door_words_an_error_in_its_own_way() -> None:
    fault = bad_setting("min_size", 9.0, f"at most {named('max_size')} (4.0)", hint=f"Raise {named('max_size')}.")
    assert fault.message == "min_size is 9.0, but must be at most max_size (4.0)."
    assert fault.hint == "Raise max_size."
    assert fault.worded(lambda key: setting_at(key).label) == (
        "Smallest Sprite is 9.0, but must be at most Largest Sprite (4.0). Raise Largest Sprite."
    )
    assert fault.worded(lambda key: setting_at(key).option).startswith(
        "--min-size is 9.0, but must be at most --max-size"
    )


def test_a_setting_of_a_region_is_named_with_its_region() -> None:
    regions = (RegionSpec("a.png", 5), RegionSpec("b.png", 0))
    with pytest.raises(SmaltiError) as caught:
        JobSpec("a.png", "leaves", regions=regions).checked()
    fault = caught.value
    assert (fault.setting, fault.value, fault.region) == ("count", 0, 2)
    assert fault.message == "count of region 2 is 0, but must be from 1 to 1,000,000."
    assert fault.worded(lambda key: f"<{key}>").startswith("<regions.count> of region 2 is 0")


def test_words_of_a_user_are_never_taken_for_a_setting() -> None:
    fault = bad_setting("background", "{size} min_size \ufdd0size\ufdd1", f"left out with {named('size')}")
    assert fault.worded(str.upper) == (
        "BACKGROUND is '{size} min_size \\ufdd0size\\ufdd1', but must be left out with SIZE."
    )


def test_a_text_without_settings_is_worded_as_it_is() -> None:
    assert worded("leaf.png: is cut off, size and all.", str.upper) == "leaf.png: is cut off, size and all."


def test_what_is_for_measuring_and_checking_is_kept_from_the_panel() -> None:
    assert everyday(PRESETS) == ("draft", "balanced", "best")
    assert everyday(DEVICES) == ("auto", "cpu", "cuda")


def test_every_path_of_a_job_is_found_and_changed() -> None:
    rows = settings_of(JobSpec)
    given: dict[str, Any] = {name: f"{name}.png" for name, row in rows.items() if row.path}
    job = JobSpec(**given, background="sky.png", regions=(RegionSpec("a.png", 5, primitives="petals"),))
    found = given | {"background": "sky.png", "mask of region 1": "a.png", "primitives of region 1": "petals"}
    assert job.paths == found
    assert job.with_paths(lambda path: f"/x/{path}").paths == {name: f"/x/{path}" for name, path in found.items()}
    assert JobSpec("a.png", background="#102030").with_paths(str.upper) == JobSpec("A.PNG", background="#102030")


def test_a_list_of_paths_is_found_changed_and_kept(tmp_path: Path) -> None:
    job = JobSpec("a.png", ("leaves", "petals/*"), target_mask=("b.png", "c.png"), bitmap_weights=(2.0, 1.0))
    paths = {"target": "a.png", "primitives": "leaves", "primitives 2": "petals/*"}
    assert job.paths == paths | {"target_mask": "b.png", "target_mask 2": "c.png"}
    assert job.with_paths(str.upper).primitives == ("LEAVES", "PETALS/*")
    write_job(tmp_path / "job.json", job)
    assert read_job(tmp_path / "job.json") == job
    one = JobSpec("a.png", "leaves")
    write_job(tmp_path / "job.json", one)
    assert '"primitives": "leaves"' in (tmp_path / "job.json").read_text()
    with pytest.raises(SmaltiError, match="primitives is empty, but must be the path of a folder of bitmaps"):
        JobSpec("a.png", ()).checked()


def test_the_readmes_tables_are_those_of_the_rows() -> None:
    spec = importlib.util.spec_from_file_location("make_settings_table", ROOT / "docs" / "make_settings_table.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    readme = script.README.read_text(encoding="utf-8")
    assert readme == script.updated(readme), "run make settings"
    assert all(f"`{row.name}`" in readme for row in ROWS)
