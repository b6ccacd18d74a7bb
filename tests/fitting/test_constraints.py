# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist rules out does not happen: measured on the pictures and numbers of the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import Floats, badge, bitmaps, decibels, film, pixels_of, ramp, resized, save, small_job
from numpy.typing import NDArray
from PIL import Image

from smalti.bridge.errors import SmaltiError
from smalti.engine.api import fit
from smalti.engine.colour import srgb_from_linear
from smalti.engine.composition import Composition, load_composition
from smalti.engine.composition.render import picture, render, sprite_bitmaps
from smalti.engine.files.images import straight_from_premultiplied
from smalti.engine.job.run import NullListener, resume_job, run_job
from smalti.engine.templates import Template, load_templates

PALETTE = ("#000000", "#ffffff", "#d02010", "#1040c0", "#7f8081", "#20a060")


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> list[Template]:
    """A soft disc, a bar, a ring and a long thin stroke."""
    folder = bitmaps(tmp_path_factory.mktemp("bitmaps"))
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    away = np.hypot(x, y)
    for name, alpha in (("ring", (away > 0.8) & (away < 0.95)), ("stroke", (abs(y) < 0.06) & (abs(x) < 0.95))):
        rgba = np.full((64, 64, 4), 90, np.uint8)
        rgba[..., 3] = 255 * alpha
        save(folder / f"{name}.png", rgba)
    return load_templates(folder)


@pytest.fixture(scope="module")
def ramp_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("ramp") / "ramp.png", ramp())


@pytest.fixture(scope="module")
def badge_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("badge") / "badge.png", badge())


@pytest.fixture(scope="module")
def crescent_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask that is white in a crescent with a bay and a hole, and black elsewhere."""
    y, x = np.mgrid[0:256, 0:384]
    white = np.hypot(x - 180, y - 128) < 120
    white &= (np.hypot(x - 230, y - 100) > 50) & (np.hypot(x - 120, y - 160) > 20) & (abs(x - y - 60) > 4)
    return save(tmp_path_factory.mktemp("mask") / "crescent.png", (255 * white).astype(np.uint8))


def quick(target: Path, templates: list[Template], **settings: Any) -> Composition:
    return fit(target, templates, **{"count": 60, "steps": 40, **settings})


def drawn(composition: Composition) -> Floats:
    """[H, W, 4] premultiplied sRGB, 0 to 1."""
    pixels = picture(composition) / 255
    pixels[..., :3] *= pixels[..., 3:]
    return pixels


def refusal(target: Path, templates: list[Template], **settings: Any) -> SmaltiError:
    with pytest.raises(SmaltiError) as caught:
        quick(target, templates, **settings)
    assert "\n" not in str(caught.value)
    return caught.value


# Regions.


def alpha_outside(composition: Composition, inside: Floats, frame: int = 0) -> tuple[float, float]:
    """The highest alpha, in levels of 255, where `inside` [H, W] is below a half, at the fit's size and at twice it."""
    found = []
    for zoom in (1, 2):
        width, height = zoom * composition.header.width, zoom * composition.header.height
        plane = Image.fromarray(inside.astype(np.float32)).resize((width, height), Image.Resampling.LANCZOS)
        alpha = render(composition, frame, max(width, height))[..., 3]
        found.append(255 * float(alpha[np.asarray(plane) < 0.5].max()))
    return found[0], found[1]


def grey(path: Path) -> Floats:
    return np.asarray(Image.open(path).convert("L")) / 255


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"count": 200, "min_size": 4, "steps": 25},
        {"blend_space": "linear", "colour_mix": 0.5},
        {"lock_rotation": True, "lock_scale": True},
        {"rotation_steps": 3, "palette": list(PALETTE)},
        {"preset": "published"},
        {"steps": 1},
        {"size": 250, "count": 20},
    ],
    ids=str,
)
def test_nothing_is_drawn_outside_keep_in(
    ramp_file: Path, crescent_file: Path, templates: list[Template], settings: dict[str, Any]
) -> None:
    composition = quick(ramp_file, templates, keep_in=crescent_file, background="transparent", **settings)
    assert max(alpha_outside(composition, grey(crescent_file))) < 0.5
    shown = render(composition)[..., 3]
    inside = resized(np.stack([grey(crescent_file)] * 4, axis=-1), shown.shape[1], shown.shape[0])[..., 0] > 0.5
    assert shown[inside].mean() > (0.1 if settings.get("preset") else 0.4)


def test_nothing_is_drawn_inside_keep_out(ramp_file: Path, crescent_file: Path, templates: list[Template]) -> None:
    composition = quick(ramp_file, templates, keep_out=crescent_file, background="transparent")
    assert max(alpha_outside(composition, 1 - grey(crescent_file))) < 0.5
    assert render(composition)[..., 3].mean() > 0.2


def test_a_region_reaches_its_edge(ramp_file: Path, crescent_file: Path, templates: list[Template]) -> None:
    """A margin all round would be safe, and seen: nearly all of what is two pixels inside is covered."""
    composition = quick(
        ramp_file, templates, keep_in=crescent_file, background="transparent", size=192, count=300, steps=120
    )
    shown = render(composition)[..., 3]
    inside = resized(np.stack([grey(crescent_file)] * 4, axis=-1), shown.shape[1], shown.shape[0])[..., 0] > 0.5
    within = inside.copy()
    for axis in (0, 1):
        for step in (-2, -1, 1, 2):
            within &= np.roll(inside, step, axis)
    assert (shown[within & ~np.roll(within, 2, 1)] > 0.5).mean() > 0.85


@pytest.mark.parametrize("masked", [False, True])
def test_sprites_keep_within_the_outline(
    ramp_file: Path, badge_file: Path, crescent_file: Path, templates: list[Template], masked: bool
) -> None:
    settings: dict[str, Any] = {"target_mask": crescent_file, "background": "transparent"} if masked else {}
    composition = quick(ramp_file if masked else badge_file, templates, inside_outline=True, **settings)
    outline = grey(crescent_file) if masked else pixels_of(badge_file)[..., 3]
    assert max(alpha_outside(composition, outline)) < 0.5
    assert render(composition)[..., 3].mean() > 0.2


def test_the_outline_of_a_film_moves(tmp_path: Path, templates: list[Template]) -> None:
    outlines = []
    for frame in range(3):
        rgba = np.zeros((48, 64, 4), np.uint8)
        rgba[10:40, 5 + 12 * frame : 30 + 12 * frame] = (200, 120, 30 + 60 * frame, 255)
        save(tmp_path / "film" / f"{frame}.png", rgba)
        outlines.append(rgba[..., 3] / 255)
    composition = quick(tmp_path / "film", templates, inside_outline=True, frame_steps=20)
    for frame, outline in enumerate(outlines):
        assert max(alpha_outside(composition, outline, frame)) < 0.5
        assert render(composition, frame)[..., 3][outline > 0.5].mean() > 0.3


def test_a_bitmap_that_fits_in_nowhere_is_left_out(tmp_path: Path, ramp_file: Path) -> None:
    """A stroke 20 pixels long fits into a slit, a disc of that size does not."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    for name, alpha in (("disc", np.hypot(x, y) < 0.95), ("stroke", (abs(y) < 0.05) & (abs(x) < 0.95))):
        rgba = np.full((64, 64, 4), 90, np.uint8)
        rgba[..., 3] = 255 * alpha
        save(tmp_path / "marks" / f"{name}.png", rgba)
    mask = np.zeros((64, 96), np.uint8)
    mask[28:36, 10:80] = 255
    path = save(tmp_path / "slit.png", mask)
    composition = quick(
        ramp_file, load_templates(tmp_path / "marks"), keep_in=path, min_size=20, background="transparent", count=20
    )
    assert max(alpha_outside(composition, mask / 255)) < 0.5
    assert set(composition.template[composition.opacity[0] > 0].tolist()) == {1}


def test_a_region_without_room_is_named(tmp_path: Path, ramp_file: Path, templates: list[Template]) -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[20:24, 20:24] = 255
    fault = refusal(ramp_file, templates, keep_in=save(tmp_path / "dot.png", mask), min_size=12)
    assert fault.code == "region_too_small"
    assert "12 pixels" in fault.message
    assert "min_size" in fault.hint


def test_a_region_that_leaves_nothing_is_named(tmp_path: Path, ramp_file: Path, templates: list[Template]) -> None:
    black = save(tmp_path / "black.png", np.zeros((8, 8), np.uint8))
    white = save(tmp_path / "white.png", np.full((8, 8), 255, np.uint8))
    for name, mask in (("keep_in", black), ("keep_out", white)):
        fault = refusal(ramp_file, templates, **{name: mask})
        assert fault.code == "region_empty"
        assert fault.message.startswith(f"{mask}: nothing of the target ({ramp_file.name})")
        assert name in fault.message


def test_an_opaque_target_has_no_outline(ramp_file: Path, templates: list[Template]) -> None:
    fault = refusal(ramp_file, templates, inside_outline=True)
    assert fault.code == "no_outline"
    assert str(ramp_file) in fault.message


@pytest.mark.parametrize("name", ["keep_in", "keep_out"])
def test_a_missing_mask_is_named(tmp_path: Path, ramp_file: Path, templates: list[Template], name: str) -> None:
    assert str(tmp_path / "no.png") in refusal(ramp_file, templates, **{name: tmp_path / "no.png"}).message


# Palettes.


def levels_of(composition: Composition) -> NDArray[np.int64]:
    """[F, N, 3]: the tints as 8-bit sRGB levels, which must be whole numbers within rounding."""
    shown = composition.tint.astype(np.float64)
    if composition.header.blend_space == "linear":
        shown = srgb_from_linear(composition.tint).astype(np.float64)
    levels = np.rint(255 * shown)
    np.testing.assert_allclose(255 * shown, levels, atol=1e-3)
    return levels.astype(np.int64)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"steps": 1},
        {"steps": 5},
        {"blend_space": "linear"},
        {"colour_mix": 0.6, "background": "transparent"},
        {"preset": "published"},
    ],
    ids=str,
)
def test_every_tint_is_a_colour_of_the_palette(
    ramp_file: Path, templates: list[Template], settings: dict[str, Any]
) -> None:
    composition = quick(ramp_file, templates, palette=list(PALETTE), **settings)
    allowed = {tuple(bytes.fromhex(colour[1:])) for colour in PALETTE}
    found = {tuple(levels) for levels in levels_of(composition)[0].tolist()}
    assert found <= allowed
    assert len(found) > 2


@pytest.mark.parametrize("space", ["srgb", "linear"])
def test_each_of_256_levels_comes_out_as_it_went_in(ramp_file: Path, templates: list[Template], space: str) -> None:
    greys = [f"#{level:02x}{level:02x}{level:02x}" for level in range(256)]
    composition = quick(ramp_file, templates, palette=greys, blend_space=space, count=300, steps=6)
    levels = levels_of(composition)[0]
    assert (levels == levels[:, :1]).all()
    assert len(np.unique(levels)) > 60


def test_the_fit_makes_up_for_its_palette(ramp_file: Path, templates: list[Template]) -> None:
    """Better than to fit freely and to take the nearest colours at the end."""
    target = pixels_of(ramp_file)
    chosen = quick(ramp_file, templates, palette=list(PALETTE), count=150, steps=150)
    free = quick(ramp_file, templates, count=150, steps=150)
    colours = np.array([tuple(bytes.fromhex(colour[1:])) for colour in PALETTE]) / 255
    away = ((free.tint[0][:, None] - colours) ** 2).sum(axis=2)
    free.tint[0] = colours[away.argmin(axis=1)]
    assert decibels(drawn(chosen), target) > decibels(drawn(free), target) + 1


def test_a_psds_layers_have_the_palettes_colours(ramp_file: Path, templates: list[Template]) -> None:
    composition = quick(ramp_file, templates, palette=list(PALETTE))
    allowed = {tuple(bytes.fromhex(colour[1:])) for colour in PALETTE}
    for sprite in sprite_bitmaps(composition):
        pixels = straight_from_premultiplied(sprite.rgba)
        assert {tuple(colour) for colour in pixels[pixels[..., 3] > 0][:, :3].tolist()} <= allowed


def test_a_films_sprites_keep_their_colours(tmp_path: Path, templates: list[Template]) -> None:
    composition = quick(film(tmp_path / "film"), templates, palette=list(PALETTE), frame_steps=8)
    levels = levels_of(composition)
    assert composition.frames == 3
    assert (levels == levels[0]).all()
    assert not (composition.x[1] == composition.x[0]).all()


# Angles.


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 360])
@pytest.mark.parametrize("fit_steps", [1, 40])
def test_angles_are_steps_of_a_turn(ramp_file: Path, templates: list[Template], steps: int, fit_steps: int) -> None:
    composition = quick(ramp_file, templates, rotation_steps=steps, steps=fit_steps)
    turn = 2 * np.pi / steps
    number = np.rint(composition.theta.astype(np.float64) / turn)
    np.testing.assert_array_equal(composition.theta, (number * turn).astype(np.float32))
    assert len(np.unique(number)) > 1 or steps == 1
    assert steps != 1 or not composition.theta.any()


def test_the_angles_of_a_film_stay(tmp_path: Path, templates: list[Template]) -> None:
    composition = quick(film(tmp_path / "film"), templates, rotation_steps=8, frame_steps=8)
    assert (composition.theta == composition.theta[0]).all()


# Visibility.


def visible(composition: Composition, frame: int = 0) -> Floats:
    """[N]: the share of each sprite that is seen, by drawing every sprite alone and laying them down from the top."""
    header = composition.header
    through = np.ones((header.height, header.width))
    shares = np.zeros(header.sprites)
    for sprite in reversed(list(sprite_bitmaps(composition, frame))):
        template = composition.templates[composition.template[sprite.index]]
        rows, columns = sprite.rgba.shape[:2]
        top, left = max(0, -sprite.top), max(0, -sprite.left)
        down, across = min(rows, header.height - sprite.top), min(columns, header.width - sprite.left)
        if down <= top or across <= left:
            continue
        alpha = sprite.opacity * sprite.rgba[top:down, left:across, 3]
        under = through[sprite.top + top : sprite.top + down, sprite.left + left : sprite.left + across]
        longer = max(template.width, template.height)
        area = 4 * composition.scale[frame, sprite.index] ** 2 * template.width * template.height / longer**2
        shares[sprite.index] = (alpha * under).sum() / (area * template.coverage)
        under *= 1 - alpha
    return shares


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"count": 250, "size": 64},
        {"steps": 1},
        {"steps": 7},
        {"blend_space": "linear", "colour_mix": 1.0},
        {"alpha_max": 0.5},
        {"preset": "published"},
        {"palette": list(PALETTE), "rotation_steps": 4},
    ],
    ids=str,
)
@pytest.mark.parametrize("least", [0.2, 0.4])
def test_every_sprite_is_seen(
    ramp_file: Path, templates: list[Template], settings: dict[str, Any], least: float
) -> None:
    usual = {name: value for name, value in settings.items() if name in ("count", "size", "steps", "blend_space")}
    assert visible(quick(ramp_file, templates, **usual)).min() < least
    composition = quick(ramp_file, templates, min_visibility=least, **settings)
    assert visible(composition).min() >= least
    assert composition.header.sprites == settings.get("count", 60)


def test_sprites_are_seen_where_they_must_be(
    ramp_file: Path, badge_file: Path, crescent_file: Path, templates: list[Template]
) -> None:
    for target, settings in (
        (ramp_file, {"keep_in": crescent_file, "background": "transparent"}),
        (badge_file, {"inside_outline": True}),
    ):
        composition = quick(target, templates, min_visibility=0.25, **settings)
        outline = grey(crescent_file) if "keep_in" in settings else pixels_of(badge_file)[..., 3]
        assert visible(composition).min() >= 0.25
        assert max(alpha_outside(composition, outline)) < 0.5


def test_sprites_that_are_seen_still_show_the_target(ramp_file: Path, templates: list[Template]) -> None:
    composition = quick(ramp_file, templates, count=150, steps=150, min_visibility=0.25)
    assert decibels(drawn(composition), pixels_of(ramp_file)) > 31


def test_the_report_says_what_is_seen(tmp_path: Path) -> None:
    outcome = run_job(small_job(tmp_path, min_visibility=0.3), tmp_path / "job")
    composition = load_composition(tmp_path / "job")
    assert outcome.report["least_visible"] == pytest.approx(visible(composition).min(), abs=1e-3)
    assert outcome.report["hidden"] == 0


def test_what_cannot_be_shown_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Sixty sprites that each fill the canvas cannot all be seen; the fit ends nevertheless, and says so."""
    job = small_job(tmp_path, count=60, min_visibility=0.3, min_size=90, max_size=120)
    outcome = run_job(job, tmp_path / "job")
    assert outcome.report["hidden"] == (visible(load_composition(tmp_path / "job")) < 0.3).sum() > 0
    assert f"{outcome.report['hidden']} sprites are less visible than required" in caplog.text


def test_the_first_frame_of_a_film_shows_every_sprite(tmp_path: Path) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film")), steps=40, min_visibility=0.25)
    outcome = run_job(job, tmp_path / "job")
    composition = load_composition(tmp_path / "job")
    least = [float(visible(composition, frame).min()) for frame in range(3)]
    assert least[0] >= 0.25
    assert outcome.report["least_visible"] == pytest.approx(least, abs=1e-3)
    assert len(outcome.report["hidden"]) == 3


# Layers.


def layers(composition: Composition) -> tuple[float, float]:
    """Mean number of layers over a pixel, and their deviation against it, by drawing every sprite alone."""
    height, width, beyond = composition.header.height, composition.header.width, 1000
    counted = np.zeros((height + 2 * beyond, width + 2 * beyond))
    for sprite in sprite_bitmaps(composition):
        top, left = sprite.top + beyond, sprite.left + beyond
        rows, columns = sprite.rgba.shape[:2]
        counted[top : top + rows, left : left + columns] += sprite.opacity * sprite.rgba[..., 3]
    counted = counted[beyond:-beyond, beyond:-beyond]
    return float(counted.mean()), float(counted.std() / counted.mean())


@pytest.mark.parametrize("most", [0.8, 1.2])
def test_layers_are_no_more_than_asked(ramp_file: Path, templates: list[Template], most: float) -> None:
    settings = {"count": 150, "steps": 120}
    assert layers(quick(ramp_file, templates, **settings))[0] > 1.3 * most
    assert layers(quick(ramp_file, templates, max_overlap=most, **settings))[0] < 1.1 * most


def test_layers_are_as_even_as_asked(ramp_file: Path, templates: list[Template]) -> None:
    spreads = [
        layers(quick(ramp_file, templates, even_coverage=even, count=150, steps=120))[1] for even in (0.0, 0.3, 1.0)
    ]
    assert spreads[0] > 1.3 * spreads[1] > 1.3 * spreads[2]


@pytest.mark.parametrize("settings", [{"max_overlap": 1.5}, {"even_coverage": 0.5}], ids=str)
def test_the_report_says_how_many_layers_there_are(tmp_path: Path, settings: dict[str, Any]) -> None:
    outcome = run_job(small_job(tmp_path, **settings), tmp_path / "job")
    mean, spread = layers(load_composition(tmp_path / "job"))
    assert outcome.report["layers"] == pytest.approx(mean, rel=0.01)
    assert outcome.report["layers_spread"] == pytest.approx(spread, rel=0.01)


# All of them.


def resumed(folder: Path, after: int, **settings: Any) -> None:
    """See that a job that was stopped after so many steps and resumed is the same as one that was not."""
    heard: list[int] = []

    class Counting(NullListener):
        def progress(self, stage: str, done: int, total: int, loss: float | None, eta: float | None) -> None:
            heard.append(done)

    job = small_job(folder, **settings)
    run_job(job, folder / "whole")
    run_job(job, folder / "job", listener=Counting(), should_stop=lambda: len(heard) >= after)
    resume_job(folder / "job")
    assert (folder / "job" / "frames.npz").read_bytes() == (folder / "whole" / "frames.npz").read_bytes()


@pytest.mark.parametrize("stop", [3, 22, 33, 49, 57])
def test_a_stopped_job_with_limits_is_resumed_to_the_same_end(tmp_path: Path, crescent_file: Path, stop: int) -> None:
    resumed(
        tmp_path,
        stop,
        target=str(film(tmp_path / "film")),
        steps=40,
        frame_steps=10,
        palette=PALETTE,
        rotation_steps=6,
        keep_in=str(crescent_file),
        background="transparent",
        min_visibility=0.2,
        max_overlap=1.5,
        even_coverage=0.2,
    )


def test_a_stopped_job_on_a_coarse_canvas_is_resumed_to_the_same_end(tmp_path: Path) -> None:
    """What is moved before a step was chosen on the canvas of the step before."""
    target = save(tmp_path / "large.png", ramp(256, 192))
    resumed(tmp_path, 24, target=str(target), steps=100, count=60, palette=PALETTE)


def test_a_stopped_job_keeps_its_limits(tmp_path: Path, crescent_file: Path, templates: list[Template]) -> None:
    job = small_job(tmp_path, palette=PALETTE, rotation_steps=4, keep_in=str(crescent_file), background="transparent")
    done = run_job(job, tmp_path / "job", should_stop=lambda: True)
    assert done.cancelled
    composition = load_composition(tmp_path / "job")
    assert {tuple(levels) for levels in levels_of(composition)[0].tolist()} <= {
        tuple(bytes.fromhex(colour[1:])) for colour in PALETTE
    }
    assert max(alpha_outside(composition, grey(crescent_file))) < 0.5


def test_what_may_not_be_drawn_does_not_count_against_the_picture(tmp_path: Path, crescent_file: Path) -> None:
    job = small_job(tmp_path, keep_in=str(crescent_file), background="transparent", count=60, steps=80)
    report = run_job(job, tmp_path / "job").report
    whole = decibels(pixels_of(tmp_path / "job" / "render.png"), pixels_of(Path(job.target)))
    assert report["psnr"] > whole + 4
