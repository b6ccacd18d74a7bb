# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets, bitmaps and settings that could break a fit: it never fails, and its picture makes sense.

Where a test takes several parameters, it sees every pair of their values and not every combination.
"""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import Floats, arrays_of, decibels, pixels_of, save, slow, small_job
from numpy.typing import NDArray
from optimisers import settings
from pairwise import pairwise
from PIL import Image
from runs import same_result, stopped

from smalti.bridge.composition import PER_FRAME
from smalti.engine.api import fit
from smalti.engine.colour import into_space
from smalti.engine.composition import Composition
from smalti.engine.composition.render import picture
from smalti.engine.files.images import premultiply
from smalti.engine.fitting.cuts import is_new_scene
from smalti.engine.fitting.objective import ImageObjective
from smalti.engine.fitting.optimiser import Optimiser
from smalti.engine.fitting.strategy.importance import evaluate
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.raster import StackPosition, build_atlas
from smalti.engine.sprites import Sprites
from smalti.engine.templates import Template, load_templates

SIDE = 64
Pixels = NDArray[np.uint8]

MIXES = [0.0, 0.5, 1.0]
SPACES = ["srgb", "linear"]
PRESETS = ["balanced", "published"]


def flat(color: tuple[int, int, int]) -> Pixels:
    return np.full((SIDE, SIDE, 3), color, np.uint8)


def white() -> Pixels:
    return flat((255, 255, 255))


def noise() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


def checkered() -> Pixels:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    return np.repeat((255 * ((x + y) % 2)).astype(np.uint8)[..., None], 3, axis=2)


def drawing() -> Pixels:
    """A line and a circle, black and about a pixel wide, on white."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    ink = (abs(x - 0.7 * y - 7) < 0.8) | (abs(np.hypot(x - 40, y - 27) - 17) < 0.8)
    return np.where(ink[..., None], 0, np.full(3, 255)).astype(np.uint8)


def holed() -> Pixels:
    """Blue and orange, with two round holes."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    rgba = np.full((SIDE, SIDE, 4), (200, 120, 60, 255), np.uint8)
    rgba[:, : SIDE // 2, :3] = (60, 120, 200)
    rgba[(np.hypot(x - 20, y - 20) < 10) | (np.hypot(x - 43, y - 40) < 13)] = 0
    return rgba


def speck() -> Pixels:
    """Transparent but for a red spot."""
    rgba = np.zeros((SIDE, SIDE, 4), np.uint8)
    rgba[29:34, 29:36] = (200, 40, 40, 255)
    return rgba


def ghost() -> Pixels:
    """As `holed`, at an alpha of 2 of 255."""
    rgba = holed()
    rgba[..., 3] //= 100
    return rgba


def panorama() -> Pixels:
    """1 : 20."""
    y, x = np.mgrid[0:16, 0:320]
    return np.stack([255 * x / 320, 16 * y, 128 + 127 * np.sin(x / 9 + y / 7)], axis=-1).astype(np.uint8)


def pillar() -> Pixels:
    """20 : 1."""
    return np.ascontiguousarray(panorama().swapaxes(0, 1))


def flower(color: tuple[int, int, int], petals: int) -> Pixels:
    """[64, 64, 4]: petals of one color around a yellow center."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    radius = np.hypot(x, y)
    rgba = np.empty((64, 64, 4), np.uint8)
    rgba[..., :3] = color
    rgba[radius < 0.2, :3] = (250, 210, 60)
    rgba[..., 3] = np.rint(255 * np.clip(12 * (0.55 + 0.35 * np.cos(petals * np.arctan2(y, x)) - radius), 0, 1))
    return rgba


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> list[Template]:
    folder = tmp_path_factory.mktemp("flowers")
    kinds: list[tuple[tuple[int, int, int], int]] = [
        ((220, 60, 90), 5),
        ((240, 240, 245), 6),
        ((60, 90, 200), 4),
        ((30, 30, 40), 7),
    ]
    for color, petals in kinds:
        save(folder / f"{petals}.png", flower(color, petals))
    return load_templates(folder)


def fitted(target: Path, templates: list[Template], **changes: Any) -> Composition:
    """A short fit, all of whose numbers are within bounds."""
    losses: list[float] = []
    given = {"count": 60, "steps": 40, **changes}
    composition = fit(target, templates, progress=lambda done, total, loss: losses.append(loss), **given)
    assert np.isfinite(losses).all()
    check_numbers({name: getattr(composition, name) for name in PER_FRAME})
    return composition


def check_numbers(arrays: dict[str, Any]) -> None:
    assert all(np.isfinite(values).all() for values in arrays.values())
    assert arrays["scale"].min() > 0
    for name in ("opacity", "tint"):
        assert 0 <= arrays[name].min() <= arrays[name].max() <= 1


def shown(composition: Composition, frame: int = 0) -> Floats:
    """[H, W, 4] premultiplied sRGB."""
    return premultiply(picture(composition, frame)).astype(np.float64)


def bare(composition: Composition) -> Floats:
    """The background alone, [H, W, 4] premultiplied sRGB."""
    header = composition.header
    if header.background == "transparent":
        return np.zeros((header.height, header.width, 4))
    color = [int(header.background[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return np.broadcast_to([*color, 1.0], (header.height, header.width, 4))


def gain(composition: Composition, target: Path, frame: int = 0) -> float:
    """Gain in PSNR over the bare background, dB; 0 where the background is the target."""
    goal = pixels_of(target)
    before = decibels(bare(composition), goal)
    return decibels(shown(composition, frame), goal) - before if np.isfinite(before) else 0.0


# Targets.


@pytest.mark.parametrize(
    ("color", "mix", "space", "preset"),
    pairwise([(255, 255, 255), (0, 0, 0), (183, 91, 40)], MIXES, SPACES, PRESETS),
)
def test_a_target_of_one_color_is_that_color(
    tmp_path: Path, flowers: list[Template], color: tuple[int, int, int], mix: float, space: Any, preset: Any
) -> None:
    target = save(tmp_path / "flat.png", flat(color))
    composition = fitted(target, flowers, steps=20, colour_mix=mix, blend_space=space, preset=preset)
    np.testing.assert_array_equal(picture(composition)[..., :3], flat(color))


@pytest.mark.parametrize("space", SPACES)
def test_a_target_of_one_color_is_covered_where_the_background_is_another(
    tmp_path: Path, flowers: list[Template], space: Any
) -> None:
    target = save(tmp_path / "flat.png", flat((183, 91, 40)))
    composition = fitted(target, flowers, blend_space=space, background="#ffffff")
    assert decibels(shown(composition), pixels_of(target)) > 30


OPAQUE = {noise: 0.0, checkered: -0.01, drawing: 0.5, panorama: 0.3, pillar: 0.3}
"""Targets, and the least gain over the bare background in dB."""
CUT_OUTS = {holed: 8.0, speck: 6.0, ghost: 1.0}
"""Likewise."""


@pytest.mark.parametrize(("draw", "mix", "space", "preset"), pairwise(list(OPAQUE), MIXES, SPACES, PRESETS))
def test_an_opaque_target_is_closer_than_its_background(
    tmp_path: Path, flowers: list[Template], draw: Callable[[], Pixels], mix: float, space: Any, preset: Any
) -> None:
    target = save(tmp_path / "target.png", draw())
    composition = fitted(target, flowers, colour_mix=mix, blend_space=space, preset=preset)
    assert gain(composition, target) >= OPAQUE[draw]


@pytest.mark.parametrize(("draw", "mix", "space", "preset"), pairwise(list(CUT_OUTS), MIXES, SPACES, PRESETS))
def test_a_cut_out_shows_what_is_there_and_leaves_the_rest_open(
    tmp_path: Path, flowers: list[Template], draw: Callable[[], Pixels], mix: float, space: Any, preset: Any
) -> None:
    target = save(tmp_path / "target.png", draw())
    composition = fitted(target, flowers, colour_mix=mix, blend_space=space, preset=preset)
    assert composition.header.background == "transparent"
    assert gain(composition, target) >= CUT_OUTS[draw]
    assert shown(composition)[..., 3][draw()[..., 3] == 0].mean() < 0.15


@pytest.mark.parametrize("space", SPACES)
def test_linear_light_does_not_turn_a_fine_pattern_pale(tmp_path: Path, flowers: list[Template], space: Any) -> None:
    target = save(tmp_path / "target.png", checkered())
    composition = fitted(target, flowers, blend_space=space, count=120, steps=120)
    assert shown(composition)[..., :3].mean() == pytest.approx(0.5, abs=0.03)


def test_no_candidate_gains_from_the_noise_behind_a_covered_hole() -> None:
    empty = np.zeros((32, 32, 4), np.float32)
    rng = np.random.default_rng(0)
    count = 300
    sprites = Sprites(
        template=np.zeros(count, np.int32),
        x=rng.uniform(0, 32, count),
        y=rng.uniform(0, 32, count),
        scale=np.full(count, 1.5),  # small enough to match a pixel's noise by chance
        aspect=np.zeros(count),
        theta=rng.uniform(-3, 3, count),
        opacity=np.ones(count),
        tint=np.full((count, 3), 0.5),
    )
    cover = replace(sprites.take(slice(1)), scale=np.full(1, 200.0))
    atlas = build_atlas([np.ones((8, 8, 4), np.float32)])
    chosen = settings(alpha_max=1.0)
    objective = ImageObjective(empty, None, chosen.blend_space, chosen.objective, seed=0)
    optimiser = Optimiser(objective, atlas, np.full((1, 2), 8.0), cover, chosen)
    scores = evaluate(optimiser, sprites, np.full(count, -1), np.full(count, StackPosition.TOP))
    assert scores.gain.max() < 1e-7  # gray is the best for all noise


# Bitmaps.


def wisp() -> Pixels:
    """Gray, at an alpha of 1 to 3 of 255."""
    alpha = np.random.default_rng(0).integers(1, 4, (40, 40))
    return np.dstack([np.full((40, 40, 3), 90), alpha]).astype(np.uint8)


BITMAPS = {
    "texel": np.full((1, 1, 4), (200, 80, 40, 255), np.uint8),
    "thread": np.full((1, 400, 4), (40, 160, 90, 255), np.uint8),
    "upright thread": np.full((400, 1, 4), (40, 160, 90, 255), np.uint8),
    "wisp": wisp(),
}


@pytest.mark.parametrize(("bitmap", "draw", "mix"), pairwise(list(BITMAPS), [drawing, holed, panorama], [0.0, 1.0]))
def test_a_bitmap_may_be_almost_nothing(tmp_path: Path, bitmap: str, draw: Callable[[], Pixels], mix: float) -> None:
    templates = load_templates(save(tmp_path / "bitmaps" / "one.png", BITMAPS[bitmap]).parent)
    target = save(tmp_path / "target.png", draw())
    composition = fitted(target, templates, colour_mix=mix, steps=30)
    assert gain(composition, target) >= 0


# Counts and settings.


@pytest.mark.parametrize("draw", [noise, drawing, holed, panorama])
@pytest.mark.parametrize("preset", PRESETS)
def test_one_sprite_is_enough(tmp_path: Path, flowers: list[Template], draw: Callable[[], Pixels], preset: Any) -> None:
    target = save(tmp_path / "target.png", draw())
    assert gain(fitted(target, flowers, count=1, steps=60, preset=preset), target) >= 0


@pytest.mark.parametrize(
    ("side", "count", "least", "space"), [(16, 2000, 16.0, "srgb"), slow(32, 4096, 19.0, "linear")]
)
def test_far_more_sprites_than_pixels_leave_holes_open(
    tmp_path: Path, flowers: list[Template], side: int, count: int, least: float, space: Any
) -> None:
    small = np.asarray(Image.fromarray(holed()).resize((side, side), Image.Resampling.NEAREST))
    target = save(tmp_path / "target.png", small)
    composition = fitted(target, flowers, count=count, size=side, steps=30, blend_space=space)
    assert decibels(shown(composition), pixels_of(target)) > least


ENDS: list[list[dict[str, Any]]] = [
    [{}, {"min_size": 1, "max_size": 1}, {"min_size": 400, "max_size": 400}],
    [{}, {"alpha_max": 0.01}],
    [{}, {"count": 1, "steps": 1}],
    [{}, {"colour_mix": 0.999}, {"colour_mix": 0.999, "background": "#808080"}],
    [{}, {"detail_weight": 1.0}, {"detail_weight": 1.0, "loss": "ms_ssim+edges+oklab"}],
    [{}, {"lock_scale": True, "lock_rotation": True}],
    [{"blend_space": space} for space in SPACES],
    [{"preset": preset} for preset in PRESETS],
]
"""Settings at their ends, or left to their defaults."""


@pytest.mark.parametrize(
    ("draw", "changes"),
    [(draw, dict(ChainMap(*ends))) for draw, *ends in pairwise([white, noise, holed], *ENDS)],
    ids=lambda value: value.__name__ if callable(value) else " ".join(f"{n}={v}" for n, v in value.items()),
)
@pytest.mark.slow
def test_settings_at_their_ends_leave_a_whole_job(
    tmp_path: Path, draw: Callable[[], Pixels], changes: dict[str, Any]
) -> None:
    target = save(tmp_path / "picture.png", draw())
    job = small_job(tmp_path, target=str(target), **changes)
    stopped(job, tmp_path / "job", after=0 if job.steps == 1 else 1)
    with np.load(tmp_path / "job" / "checkpoint.npz", allow_pickle=False) as checkpoint:
        assert all(np.isfinite(checkpoint[n]).all() for n in checkpoint.files if checkpoint[n].dtype.kind == "f")
    resume_job(tmp_path / "job")
    check_numbers(arrays_of(tmp_path / "job"))
    report = json.loads((tmp_path / "job" / "report.json").read_text())
    assert 0 < report["psnr"] <= 100


# Films.


@pytest.mark.parametrize(("space", "preset"), [("srgb", "balanced"), ("linear", "published")])
def test_each_frame_is_shown_however_violent_the_cut(
    tmp_path: Path, flowers: list[Template], space: Any, preset: Any
) -> None:
    frames = [flat((255, 255, 255)), noise(), flat((0, 0, 0)), flat((255, 255, 255)), drawing()]
    paths = [save(tmp_path / "film" / f"{i}.png", frame) for i, frame in enumerate(frames)]
    composition = fitted(tmp_path / "film", flowers, blend_space=space, preset=preset)
    for i, least in enumerate([0, 5, 15, 0, 0.5]):
        assert gain(composition, paths[i], i) >= least


def test_a_film_that_fades_in_from_black_gets_its_picture(tmp_path: Path, flowers: list[Template]) -> None:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    last = np.stack([4 * x, 4 * y, 255 - 4 * x], axis=-1)
    for i in range(6):
        save(tmp_path / "film" / f"{i}.png", (last * (i / 5)).astype(np.uint8))
    composition = fitted(tmp_path / "film", flowers, count=100)
    assert decibels(shown(composition, 5), pixels_of(tmp_path / "film" / "5.png")) > 15


@pytest.mark.parametrize("lock", [False, True])
def test_after_a_cut_sprites_keep_their_bitmaps_and_a_locked_size(
    tmp_path: Path, flowers: list[Template], lock: bool
) -> None:
    for i, frame in enumerate([drawing(), 255 - drawing()]):
        save(tmp_path / "film" / f"{i}.png", frame)
    composition = fitted(tmp_path / "film", flowers, lock_scale=lock, colour_mix=0.5)
    assert np.array_equal(composition.scale[0], composition.scale[1]) == lock
    assert len(composition.template) == 60  # one for the whole film


def test_a_fit_goes_on_behind_a_cut_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    for i, frame in enumerate([flat((255, 255, 255)), noise(), drawing()]):
        save(tmp_path / "film" / f"{i}.png", frame)
    job = small_job(tmp_path, target=str(tmp_path / "film"))
    run_job(job, tmp_path / "whole")
    stopped(job, tmp_path / "parts", after=14)  # in the second frame
    resume_job(tmp_path / "parts")
    assert same_result(tmp_path / "whole", tmp_path / "parts")


def test_a_new_scene_is_told_from_motion_and_from_light() -> None:
    def frame(pixels: Pixels) -> NDArray[np.float32]:
        return into_space(premultiply(np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])), "srgb")

    scene = panorama()
    assert not is_new_scene(frame(scene), frame(scene), "srgb")
    assert not is_new_scene(frame(scene), frame(np.roll(scene, 4, axis=1)), "srgb")
    assert not is_new_scene(frame(scene), frame(scene // 2), "srgb")
    assert not is_new_scene(frame(flat((90, 90, 90))), frame(flat((100, 100, 100))), "srgb")
    assert is_new_scene(frame(flat((0, 0, 0))), frame(drawing() // 3), "srgb")
    assert is_new_scene(frame(drawing()), frame(flat((0, 0, 0))), "srgb")
    assert is_new_scene(frame(noise()), frame(noise()[::-1]), "srgb")
