# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitting: the start, what the settings promise, and frames one after another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jobs import Floats, arrays_of, badge, bitmaps, decibels, film, pixels_of, ramp, resized, save, small_job
from numpy.typing import NDArray

from smalti.bridge.job import Preset
from smalti.engine.api import fit
from smalti.engine.composition import Composition
from smalti.engine.composition.render import picture
from smalti.engine.files.images import premultiply
from smalti.engine.fitting.adam import Adam
from smalti.engine.fitting.groups import Group
from smalti.engine.fitting.initialise import SamplerSettings, SpriteSampler, measure_template
from smalti.engine.fitting.initialise.sampler import hilbert_order
from smalti.engine.fitting.picture_statistics import box_mean
from smalti.engine.fitting.strategy import Adaptive
from smalti.engine.fitting.strategy.diffbmp import DiffBMP
from smalti.engine.fitting.strategy.presets import STRATEGIES
from smalti.engine.fitting.strategy.relocate import RelocateOccludedSettings, RelocateSettings
from smalti.engine.job.run import run_job
from smalti.engine.raster import build_atlas, composite
from smalti.engine.raster.geometry import affine_maps
from smalti.engine.templates import Template, load_templates


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> list[Template]:
    return load_templates(bitmaps(tmp_path_factory.mktemp("bitmaps")))


@pytest.fixture(scope="module")
def ramp_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("ramp") / "ramp.png", ramp())


@pytest.fixture(scope="module")
def badge_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("badge") / "badge.png", badge())


def quick(target: Path, templates: list[Template], **settings: Any) -> Composition:
    return fit(target, templates, **{"count": 40, "steps": 60, **settings})


def drawn(composition: Composition, frame: int = 0) -> Floats:
    """[H, W, 4] premultiplied sRGB, 0 to 1."""
    pixels = picture(composition, frame) / 255
    pixels[..., :3] *= pixels[..., 3:]
    return pixels


# The start.


@pytest.mark.parametrize("side", [2, 4, 16, 64])
def test_the_curve_of_a_square_goes_from_neighbour_to_neighbour(side: int) -> None:
    row, column = np.divmod(hilbert_order(side, side), side)
    np.testing.assert_array_equal(abs(np.diff(row)) + abs(np.diff(column)), 1)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 3), (16, 16), (5, 64), (100, 33)])
def test_the_curve_visits_every_pixel_once(width: int, height: int) -> None:
    assert sorted(hilbert_order(width, height)) == list(range(width * height))


@pytest.mark.parametrize("radius", [0, 1, 2, 5])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_the_box_mean_is_the_mean_of_the_box_with_repeated_edges(radius: int, channels: tuple[int, ...]) -> None:
    plane = np.random.default_rng(0).uniform(0, 1, (9, 13, *channels))
    padded = np.pad(plane, [(radius, radius)] * 2 + [(0, 0)] * len(channels), mode="edge")
    window = 2 * radius + 1
    expected = [[padded[i : i + window, j : j + window].mean(axis=(0, 1)) for j in range(13)] for i in range(9)]
    np.testing.assert_allclose(box_mean(plane, radius), expected, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2, -0.7])
def test_the_axis_of_a_bar_is_its_direction(angle: float) -> None:
    y, x = np.mgrid[-30:31, -30:31]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    bar = np.zeros((61, 61, 4))
    bar[(abs(along) < 25) & (abs(across) < 4)] = (0.5, 0.25, 0, 1)
    shape = measure_template(bar)
    assert np.sin(shape.axis - angle) == pytest.approx(0, abs=0.02)
    assert shape.elongation > 0.7
    assert shape.coverage == pytest.approx(bar[..., 3].mean())
    assert shape.color == pytest.approx((0.5, 0.25, 0))


# The result.


def test_the_loss_falls_and_the_picture_comes_to_resemble_its_target(
    ramp_file: Path, templates: list[Template]
) -> None:
    losses: list[float] = []
    composition = quick(ramp_file, templates, steps=150, progress=lambda done, total, loss: losses.append(loss))
    assert len(losses) == 150
    assert np.mean(losses[-5:]) < losses[0] / 5
    assert decibels(drawn(composition), pixels_of(ramp_file)) > 25


def test_more_sprites_come_closer(ramp_file: Path, templates: list[Template]) -> None:
    few, many = (drawn(quick(ramp_file, templates, count=count)) for count in (5, 100))
    target = pixels_of(ramp_file)
    assert decibels(many, target) > decibels(few, target) + 3


@pytest.mark.parametrize("space", ["srgb", "linear"])
@pytest.mark.parametrize("mix", [0.0, 0.5, 1.0])
def test_every_number_is_in_its_range(ramp_file: Path, templates: list[Template], space: str, mix: float) -> None:
    composition = quick(ramp_file, templates, steps=30, blend_space=space, colour_mix=mix)
    assert composition.header.colour_mix == mix
    assert composition.header.blend_space == space
    for name in ("x", "y", "scale", "aspect", "theta", "opacity", "tint"):
        values = getattr(composition, name)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert composition.scale.min() > 0
    assert 0 <= composition.opacity.min() <= composition.opacity.max() <= 1
    assert 0 <= composition.tint.min() <= composition.tint.max() <= 1
    assert set(composition.template.tolist()) <= {0, 1}


def test_linear_blending_fits_as_well_as_srgb(ramp_file: Path, templates: list[Template]) -> None:
    """Over three seeds: one alone is off by a decibel either way."""
    wanted = pixels_of(ramp_file)

    def quality(space: str) -> float:
        fits = (quick(ramp_file, templates, steps=150, blend_space=space, seed=seed) for seed in range(3))
        return float(np.mean([decibels(drawn(composition), wanted) for composition in fits]))

    assert quality("linear") > quality("srgb") - 2


# What the settings promise.


def changed(target: Path, templates: list[Template], name: str, **settings: Any) -> tuple[Floats, Floats]:
    """A parameter [N] after one step and after 11, before any sprite is moved elsewhere in the stack."""
    one, many = (getattr(quick(target, templates, steps=steps, **settings), name)[0] for steps in (1, 11))
    return one, many


def test_full_mix_leaves_the_tint_alone(ramp_file: Path, templates: list[Template]) -> None:
    one, many = (np.sort(tint, axis=0) for tint in changed(ramp_file, templates, "tint", colour_mix=1.0))
    np.testing.assert_array_equal(one, many)  # but for their order: some were raised or lowered
    one, many = changed(ramp_file, templates, "tint", colour_mix=0.9)
    assert abs(one - many).max() > 0.01


def test_full_mix_draws_the_bitmaps_own_colours(ramp_file: Path, templates: list[Template]) -> None:
    composition = quick(ramp_file, templates, steps=5, colour_mix=1.0, background="transparent")
    pixels = picture(composition)
    colours = pixels[pixels[..., 3] > 250][:, :3].astype(int)
    own = np.array([(230, 200, 60), (40, 90, 160)])
    # Where two meet, they mix; nothing lies beyond them.
    assert (colours >= own.min(axis=0) - 2).all()
    assert (colours <= own.max(axis=0) + 2).all()


def test_a_locked_rotation_keeps_every_bitmap_upright(ramp_file: Path, templates: list[Template]) -> None:
    assert (quick(ramp_file, templates, steps=20, lock_rotation=True).theta == 0).all()
    assert (quick(ramp_file, templates, steps=20).theta != 0).all()


def test_a_locked_scale_keeps_every_sprite_at_its_first_size(ramp_file: Path, templates: list[Template]) -> None:
    one, many = (np.sort(scale) for scale in changed(ramp_file, templates, "scale", lock_scale=True))
    np.testing.assert_array_equal(one, many)
    one, many = changed(ramp_file, templates, "scale")
    assert abs(one - many).max() > 0.5


def test_relocated_sprites_keep_locked_sizes_and_the_numbers_of_each_bitmap(
    ramp_file: Path, templates: list[Template]
) -> None:
    few, many = (quick(ramp_file, templates, steps=steps, lock_scale=True) for steps in (1, 60))
    np.testing.assert_array_equal(np.sort(few.scale[0]), np.sort(many.scale[0]))
    assert (few.scale[0] != many.scale[0]).any(), "no sprite was relocated, so this test shows nothing"
    assert many.header.sprites == few.header.sprites == len(many.template)


def test_relocation_brings_the_picture_closer(tmp_path: Path) -> None:
    """Much detail in one corner, where uniform coverage has too few sprites."""
    rng = np.random.default_rng(3)
    pixels = np.full((96, 96, 3), 40, np.uint8)
    pixels[:48, :48] = rng.integers(0, 2, (12, 12, 1)).repeat(4, axis=0).repeat(4, axis=1) * 215 + 40
    target = save(tmp_path / "corner.png", pixels)
    disc = load_templates(bitmaps(tmp_path / "discs"))
    settings = {"count": 120, "size": 96, "steps": 240, "background": "#282828"}
    with_it = decibels(drawn(fit(target, disc, **settings)), pixels_of(target))
    never = Adaptive(relocation=RelocateSettings(last=0.0))
    without = decibels(drawn(fit(target, disc, strategy=never, **settings)), pixels_of(target))
    assert with_it > without + 0.3


def seen_of(composition: Composition, templates: list[Template]) -> Floats:
    """[N]: alpha times transmittance above, summed over pixels: what the picture loses in alpha, seen from the top."""
    atlas = build_atlas([premultiply(t.rgba) for t in templates])
    shapes = torch.tensor([[t.width, t.height] for t in templates], dtype=torch.float64)
    template = torch.from_numpy(composition.template)
    names = ("x", "y", "scale", "aspect", "theta", "opacity")
    x, y, scale, aspect, theta, opacity = (torch.from_numpy(getattr(composition, n)[0].astype(float)) for n in names)
    affine = affine_maps(x, y, scale, aspect, theta, shapes[template.long()])
    size = composition.header.height, composition.header.width
    alphas = []
    for lowest in range(len(template) + 1):  # of everything from this sprite upwards
        tint = torch.zeros(len(template) - lowest, 3)
        image = composite(affine[lowest:], opacity[lowest:], tint, template[lowest:], atlas, size)
        alphas.append(float(image[..., 3].sum()))
    return -np.diff(np.array(alphas))


@pytest.mark.parametrize("preset", ["balanced", "best"])
def test_hardly_any_sprite_is_lost(ramp_file: Path, templates: list[Template], preset: Preset) -> None:
    """Two colours that the ramp does not have: most sprites can only do harm, and would shrink away."""
    settings = {"colour_mix": 1.0, "count": 150, "steps": 100, "preset": preset}
    for seed in range(4):
        seen = seen_of(quick(ramp_file, templates, **settings, seed=seed), templates)
        assert (seen < 0.05 * np.median(seen)).mean() < 0.01
    never = replace(STRATEGIES[preset], occluded=RelocateOccludedSettings(at=2.0))
    seen = seen_of(quick(ramp_file, templates, strategy=never, **settings), templates)
    assert (seen < 0.05 * np.median(seen)).mean() >= 0.02, "none would be lost, so this test shows nothing"


@pytest.mark.parametrize("locked", [False, True])
def test_every_sprite_is_between_the_smallest_and_the_largest_size(
    ramp_file: Path, templates: list[Template], locked: bool
) -> None:
    composition = quick(ramp_file, templates, min_size=11, max_size=17, lock_scale=locked)
    assert composition.scale.min() >= 5.5 - 1e-5
    assert composition.scale.max() <= 8.5 + 1e-5


def test_no_sprite_is_more_opaque_than_allowed(ramp_file: Path, templates: list[Template]) -> None:
    assert quick(ramp_file, templates, alpha_max=0.3).opacity.max() <= 0.3
    assert quick(ramp_file, templates).opacity.max() > 0.5


def test_what_the_mask_hides_stays_empty(ramp_file: Path, templates: list[Template], tmp_path: Path) -> None:
    grey = np.zeros((64, 96, 3), np.uint8)
    grey[:, 48:] = 255
    mask = save(tmp_path / "mask.png", grey)
    composition = quick(ramp_file, templates, steps=150, target_mask=mask)
    assert composition.header.background == "transparent"
    alpha = drawn(composition)[..., 3]
    assert alpha[:, :44].mean() < 0.03
    assert alpha[:, 52:].mean() > 0.9


def test_a_transparent_target_keeps_its_outline(badge_file: Path, templates: list[Template]) -> None:
    composition = quick(badge_file, templates, steps=200)
    assert composition.header.background == "transparent"
    alpha, wanted = drawn(composition)[..., 3], pixels_of(badge_file)[..., 3]
    assert abs(alpha - wanted).mean() < 0.06
    assert alpha[wanted == 0].mean() < 0.05
    assert alpha[wanted == 1].mean() > 0.9


def test_a_transparent_target_over_a_colour_leaves_that_colour_in_its_holes(
    badge_file: Path, templates: list[Template]
) -> None:
    composition = quick(badge_file, templates, steps=200, background="#00ff00")
    image = drawn(composition)
    outside = pixels_of(badge_file)[..., 3] == 0
    np.testing.assert_allclose(image[outside].mean(axis=0), [0, 1, 0, 1], atol=0.05)


def test_the_automatic_background_is_the_mean_colour(ramp_file: Path, templates: list[Template]) -> None:
    background = quick(ramp_file, templates, steps=1).header.background
    mean = ramp().reshape(-1, 3).mean(axis=0)
    found = [int(background[i : i + 2], 16) for i in (1, 3, 5)]
    np.testing.assert_allclose(found, mean, atol=1)


def test_a_background_image_shows_where_no_sprite_is(
    ramp_file: Path, templates: list[Template], tmp_path: Path
) -> None:
    behind = save(tmp_path / "behind.png", np.full((8, 8, 3), (10, 200, 90), np.uint8))
    composition = quick(ramp_file, templates, count=1, steps=1, max_size=10, background=behind)
    assert composition.header.background == "background.png"
    shown = picture(composition)
    is_behind = (shown == (10, 200, 90, 255)).all(axis=2)
    assert is_behind.mean() > 0.9


def test_a_background_equal_to_the_target_is_left_as_it_is(ramp_file: Path, templates: list[Template]) -> None:
    """The fit takes the background into account: over the target itself nothing is better than the start."""
    composition = quick(ramp_file, templates, steps=100, background=ramp_file)
    assert decibels(drawn(composition), pixels_of(ramp_file)) > 30


# Presets.


def test_the_baseline_begins_gray_faint_in_turn_and_denser_where_there_is_detail(templates: list[Template]) -> None:
    rng = np.random.default_rng(0)
    target = np.ones((60, 80, 4))
    target[..., :3] = 0.2
    target[:, 40:, :3] = rng.integers(0, 2, (60, 40, 1)) * 0.8 + 0.1
    shapes = [measure_template(np.ones((8, 8, 4)))] * 3
    sampler = SpriteSampler(target, shapes, 0.0, Group(500, range(3), (4.0, 30.0)), False, SamplerSettings())
    sprites = DiffBMP().initialise(sampler, 400, rng)
    np.testing.assert_array_equal(sprites.template, np.arange(400) % 3)
    np.testing.assert_allclose(sprites.opacity, 0.119, atol=0.001)
    assert 0.5 < sprites.tint.min() < sprites.tint.max() < 0.75
    assert (sprites.x > 40).mean() > 0.8
    assert sprites.scale[sprites.x > 44].mean() < 0.5 * sprites.scale[sprites.x < 36].mean()
    assert len(set(zip(sprites.x, sprites.y))) == 400
    assert len(DiffBMP().initialise(sampler, 10_000, rng)) == 10_000


@pytest.mark.parametrize("mix", [0.0, 1.0])
def test_ours_comes_closer_than_the_baseline(ramp_file: Path, templates: list[Template], mix: float) -> None:
    wanted = pixels_of(ramp_file)
    ours, theirs = (
        decibels(drawn(quick(ramp_file, templates, steps=100, colour_mix=mix, preset=preset)), wanted)
        for preset in ("balanced", "published")
    )
    assert ours > theirs + (3 if mix == 0 else 0)
    assert theirs > decibels(np.broadcast_to(wanted.mean(axis=(0, 1)), wanted.shape), wanted) - 3


def test_the_baseline_keeps_the_stack_and_prunes_what_stays_faint(
    ramp_file: Path, templates: list[Template], monkeypatch: pytest.MonkeyPatch
) -> None:
    pruned: list[int] = []
    before_step = DiffBMP.before_step
    monkeypatch.setattr(DiffBMP, "before_step", lambda *given: pruned.append(before_step(*given)) or pruned[-1])
    composition = quick(ramp_file, templates, steps=40, preset="published")
    np.testing.assert_array_equal(composition.template, np.arange(40) % 2)
    assert pruned[20] > 0
    assert sum(pruned) == pruned[20]


# Unusual pictures.


@pytest.mark.parametrize(
    ("width", "height", "settings"),
    [
        (16, 16, {}),
        (16, 16, {"count": 1}),
        (400, 16, {}),
        (16, 400, {"blend_space": "linear"}),
        (4, 17, {"count": 3}),
        (32, 32, {"count": 2000, "steps": 5}),
    ],
)
def test_small_and_narrow_canvases_are_rebuilt(
    templates: list[Template], tmp_path: Path, width: int, height: int, settings: dict[str, Any]
) -> None:
    target = save(tmp_path / "target.png", ramp(width, height))
    composition = quick(target, templates, **settings)
    assert (composition.header.width, composition.header.height) == (width, height)
    blank = np.broadcast_to(pixels_of(target).mean(axis=(0, 1)), (height, width, 4))
    assert decibels(drawn(composition), pixels_of(target)) > decibels(blank, pixels_of(target))


def test_one_sprite_finds_the_one_thing_that_is_there(templates: list[Template], tmp_path: Path) -> None:
    y, x = np.mgrid[0:64, 0:64]
    pixels = np.full((64, 64, 3), 20, np.uint8)
    pixels[np.hypot(x - 40, y - 24) < 14] = (250, 220, 60)
    target = save(tmp_path / "spot.png", pixels)
    off = []
    for seed in range(4):
        composition = quick(target, templates[1:], count=1, steps=150, background="#141414", seed=seed)
        off.append(float(np.hypot(composition.x - 40, composition.y - 24).max()))
    # A start too far away finds nothing to follow; one of four is near enough.
    assert min(off) < 3


def test_a_single_pixel_serves_as_a_bitmap(ramp_file: Path, tmp_path: Path) -> None:
    pixel = load_templates(save(tmp_path / "pixel.png", np.full((1, 1, 4), 255, np.uint8)))
    composition = quick(ramp_file, pixel, steps=100)
    assert decibels(drawn(composition), pixels_of(ramp_file)) > 20


@pytest.mark.parametrize("mode", ["L", "L16", "1"])
def test_a_grey_target_is_rebuilt_in_grey(templates: list[Template], tmp_path: Path, mode: str) -> None:
    grey: NDArray[Any] = np.tile(np.linspace(30, 220, 64).astype(np.uint8), (48, 1))
    if mode == "1":
        grey = np.where(grey > 120, 255, 0).astype(np.uint8)
    target = save(tmp_path / "grey.png", grey.astype(np.uint16) * 257 if mode == "L16" else grey)
    image = drawn(quick(target, templates, steps=100))[..., :3]
    assert np.ptp(image, axis=2).mean() < 0.06
    assert abs(image.mean(axis=2) - grey / 255).mean() < 0.1


def test_a_flat_target_is_matched_to_the_level(templates: list[Template], tmp_path: Path) -> None:
    target = save(tmp_path / "flat.png", np.full((40, 40, 3), (90, 60, 200), np.uint8))
    assert decibels(drawn(quick(target, templates)), pixels_of(target)) > 35


# Frames.


def test_frames_are_fitted_with_one_set_of_sprites(templates: list[Template], tmp_path: Path) -> None:
    folder = film(tmp_path / "film", 4)
    composition = quick(folder, templates, steps=100, frame_steps=40)
    assert composition.frames == 4
    assert composition.template.shape == (40,)
    assert composition.x.shape == (4, 40)
    for frame in range(4):
        target = pixels_of(folder / f"{frame + 1:02d}.png")
        found = decibels(drawn(composition, frame), target)
        assert found > (15 if frame else 25)
        # Closer to its own frame than the one before is.
        if frame:
            assert found > decibels(drawn(composition, frame - 1), target)


def test_where_nothing_changes_nothing_moves(templates: list[Template], tmp_path: Path) -> None:
    for frame in range(3):
        save(tmp_path / "film" / f"{frame}.png", ramp())
    composition = quick(tmp_path / "film", templates, steps=100, frame_steps=20)
    step = np.hypot(np.diff(composition.x, axis=0), np.diff(composition.y, axis=0))
    assert np.median(step) < 1.5
    first, last = drawn(composition, 0), drawn(composition, 2)
    assert decibels(last, first) > 30
    target = pixels_of(tmp_path / "film" / "0.png")
    assert decibels(last, target) > decibels(first, target) - 0.5


def test_a_folder_with_one_picture_is_a_still(templates: list[Template], tmp_path: Path) -> None:
    assert quick(film(tmp_path / "film", 1), templates, steps=3).frames == 1


def test_frames_follow_in_the_natural_order_of_their_names(templates: list[Template], tmp_path: Path) -> None:
    for number, level in ((9, 30), (10, 128), (100, 230)):
        save(tmp_path / "film" / f"f{number}.png", np.full((32, 32, 3), level, np.uint8))
    composition = quick(tmp_path / "film", templates, steps=60, frame_steps=60)
    means = [drawn(composition, frame)[..., 0].mean() for frame in range(3)]
    assert means == sorted(means)


# On real pictures.


@pytest.mark.slow
@pytest.mark.parametrize("mix", [0.0, 0.6])
@pytest.mark.parametrize("bitmaps_of", ["flowers", "marks"])
def test_a_real_photograph_is_plainly_recognised(
    shared_data: Path, tmp_path: Path, bitmaps_of: str, mix: float
) -> None:
    painting = shared_data / "paintings" / "starry.jpg"
    job = small_job(
        tmp_path,
        target=str(painting),
        primitives=str(shared_data / "primitives" / bitmaps_of),
        size=256,
        count=400,
        steps=150,
        colour_mix=mix,
    )
    run_job(job, tmp_path / "job")
    shown = pixels_of(tmp_path / "job" / "render.png")
    target = resized(pixels_of(painting), shown.shape[1], shown.shape[0])
    assert decibels(shown, target) > 17
    likeness = np.corrcoef(shown[..., :3].ravel(), target[..., :3].ravel())[0, 1]
    assert likeness > 0.75
    assert np.isfinite(arrays_of(tmp_path / "job")["x"]).all()


# The optimiser.


def test_adam_steps_like_torchs_own() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (
        {name: torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3).requires_grad_() for name in ("a", "b")}
        for _ in range(2)
    )
    adam = Adam(ours, betas=(0.8, 0.95))
    reference = torch.optim.Adam(
        [{"params": [theirs["a"]], "lr": 0.3}, {"params": [theirs["b"]], "lr": 0.01}], betas=(0.8, 0.95), eps=0.0
    )
    for _ in range(20):
        gradients = {name: torch.randn(4, 3, generator=generator, dtype=torch.float64) for name in ours}
        for name, gradient in gradients.items():
            ours[name].grad, theirs[name].grad = gradient.clone(), gradient.clone()
        adam.step({"a": 0.3, "b": 0.01})
        reference.step()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-12, atol=1e-12)


def test_adam_leaves_what_has_no_gradient_where_it_is() -> None:
    parameter = torch.ones(3, requires_grad=True)
    adam = Adam({"p": parameter}, betas=(0.8, 0.95))
    parameter.grad = torch.tensor([0.0, 1.0, 0.0])
    adam.step({"p": 0.5})
    assert parameter.tolist() == [1.0, 0.5, 1.0]
