# SPDX-License-Identifier: GPL-3.0-or-later
"""Uses: each bitmap only as often, and its copies only as near to each other, as the job allows."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fits import quick
from jobs import film, slow, small_job
from numpy.typing import NDArray
from runs import refused, same_result, stopped

from smalti.bridge.job import RegionSpec
from smalti.engine.api import fit
from smalti.engine.composition import Composition, load_composition
from smalti.engine.fitting.use_limits import UseLimits, Uses
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.templates import Template, load_templates


def uses_of(composition: Composition, bitmaps: int) -> NDArray[np.int64]:
    """[B]: how many visible sprites are of each bitmap; its mirror image is as many templates behind it."""
    return np.bincount(composition.template % bitmaps, minlength=bitmaps)


def nearest_copies(composition: Composition, bitmaps: int) -> float:
    """Least distance between the centers of two visible sprites of one bitmap, over all frames, canvas pixels."""
    nearest = np.inf
    for x, y, opacity in zip(composition.x, composition.y, composition.opacity):
        for bitmap in range(bitmaps):
            own = (composition.template % bitmaps == bitmap) & (opacity > 0)
            place = x[own].astype(np.float64) + 1j * y[own]
            away = np.abs(place[:, None] - place) + np.where(np.eye(own.sum()), np.inf, 0)
            nearest = min(nearest, float(away.min(initial=np.inf)))
    return nearest


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"colour_mix": 0.7},
        slow({"colour_mix": 1.0, "blend_space": "linear"}),
        slow({"preset": "published"}),
        slow({"preset": "best", "colour_mix": 0.5}),
        {"min_visibility": 0.3},
        slow({"steps": 1}),
        slow({"mirror": True, "colour_mix": 0.5}),
    ],
    ids=str,
)
def test_limits_are_kept_exactly(ramp_file: Path, templates: list[Template], settings: dict[str, Any]) -> None:
    number = len(templates)
    assert nearest_copies(quick(ramp_file, templates, **settings), number) < 8, "all are apart anyway"
    apart = quick(ramp_file, templates, min_distance=8.0, **settings)
    assert nearest_copies(apart, number) >= 8
    assert (apart.opacity > 0).mean() > 0.95
    assert uses_of(quick(ramp_file, templates, max_uses=16, **settings), number).max() <= 16
    both = quick(ramp_file, templates, count=30, max_uses=9, min_distance=10.0, **settings)
    assert uses_of(both, number).max() <= 9
    assert nearest_copies(both, number) >= 10
    if "min_visibility" not in settings:  # which drops sprites
        assert np.ptp(uses_of(quick(ramp_file, templates, count=62, use_all=True, **settings), number)) == 1


def test_masks_and_regions_keep_them_too(ramp_file: Path, templates: list[Template], crescent_file: Path) -> None:
    region = RegionSpec(mask=str(crescent_file), count=20, confine=True)
    kept = quick(ramp_file, templates, count=12, min_distance=9.0, max_uses=8, regions=[region])
    number = len(templates)
    assert uses_of(kept, number).max() <= 8
    assert nearest_copies(kept, number) >= 9
    inside = quick(ramp_file, templates, count=20, min_distance=9.0, keep_in=crescent_file)
    assert nearest_copies(inside, number) >= 9


def test_a_film_and_a_resumed_job_keep_them(tmp_path: Path) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film")), min_distance=12.0, use_all=True, count=20)
    run_job(job, tmp_path / "whole")
    composition = load_composition(tmp_path / "whole")
    number = len(composition.templates)
    assert nearest_copies(composition, number) >= 12
    assert np.ptp(uses_of(composition, number)) <= 1
    stopped(job, tmp_path / "half", 14)
    resume_job(tmp_path / "half")
    assert same_result(tmp_path / "half", tmp_path / "whole")


def test_mirror_images_are_templates_of_the_same_bitmap(ramp_file: Path, templates: list[Template]) -> None:
    composition = quick(ramp_file, templates, mirror=True, steps=5)
    for before, after in zip(templates, composition.templates[len(templates) :], strict=True):
        assert after.name == f"{before.name} mirrored"
        np.testing.assert_array_equal(after.rgba, before.rgba[:, ::-1])


def test_too_few_bitmaps_are_refused_before_the_fit(tmp_path: Path, ramp_file: Path, templates: list[Template]) -> None:
    fault = refused(lambda: fit(ramp_file, templates, count=50, max_uses=3))
    most = 3 * len(templates)
    assert str(fault).startswith(f"50 sprites cannot be made of {len(templates)} bitmaps with max_uses 3, which is")
    assert f"enough for {most}." in str(fault)
    assert fault.code == "too_few_bitmaps"
    for distance in (35.0, 500.0):
        fault = refused(partial(fit, ramp_file, templates, count=60, min_distance=distance))
        assert f"min_distance is {distance}, but must be smaller" in str(fault)


def test_exchanges_find_the_best_places_that_are_allowed() -> None:
    rng = np.random.default_rng(3)
    count = 40
    limits = UseLimits(
        np.arange(count),
        np.ones(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(1, np.int64),
        0.0,
        np.zeros(count, np.int64),
        np.zeros((count, 3)),
    )
    right = rng.permutation(count)
    cost = rng.uniform(0.5, 1, (count, count)).astype(np.float32)
    cost[np.arange(count), right] = 0
    uses = Uses(limits, np.full(count, -1), np.zeros(count), np.zeros(count))
    assert uses.fill(range(count), lambda which: cost[which]) == []
    before = cost[np.arange(count), uses.template].sum()
    uses.improve(cost, np.arange(count), 20)
    assert cost[np.arange(count), uses.template].sum() <= before
    np.testing.assert_array_equal(np.sort(uses.template), np.arange(count))
    np.testing.assert_array_equal(uses.template, right)


def test_files_are_mirrored_as_they_are_loaded(tmp_path: Path) -> None:
    job = small_job(tmp_path, mirror=True, steps=2)
    assert run_job(job, tmp_path / "job").report["templates"] == 2 * len(load_templates(tmp_path / "primitives"))
