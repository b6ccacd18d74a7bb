# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a composition: they come back as they were written, and whatever is wrong with them is named."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import a_composition, ramp, save

from smalti.bridge.composition import COLUMNS
from smalti.bridge.errors import SmaltiError
from smalti.engine.composition import load_composition, read_arrays


@pytest.fixture
def job(tmp_path: Path) -> Path:
    a_composition(tmp_path).save(tmp_path / "job")
    return tmp_path / "job"


def refusal(job: Path) -> SmaltiError:
    with pytest.raises(SmaltiError) as caught:
        load_composition(job)
    assert "\n" not in str(caught.value)
    return caught.value


def change_arrays(job: Path, **changes: Any) -> None:
    """Replace arrays of frames.npz; None takes one out."""
    arrays = {**read_arrays(job / "frames.npz"), **changes}
    np.savez(job / "frames.npz", **{name: array for name, array in arrays.items() if array is not None})


def change_header(job: Path, **changes: Any) -> None:
    path = job / "composition.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("background", ["transparent", "#0a0b0c", "background.png"])
def test_a_composition_comes_back_as_it_was_saved(tmp_path: Path, frames: int, background: str) -> None:
    saved = a_composition(tmp_path, frames, background)
    saved.save(tmp_path / "new" / "job")
    loaded = load_composition(tmp_path / "new" / "job")
    assert loaded.header == saved.header
    assert loaded.frames == frames
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))
    for there, here in zip(loaded.templates, saved.templates):
        assert there.name == here.name
        np.testing.assert_array_equal(there.rgba, here.rgba)
    if background == "background.png":
        np.testing.assert_array_equal(loaded.background_image, saved.background_image)
    else:
        assert loaded.background_image is None


def test_the_folder_may_be_given_as_text(job: Path) -> None:
    assert load_composition(str(job)).header.sprites == 5


def test_saving_below_a_file_is_refused_and_named(tmp_path: Path) -> None:
    composition = a_composition(tmp_path)
    (tmp_path / "file").write_text("here")
    with pytest.raises(SmaltiError) as caught:
        composition.save(tmp_path / "file" / "job")
    assert caught.value.code == "cannot_write"
    assert str(tmp_path / "file") in caught.value.message


def test_a_newer_version_is_refused(job: Path) -> None:
    change_header(job, version=99)
    assert refusal(job).code == "newer_version"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"background": "#12"}, "background"),
        ({"background": "#00ff0g"}, "background"),
        ({"colour_mix": 1.5}, "colour_mix"),
        ({"frame_rate": 0}, "frame_rate"),
        ({"width": 10**9}, "width"),
    ],
)
def test_a_header_out_of_range_is_refused(job: Path, changes: dict[str, Any], named: str) -> None:
    change_header(job, **changes)
    assert f"'{named}'" in refusal(job).message


@pytest.mark.parametrize(
    ("name", "change", "named"),
    [
        ("x", lambda a: np.where(np.arange(5) == 3, np.nan, a), "'x'"),
        ("scale", lambda a: np.full_like(a, np.inf), "'scale'"),
        ("theta", lambda a: None, "'theta'"),
        ("y", lambda a: a[:, :-1], "'y'"),
        ("tint", lambda a: a[..., 0], "'tint'"),
        ("template", lambda a: a + 5, "'template'"),
        ("template", lambda a: a.astype(np.float32), "'template'"),
        ("scale", lambda a: -a, "'scale'"),
        ("scale", lambda a: a * 0, "'scale'"),
        ("opacity", lambda a: a + 1.5, "'opacity'"),
        ("tint", lambda a: a - 2, "'tint'"),
    ],
)
def test_an_array_that_cannot_be_is_named(job: Path, name: str, change: Callable[[Any], Any], named: str) -> None:
    change_arrays(job, **{name: change(read_arrays(job / "frames.npz")[name])})
    message = refusal(job).message
    assert "frames.npz" in message
    assert named in message


class Trap:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_pickle_in_the_arrays_is_refused_and_never_executed(job: Path, tmp_path: Path) -> None:
    trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
    change_arrays(job, x=trap)
    assert "frames.npz" in refusal(job).message
    (job / "frames.npz").write_bytes(pickle.dumps(trap))
    assert "frames.npz" in refusal(job).message
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickle.dumps(trap))
    assert (tmp_path / "sprung").exists()  # the trap does work


def test_a_missing_or_cut_array_file_is_named(job: Path) -> None:
    whole = (job / "frames.npz").read_bytes()
    for kept in (0, 3, len(whole) // 2, len(whole) - 1):
        (job / "frames.npz").write_bytes(whole[:kept])
        assert "frames.npz" in refusal(job).message
    (job / "frames.npz").unlink()
    assert "frames.npz: cannot be read (No such file or directory)" in refusal(job).message


def test_whatever_bytes_are_damaged_the_file_is_named(job: Path) -> None:
    whole = (job / "frames.npz").read_bytes()
    rng = np.random.default_rng(0)
    refusals = []
    for _ in range(300):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 8):
            damaged[at] = rng.integers(0, 256)
        (job / "frames.npz").write_bytes(damaged)
        try:
            read_arrays(job / "frames.npz")
        except SmaltiError as fault:
            refusals.append(fault.message)
    assert len(refusals) > 200
    assert all("frames.npz" in message for message in refusals)


def test_a_single_array_in_the_place_of_the_archive_is_refused(job: Path) -> None:
    with open(job / "frames.npz", "wb") as file:
        np.save(file, np.zeros(3))
    assert "frames.npz" in refusal(job).message


def test_a_missing_bitmap_is_named(job: Path) -> None:
    (job / "templates" / "0001.png").unlink()
    fault = refusal(job)
    assert str(job / "templates" / "0001.png") in fault.message


def test_a_broken_bitmap_is_named(job: Path) -> None:
    path = job / "templates" / "0000.png"
    path.write_bytes(path.read_bytes()[:60])
    assert str(path) in refusal(job).message


def test_a_bitmap_of_another_size_is_named(job: Path) -> None:
    save(job / "templates" / "0000.png", ramp(7, 9))
    assert "is 7 x 9 pixels" in refusal(job).message


def test_a_missing_background_image_is_named(tmp_path: Path) -> None:
    a_composition(tmp_path, background="background.png").save(tmp_path / "job")
    (tmp_path / "job" / "background.png").unlink()
    assert "background.png" in refusal(tmp_path / "job").message


def test_two_atlases_are_never_kept_at_once(tmp_path: Path) -> None:
    atlases = a_composition(tmp_path).atlases
    assert atlases is not None
    coarse = atlases.up_to(8)
    assert atlases.up_to(8) is coarse
    assert atlases.up_to(64).levels[0, 1:].max() > coarse.levels[0, 1:].max() == 8
    assert atlases.up_to(8) is not coarse


def test_a_changed_copy_does_not_share_the_atlas(tmp_path: Path) -> None:
    composition = a_composition(tmp_path)
    other = replace(composition, header=replace(composition.header, blend_space="srgb"))
    assert composition.atlases is not None
    assert other.atlases is not None
    assert (composition.atlases.up_to(8).texels != other.atlases.up_to(8).texels).any()
