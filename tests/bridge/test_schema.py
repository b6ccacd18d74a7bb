# SPDX-License-Identifier: GPL-3.0-or-later
"""The files on disk: what is refused, and that the refusal names what is wrong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti.bridge import composition, job_file
from smalti.bridge.composition import Header, TemplateFile, check_arrays, read_header, write_header
from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec, RegionSpec
from smalti.bridge.job_file import read_job, write_job
from smalti.bridge.schema import from_mapping, to_mapping

JOB = JobSpec(target="/pictures/cat.jpg", primitives="/pictures/leaves")
FACE = RegionSpec(mask="/pictures/face.png", count=800)
HEADER = Header(
    width=64,
    height=48,
    sprites=3,
    frames=2,
    blend_space="srgb",
    colour_mix=0.5,
    background="transparent",
    frame_rate=24.0,
    templates=(TemplateFile("leaf", "templates/leaf.png", 8, 9),),
    engine_version="0.1.0",
)


def write_raw(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def job_text(**changes: Any) -> str:
    mapping = {"format": job_file.FORMAT, "version": job_file.VERSION, **to_mapping(JOB), **changes}
    return json.dumps({key: value for key, value in mapping.items() if value is not ...})


def refusal(path: Path) -> SmaltiError:
    with pytest.raises(SmaltiError) as caught:
        read_job(path)
    assert str(path) in caught.value.message
    return caught.value


def test_a_job_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    written = dataclasses.replace(
        JOB, size=512, min_size=4.5, mask="luminance", target="/Bilder/Ärger \udce4 猫.png", seed=2**63 - 1
    )
    write_job(path, written)
    assert read_job(path) == written


def test_regions_come_back_as_they_were_written(tmp_path: Path) -> None:
    sky = RegionSpec("/pictures/sky.png", 20, min_size=4, max_size=20.5, primitives="/pictures/birds", confine=True)
    written = dataclasses.replace(JOB, count=0, regions=(FACE, sky))
    write_job(tmp_path / "job.json", written)
    assert read_job(tmp_path / "job.json") == written


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ({"mask": "a.png", "count": 2, "colour": "red"}, "regions, number 2: unknown key 'colour'"),
        ({"mask": "a.png"}, "regions, number 2: the key 'count' is missing"),
        ({"count": 2}, "regions, number 2: the key 'mask' is missing"),
        ({"mask": "a.png", "count": 2.5}, "regions, number 2: 'count' must be a whole number"),
        ({"mask": "a.png", "count": 2, "confine": 1}, "regions, number 2: 'confine' must be true or false"),
        (7, "'regions' must be a list of an object"),
    ],
)
def test_what_is_wrong_with_a_region_is_named(tmp_path: Path, region: Any, expected: str) -> None:
    assert expected in refusal(write_raw(tmp_path / "job.json", job_text(regions=[to_mapping(FACE), region]))).message


def test_a_header_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_header(tmp_path, HEADER)
    assert read_header(tmp_path) == HEADER


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    fault = refusal(write_raw(tmp_path / "job.json", job_text(colour="red")))
    assert "'colour'" in fault.message
    assert fault.code == "unknown_key"
    assert "colour_mix" in fault.hint


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    assert "'target' is missing" in refusal(write_raw(tmp_path / "job.json", job_text(target=...))).message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, number: str) -> None:
    text = job_text(colour_mix="HERE").replace('"HERE"', number)
    assert refusal(write_raw(tmp_path / "job.json", text)).code == "bad_file"


def test_a_whole_number_beyond_all_floats_is_refused(tmp_path: Path) -> None:
    assert "'frame_rate'" in refusal(write_raw(tmp_path / "job.json", job_text(frame_rate=10**400))).message


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    fault = refusal(write_raw(tmp_path / "job.json", job_text(version=job_file.VERSION + 1, not_yet_known=1)))
    assert fault.code == "newer_version"
    assert "Update Smalti" in fault.hint


@pytest.mark.parametrize("version", [..., "1", 1.0, True, 0, None])
def test_a_version_that_is_no_version_is_refused(tmp_path: Path, version: object) -> None:
    assert "'version'" in refusal(write_raw(tmp_path / "job.json", job_text(version=version))).message


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("count", 10.5, "a whole number"),
        ("count", True, "a whole number"),
        ("count", "10", "a whole number"),
        ("count", None, "a whole number"),
        ("size", "big", "a whole number or null"),
        ("colour_mix", "0.5", "a finite number"),
        ("colour_mix", False, "a finite number"),
        ("lock_scale", 1, "true or false"),
        ("target", 7, "a text"),
        ("mask", "magic", '"luminance"'),
        ("mask", ["auto"], '"luminance"'),
        ("device", "tpu", '"cuda"'),
        ("target_mask", 3, "a text or a list or null"),
        ("palette", "#112233", "a list or null"),
        ("palette", [1], "a list of a text or null"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_what_it_must_be(
    tmp_path: Path, key: str, value: object, expected: str
) -> None:
    fault = refusal(write_raw(tmp_path / "job.json", job_text(**{key: value})))
    assert f"'{key}' must be" in fault.message
    assert expected in fault.message


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", '"job"', "[" * 100_000, "{}", '{"format": "other"}'])
def test_a_file_that_is_no_job_is_refused(tmp_path: Path, text: str) -> None:
    assert refusal(write_raw(tmp_path / "job.json", text)).code == "bad_file"


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_bytes(b'{"format": "\xff\xfe"}')
    assert refusal(path).code == "bad_file"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "nothing.json").message


def test_nested_objects_and_lists_are_checked() -> None:
    good = json.loads(json.dumps(to_mapping(HEADER)))
    assert from_mapping(Header, good, "header") == HEADER
    for templates, expected in (("leaf", "a list"), ([7], "a list of an object"), ([{"name": "leaf"}], "missing")):
        with pytest.raises(SmaltiError, match=expected):
            from_mapping(Header, {**good, "templates": templates}, "header")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("target", ""),
        ("primitives", ""),
        ("primitives", None),
        ("text", ""),
        ("text", " \t\u00a0\n"),
        ("font", ""),
        ("font", "/fonts/serif.ttf"),
        ("count", 0),
        ("count", -5),
        ("count", 10**9),
        ("size", 15),
        ("size", 16_385),
        ("steps", 0),
        ("steps", 10**7),
        ("frame_steps", 0),
        ("frame_steps", 10**7),
        ("frame_rate", 0.0),
        ("frame_rate", 1001.0),
        ("frame_rate", float("nan")),
        ("colour_mix", -0.1),
        ("colour_mix", 1.1),
        ("colour_mix", float("nan")),
        ("min_size", 0.5),
        ("min_size", float("inf")),
        ("max_size", 0.0),
        ("max_size", float("inf")),
        ("alpha_max", 0.0),
        ("alpha_max", 1.5),
        ("background", ""),
        ("background", "#12345"),
        ("background", "#12345g"),
        ("palette", ()),
        ("palette", ("#12345",)),
        ("rotation_steps", 0),
        ("min_visibility", -0.1),
        ("min_visibility", 0.91),
        ("min_visibility", float("nan")),
        ("max_overlap", 0.0),
        ("max_overlap", float("inf")),
        ("even_coverage", -0.1),
        ("even_coverage", 1.1),
        ("rotation_steps", 3601),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_a_setting_out_of_its_range_is_named(setting: str, value: Any) -> None:
    with pytest.raises(SmaltiError) as caught:
        dataclasses.replace(JOB, **{setting: value}).checked()
    assert caught.value.code == "bad_setting"
    shown = {None: "missing", (): "empty", ("#12345",): "#12345"}.get(value, repr(value))
    assert caught.value.message.startswith(f"{setting} is {shown}, but must be")


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("mask", "", "the path of an image"),
        ("count", 0, "from 1 to 1,000,000"),
        ("count", 1_000_001, "from 1 to 1,000,000"),
        ("min_size", 0.5, "at least 1 pixel"),
        ("min_size", 50.0, "at most max_size (40.0)"),
        ("max_size", float("inf"), "at least 1 pixel"),
        ("primitives", "", "the path of a folder of bitmaps"),
    ],
)
def test_a_setting_of_a_region_out_of_its_range_is_named(setting: str, value: Any, rule: str) -> None:
    region = dataclasses.replace(FACE, **{"max_size": 40.0, setting: value})
    with pytest.raises(SmaltiError) as caught:
        dataclasses.replace(JOB, regions=(FACE, region)).checked()
    assert caught.value.code == "bad_setting"
    assert caught.value.message == f"{setting} of region 2 is {value!r}, but must be {rule}."


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"count": -1, "regions": (FACE,)}, "count is -1, but must be from 0 to 1,000,000"),
        ({"count": 999_201, "regions": (FACE,)}, "count is 999201, but must be at most 1,000,000 together"),
        ({"regions": (FACE,) * 65}, "but must be at most 64 of them"),
        ({"regions": (FACE,), "preset": "published"}, "but must be left out with the preset published"),
        ({"count": 0, "primitives": None, "regions": (FACE,)}, "primitives is missing"),
        ({"primitives": None, "regions": (dataclasses.replace(FACE, primitives="petals"),)}, "primitives is missing"),
    ],
)
def test_regions_that_do_not_go_with_the_job_are_named(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(SmaltiError) as caught:
        dataclasses.replace(JOB, **changes).checked()
    assert caught.value.code == "bad_setting"
    assert expected in caught.value.message


def test_a_text_that_is_too_long_is_named_without_all_of_it() -> None:
    with pytest.raises(SmaltiError, match="text is 'aaa") as caught:
        dataclasses.replace(JOB, text="a" * 10_001).checked()
    assert len(caught.value.message) < 300


def test_a_job_written_before_there_was_text_is_still_read(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "job.json", job_text(text=..., font=..., text_split=...))
    assert read_job(path) == JOB


def test_a_palette_of_too_many_colours_is_named() -> None:
    with pytest.raises(SmaltiError, match=r"palette is #000000, .*\.\.\., but must be of 1 to 1024 colors"):
        dataclasses.replace(JOB, palette=("#000000",) * 1025).checked()


def test_a_smallest_size_above_the_largest_is_named() -> None:
    with pytest.raises(SmaltiError, match=r"min_size is 20, but must be at most max_size \(10\)"):
        dataclasses.replace(JOB, min_size=20, max_size=10).checked()


def test_the_bounds_themselves_are_allowed() -> None:
    for changes in (
        {"count": 1, "size": 16, "steps": 1, "colour_mix": 0.0, "seed": 0, "min_size": 1.0, "max_size": 1.0},
        {"count": 1_000_000, "size": 16_384, "frame_rate": 1000.0, "colour_mix": 1.0, "seed": 2**63 - 1},
        {"background": "#00fFaA"},
        {"palette": ("#00fFaA",), "rotation_steps": 1, "lock_rotation": True},
        {"min_visibility": 0.45, "alpha_max": 0.5, "even_coverage": 1.0, "max_overlap": 0.01},
        {"rotation_steps": 3600, "keep_in": "in.png", "keep_out": "out.png", "inside_outline": True},
        {"background": "sky.png", "target_mask": "mask.png"},
        {"primitives": None, "text": "a"},
        {"text": "a" * 10_000, "font": "serif.ttf", "text_split": "words"},
        {"count": 999_200, "regions": (FACE,)},
        {"count": 0, "regions": (FACE,) * 64},
        {"count": 0, "primitives": None, "regions": (dataclasses.replace(FACE, primitives="petals"),)},
    ):
        job_spec = dataclasses.replace(JOB, **changes)
        assert job_spec.checked() is job_spec


def test_a_folder_without_a_composition_is_named(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError) as caught:
        read_header(tmp_path)
    assert caught.value.code == "no_composition"
    assert str(tmp_path) in caught.value.message


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"sprites": -1},
        {"frames": 0},
        {"templates": ()},
        {"templates": (TemplateFile("leaf", "../leaf.png", 8, 9),)},
        {"templates": (TemplateFile("leaf", "/leaf.png", 8, 9),)},
        {"background": "../../secret.png"},
    ],
)
def test_a_header_that_is_empty_or_points_outside_its_folder_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    write_header(tmp_path, dataclasses.replace(HEADER, **changes))
    with pytest.raises(SmaltiError, match=r"composition\.json"):
        read_header(tmp_path)


def good_arrays() -> dict[str, Any]:
    shape = (HEADER.frames, HEADER.sprites)
    arrays = {name: np.ones(shape, np.float32) for name in composition.PER_FRAME}
    return {**arrays, "template": np.zeros(HEADER.sprites, np.int32), "tint": np.ones((*shape, 3), np.float32)}


def test_arrays_that_fit_the_header_pass() -> None:
    check_arrays(HEADER, good_arrays(), "frames.npz")


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("x", None, "missing"),
        ("y", lambda a: a[:1], "shape"),
        ("tint", lambda a: a[..., 0], "shape"),
        ("theta", lambda a: a.astype(np.int32), "type"),
        ("template", lambda a: a.astype(np.float32), "type"),
        ("template", lambda a: a.astype(object), "type"),
        ("scale", lambda a: a * np.float32("nan"), "finite"),
        ("opacity", lambda a: -a / np.float32(0), "finite"),
        ("template", lambda a: a + 1, "does not exist"),
        ("template", lambda a: a - 1, "does not exist"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_arrays_that_do_not_fit_the_header_are_named(name: str, change: Any, expected: str) -> None:
    arrays = good_arrays()
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(arrays[name])
    with pytest.raises(SmaltiError, match=expected) as caught:
        check_arrays(HEADER, arrays, "frames.npz")
    assert f"'{name}'" in caught.value.message
    assert caught.value.message.startswith("frames.npz: ")
