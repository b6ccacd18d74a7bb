# SPDX-License-Identifier: GPL-3.0-or-later
"""Regions: each has its count of sprites, of its own bitmaps and sizes, in its own place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import Floats, bitmaps, contents, film, save, slow, small_job
from numpy.typing import NDArray
from PIL import Image
from psd_tools import PSDImage
from runs import fit_regions, stopped

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import RegionSpec
from smalti.engine.api import fit
from smalti.engine.composition import Composition, load_composition
from smalti.engine.composition.render import render
from smalti.engine.export import export_job
from smalti.engine.job import folder as job_folder
from smalti.engine.job.run import NullListener, resume_job, run_job
from smalti.engine.templates import Template

PALETTE = ("#000000", "#ffffff", "#d02010", "#1040c0", "#7f8081", "#20a060")


def white(pictures: Path, name: str, composition: Composition) -> NDArray[np.bool_]:
    """[H, W]: where the mask is white on the canvas."""
    size = composition.header.width, composition.header.height
    return np.asarray(Image.open(pictures / f"{name}.png").resize(size, Image.Resampling.LANCZOS)) > 127


def inner(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without its outermost pixels: which of them are in it depends on how it was stretched."""
    parts = [np.roll(mask, step, axis) for axis in (0, 1) for step in (-1, 0, 1)]
    within: NDArray[np.bool_] = np.logical_and.reduce(parts)
    return within


def of_region(composition: Composition, name: str) -> NDArray[np.bool_]:
    """[N]: which sprites are made of the bitmaps of the region with this mask; "" for those of none."""
    prefixes = [t.name.partition(" ")[0] if " " in t.name else "" for t in composition.templates]
    return np.array([prefixes[index] == name for index in composition.template])


def centred(composition: Composition, which: NDArray[np.bool_], mask: NDArray[np.bool_], frame: int = 0) -> int:
    """How many of the sprites `which` have their center in a mask, which reaches beyond the canvas as at its edge."""
    height, width = mask.shape
    row, column = (
        np.clip(np.floor(places[frame][which]).astype(int), 0, side - 1)
        for places, side in ((composition.y, height), (composition.x, width))
    )
    return int(mask[row, column].sum())


def alone(composition: Composition, which: NDArray[np.bool_], frame: int = 0, size: int | None = None) -> Floats:
    """[H, W]: the alpha of the sprites `which` without the others."""
    kept = {name: getattr(composition, name)[:, which] for name in ("x", "y", "scale", "aspect", "theta", "opacity")}
    header = replace(composition.header, sprites=int(which.sum()), background="transparent")
    some = replace(
        composition, header=header, template=composition.template[which], tint=composition.tint[:, which], **kept
    )
    return render(some, frame, size)[..., 3]


def test_each_region_has_its_count_its_place_and_its_sizes(pictures: Path, templates: list[Template]) -> None:
    composition = fit_regions(
        pictures,
        templates,
        {"mask": "face", "count": 50, "min_size": 4, "max_size": 9},
        {"mask": "sky", "count": 20, "min_size": 10, "max_size": 14},
        min_size=16,
        max_size=40,
    )
    face, sky = white(pictures, "face", composition), white(pictures, "sky", composition)
    for name, mask, count, smallest, largest in (
        ("", ~face & ~sky, 30, 16, 40),
        ("face", face, 50, 4, 9),
        ("sky", sky, 20, 10, 14),
    ):
        which = of_region(composition, name)
        assert which.sum() == count
        assert centred(composition, which, mask) == count
        sizes = 2 * composition.scale[0][which]
        assert smallest * 0.9999 <= sizes.min() < sizes.max() <= largest * 1.0001


@pytest.mark.parametrize(
    "settings",
    [
        slow({"blend_space": "linear", "colour_mix": 0.5}),
        slow({"lock_rotation": True, "lock_scale": True}),
        {"min_visibility": 0.2, "max_overlap": 2.0},
        {"palette": list(PALETTE), "rotation_steps": 4},
        slow({"target": "badge.png"}),
        slow({"loss": "mse+0.3*ssim"}),
        slow({"size": 300}),
        {"steps": 1},
    ],
    ids=str,
)
def test_groups_stay_apart_with_any_other_setting(
    pictures: Path, templates: list[Template], settings: dict[str, Any]
) -> None:
    composition = fit_regions(
        pictures, templates, {"mask": "face", "count": 40, "min_size": 5, "max_size": 12}, **settings
    )
    face = white(pictures, "face", composition)
    own = of_region(composition, "face")
    assert own.sum() == 40
    assert centred(composition, own, face) == 40
    assert centred(composition, ~own, inner(face)) == 0
    sizes = 2 * composition.scale[0][own]
    assert 4.999 <= sizes.min() <= sizes.max() <= 12.001


@pytest.mark.parametrize(
    "settings",
    [
        {"count": 0},
        slow({"min_visibility": 0.2}),
        slow({"palette": list(PALETTE), "rotation_steps": 3}),
        {"steps": 1},
    ],
    ids=str,
)
def test_a_confined_region_draws_nowhere_outside(
    pictures: Path, templates: list[Template], settings: dict[str, Any]
) -> None:
    regions = [{"mask": name, "count": 40, "confine": True} for name in ("face", "sky")]
    composition = fit_regions(pictures, templates, *regions, **settings)
    for name in ("face", "sky"):
        mask = white(pictures, name, composition)
        own = of_region(composition, name)
        # One may have no room to be visible.
        assert own.sum() == 40 or (own.sum() == 39 and "min_visibility" in settings)
        alpha = alone(composition, own)
        assert 255 * alpha[~mask].max() < 0.5
        assert alpha[mask].mean() > 0.4
        twice = np.asarray(Image.fromarray(mask).resize((192, 128), Image.Resampling.NEAREST))
        wide = np.logical_or.reduce([np.roll(twice, step, axis) for axis in (0, 1) for step in (-2, -1, 0, 1, 2)])
        assert 255 * alone(composition, own, size=192)[~wide].max() < 0.5


def test_a_region_that_is_not_confined_reaches_over_its_edge(pictures: Path, templates: list[Template]) -> None:
    composition = fit_regions(pictures, templates, {"mask": "face", "count": 40})
    alpha = alone(composition, of_region(composition, "face"))
    assert alpha[~white(pictures, "face", composition)].max() > 0.5


@pytest.mark.slow
def test_keep_out_holds_for_a_confined_region_too(pictures: Path, templates: list[Template]) -> None:
    half = np.zeros((64, 96), np.uint8)
    half[:, :30] = 255
    composition = fit_regions(
        pictures,
        templates,
        {"mask": "face", "count": 40, "confine": True},
        keep_out=save(pictures / "half.png", half),
        background="transparent",
    )
    assert 255 * alone(composition, of_region(composition, "")).max() > 100
    assert 255 * render(composition)[..., 3][:, :30].max() < 0.5
    alpha = alone(composition, of_region(composition, "face"))
    assert 255 * alpha[~white(pictures, "face", composition)].max() < 0.5
    assert alpha.max() > 0.5


@pytest.mark.parametrize(
    "settings",
    [
        slow({}),
        {"confine": True},
        slow({"min_visibility": 0.2}),
        slow({"lock_scale": True}),
        {"steps": 1},
        slow({"target": "frames"}),
    ],
    ids=str,
)
def test_centres_stay_in_what_keep_in_leaves_of_a_region(
    pictures: Path, templates: list[Template], settings: dict[str, Any]
) -> None:
    """Of the face the right quarter, and of the rest what lies to the right of it."""
    right = np.zeros((64, 96), np.uint8)
    right[:, 40:] = 255
    film(pictures / "frames")
    settings = {**settings}
    region = {"mask": "face", "count": 40, "confine": settings.pop("confine", False)}
    composition = fit_regions(
        pictures,
        templates,
        region,
        keep_in=save(pictures / "right.png", right),
        background="transparent",
        frame_steps=20,
        **settings,
    )
    face, left = white(pictures, "face", composition), white(pictures, "right", composition)
    own = of_region(composition, "face")
    # One may have no room to be visible.
    assert own.sum() == 40 or (own.sum() == 39 and "min_visibility" in settings)
    for frame in range(composition.frames):
        assert centred(composition, own, face & left, frame) == own.sum()
        assert centred(composition, ~own, left & ~inner(face), frame) == 30
        assert 255 * render(composition, frame)[..., 3][~left].max() < 0.5
    assert alone(composition, own)[face & left].mean() > 0.3


def test_bitmaps_of_a_region_are_its_own(tmp_path: Path, pictures: Path) -> None:
    dot = np.full((16, 16, 4), 255, np.uint8)
    dot[:, :4, 3] = 0
    save(tmp_path / "dots" / "disc.png", dot)
    region = RegionSpec(str(pictures / "face.png"), 25, primitives=str(tmp_path / "dots"))
    run_job(small_job(tmp_path, regions=(region,)), tmp_path / "job")
    composition = load_composition(tmp_path / "job")
    assert [t.name for t in composition.templates] == ["bar", "disc", "face disc"]
    assert (composition.template == 2).sum() == 25
    assert centred(composition, composition.template == 2, white(pictures, "face", composition)) == 25


def test_layers_are_called_by_their_region(tmp_path: Path, pictures: Path) -> None:
    regions = tuple(RegionSpec(str(pictures / f"{name}.png"), 6, min_size=6) for name in ("face", "face", "sky"))
    run_job(small_job(tmp_path, regions=regions), tmp_path / "job")
    names = [t.name for t in load_composition(tmp_path / "job").templates]
    assert names == ["bar", "disc", "face bar", "face disc", "face bar_2", "face disc_2", "sky bar", "sky disc"]
    layers = [layer.name for layer in PSDImage.open(export_job(tmp_path / "job", "psd"))]
    assert {name.partition(" ")[2] for name in layers} >= {"face bar", "sky disc"}


def test_a_composition_says_which_region_and_which_letter_a_bitmap_is_of(tmp_path: Path, pictures: Path) -> None:
    region = RegionSpec(str(pictures / "face.png"), 6, min_size=6)
    job = small_job(tmp_path, primitives=None, text="Ab", regions=(region,))
    run_job(job, tmp_path / "whole")
    stopped(job, tmp_path / "half", 6)
    resume_job(tmp_path / "half")
    for name in ("whole", "half"):
        files = load_composition(tmp_path / name).header.templates
        assert [file.letter for file in files] == ["A", "b"] * 2
        assert [file.region for file in files] == ["", "", "face", "face"]
    run_job(small_job(tmp_path), tmp_path / "plain")
    assert {(f.region, f.letter) for f in load_composition(tmp_path / "plain").header.templates} == {("", "")}


def test_later_regions_begin_above_earlier_ones(pictures: Path, templates: list[Template]) -> None:
    """After a step of no consequence the stack is that of the start."""
    composition = fit_regions(
        pictures, templates, {"mask": "face", "count": 9}, {"mask": "sky", "count": 9}, steps=1, preset="draft"
    )
    order = [of_region(composition, name).nonzero()[0] for name in ("", "face", "sky")]
    assert order[0].max() < order[1].min()
    assert order[1].max() < order[2].min()


def test_masks_may_overlap(pictures: Path, templates: list[Template]) -> None:
    composition = fit_regions(pictures, templates, {"mask": "face", "count": 9}, {"mask": "all", "count": 20}, count=0)
    assert of_region(composition, "face").sum() == 9
    assert of_region(composition, "all").sum() == 20


def test_sizes_follow_from_the_region(pictures: Path, templates: list[Template]) -> None:
    outcome = fit_regions(pictures, templates, {"mask": "sky", "count": 4})
    sizes = 2 * outcome.scale[0][of_region(outcome, "sky")]
    typical = (white(pictures, "sky", outcome).sum() / 4) ** 0.5
    assert sizes.min() >= 0.4 * typical - 1e-3
    assert sizes.max() <= 1.5 * typical + 1e-3


def test_without_other_sprites_the_regions_alone_are_rebuilt(pictures: Path, templates: list[Template]) -> None:
    """As under a mask: what lies outside is empty, and pulls no sprite over the edge."""
    composition = fit_regions(pictures, templates, {"mask": "face", "count": 60, "max_size": 12}, count=0, steps=120)
    assert composition.header.background == "transparent"
    assert composition.header.sprites == 60
    mask, alpha = white(pictures, "face", composition), render(composition)[..., 3]
    assert alpha[mask].mean() > 0.85
    assert alpha[~mask].mean() < 0.06


@pytest.mark.slow
def test_a_region_makes_its_part_finer(pictures: Path, tmp_path: Path, templates: list[Template]) -> None:
    rng = np.random.default_rng(2)
    noisy = rng.integers(0, 256, (16, 24, 3)).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    target = save(tmp_path / "noisy.png", noisy)
    errors = []
    for regions in ([], [{"mask": str(pictures / "face.png"), "count": 150}]):
        found = fit(target, templates, count=200 - 150 * len(regions), steps=100, regions=regions)
        off = np.square(render(found)[..., :3] - noisy / 255)
        errors.append(float(off[white(pictures, "face", found)].mean()))
    assert errors[1] < 0.6 * errors[0]


def test_frames_of_a_film_keep_to_the_regions(tmp_path: Path, pictures: Path, templates: list[Template]) -> None:
    composition = fit(
        film(tmp_path / "film"),
        templates,
        count=20,
        steps=30,
        frame_steps=20,
        regions=[
            {"mask": pictures / "face.png", "count": 30, "max_size": 12},
            {"mask": pictures / "sky.png", "count": 20, "confine": True},
        ],
    )
    face, sky = white(pictures, "face", composition), white(pictures, "sky", composition)
    own, confined = of_region(composition, "face"), of_region(composition, "sky")
    assert composition.frames == 3
    assert (composition.x[2] != composition.x[0]).any()
    for frame in range(3):
        assert centred(composition, own, face, frame) == own.sum() == 30
        assert centred(composition, ~own & ~confined, inner(face | sky), frame) == 0
        assert 2 * composition.scale[frame][own].max() <= 12.001
        assert 255 * alone(composition, confined, frame)[~sky].max() < 0.5


@pytest.mark.parametrize("stop", [slow(3), 33, slow(49)])
def test_a_stopped_job_with_regions_is_resumed_to_the_same_end(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Without the region's folder, whose bitmaps are in the job."""
    monkeypatch.setattr(job_folder, "new_id", lambda: "1")
    heard: list[int] = []

    class Counting(NullListener):
        def progress(self, stage: str, done: int, total: int, loss: float | None, eta: float | None) -> None:
            heard.append(done)

    own = bitmaps(tmp_path / "own")
    regions = (
        RegionSpec(str(pictures / "face.png"), 30, max_size=10, primitives=str(own)),
        RegionSpec(str(pictures / "sky.png"), 20, confine=True),
    )
    job = small_job(tmp_path, target=str(film(tmp_path / "film")), steps=40, frame_steps=10, regions=regions)
    run_job(job, tmp_path / "whole")
    run_job(job, tmp_path / "job", listener=Counting(), should_stop=lambda: len(heard) >= stop)
    own.rename(tmp_path / "gone")
    resume_job(tmp_path / "job")
    whole = contents(tmp_path / "whole")
    assert contents(tmp_path / "job")["frames.npz"] == whole["frames.npz"]
    assert contents(tmp_path / "job")["composition.json"] == whole["composition.json"]


def test_a_checkpoint_of_other_regions_does_not_fit(tmp_path: Path, pictures: Path) -> None:
    region = RegionSpec(str(pictures / "face.png"), 8)
    run_job(small_job(tmp_path, regions=(region, region)), tmp_path / "job", should_stop=lambda: True)
    path = tmp_path / "job" / "job.json"
    path.write_text(path.read_text().replace('"count": 24', '"count": 0'))
    with pytest.raises(SmaltiError, match="does not fit its job") as caught:
        resume_job(tmp_path / "job")
    assert caught.value.code == "bad_checkpoint"


def test_the_report_and_the_log_tell_of_each_region(tmp_path: Path, pictures: Path) -> None:
    regions = (RegionSpec(str(pictures / "face.png"), 8, 4, 9), RegionSpec(str(pictures / "sky.png"), 7, 5, 12.5))
    report = run_job(small_job(tmp_path, regions=regions), tmp_path / "job").report
    assert report["sprites"] == 24 + 15
    assert report["regions"] == [
        {"sprites": 8, "smallest": 4, "largest": 9},
        {"sprites": 7, "smallest": 5, "largest": 12.5},
    ]
    assert "Region 2: 7 sprites of 5 to 12.5 pixels." in (tmp_path / "job" / "engine.log").read_text()
