# SPDX-License-Identifier: GPL-3.0-or-later
"""With motion blur, what moves is smeared in linear light, what does not keeps its bits, and cuts stay sharp."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compositions import composition, scattered
from numpy.typing import NDArray

from smalti.engine.colour import linear_from_srgb, srgb_from_linear
from smalti.engine.composition import Composition
from smalti.engine.composition.render import picture
from smalti.engine.composition.shutter import exposed_strips, is_cut, sprites_at
from smalti.engine.templates import Template

SIZE = (96, 48)


def square() -> Template:
    """An opaque white square of 32 texels."""
    return Template("square", np.full((32, 32, 4), 255, np.uint8))


def moving(**values: Any) -> Composition:
    """Squares of 16 pixels, white on black."""
    return composition([square()], SIZE, **{"y": 24.0, "scale": 8.0, "tint": 1.0, "background": "#000000", **values})


def exposed(made: Composition, frame: int, shutter: float, size: int | None = None) -> NDArray[np.uint8]:
    return exposed_strips(made, frame, size, shutter).whole()


@pytest.mark.parametrize("shutter", [0.0, 0.5, 1.0])
def test_what_does_not_move_keeps_its_bits(shutter: float) -> None:
    made = moving(x=[[30.0, 60.0]] * 3, theta=[[0.3, 0.4]] * 3)
    np.testing.assert_array_equal(exposed(made, 1, shutter), picture(made, 1))


def test_a_closed_shutter_gives_the_frame() -> None:
    made = moving(x=[[20.0], [40.0], [60.0]])
    np.testing.assert_array_equal(exposed(made, 1, 0.0), picture(made, 1))


@pytest.mark.parametrize(("space", "size"), [("srgb", None), ("linear", None), ("srgb", 192)])
def test_what_moves_is_smeared_along_its_way_in_linear_light(space: Any, size: int | None) -> None:
    made = moving(x=[[20.0], [40.0], [60.0]])
    object.__setattr__(made.header, "blend_space", space)
    made = Composition(**{**vars(made), "atlases": None})
    zoom = 1 if size is None else size // 96
    light = linear_from_srgb(exposed(made, 1, 0.5, size)[24 * zoom, :, 0] / 255)
    # Its center goes from 35 to 45: a pixel at x is covered for the part of that time in which |x - center| < 8.
    at = (np.arange(96 * zoom) + 0.5) / zoom
    covered = np.clip(np.minimum(at + 8, 45) - np.maximum(at - 8, 35), 0, 10) / 10
    np.testing.assert_allclose(light, covered, atol=0.07)
    assert light.mean() == pytest.approx(covered.mean(), rel=0.03)  # soft edges are of the blend space


def test_the_first_and_the_last_frame_open_to_one_side() -> None:
    made = moving(x=[[20.0], [40.0]])
    for frame, near, far in ((0, 20, 25), (1, 40, 35)):
        row = exposed(made, frame, 0.5)[24, :, 0] / 255
        light = linear_from_srgb(row)
        center = float((light * (np.arange(96) + 0.5)).sum() / light.sum())
        assert center == pytest.approx(near + (far - near) / 4, abs=0.3)  # half of the time it stands still


def test_a_turn_is_smeared_at_the_rim() -> None:
    made = moving(x=[[48.0]] * 3, theta=[[0.0], [0.8], [1.6]], scale=[[20.0]] * 3)
    sharp, blurred = picture(made, 1)[..., 0], exposed(made, 1, 1.0)[..., 0]
    np.testing.assert_array_equal(blurred[20:28, 44:52], sharp[20:28, 44:52])
    between = (blurred > 10) & (blurred < 245)
    assert between.sum() > 3 * ((sharp > 10) & (sharp < 245)).sum()


def test_transparency_is_smeared_with_the_color_kept() -> None:
    made = moving(x=[[20.0], [40.0], [60.0]], background="transparent", tint=[1.0, 0.5, 0.0])
    rgba = exposed(made, 1, 0.5)[24]
    partly = (rgba[:, 3] > 20) & (rgba[:, 3] < 235)
    assert partly.sum() >= 8
    np.testing.assert_allclose(rgba[partly, :3], np.tile([255, 128, 0], (partly.sum(), 1)), atol=6)


def test_between_frames_everything_changes_evenly_and_sizes_by_factors() -> None:
    made = moving(x=[[20.0], [40.0]], theta=[[3.0], [5.0]], scale=[[4.0], [16.0]], opacity=[[0.2], [1.0]])
    half = sprites_at(made, 0.5)
    found = [float(column[0]) for column in (half.x, half.theta, half.scale, half.opacity)]
    assert found == pytest.approx([30.0, 4.0, 8.0, 0.6])
    assert sprites_at(made, 1.0).x[0] == 40


def test_a_sprite_that_appears_elsewhere_fades_and_does_not_fly() -> None:
    made = moving(x=[[10.0, 50.0], [80.0, 50.0]], opacity=[[0.0, 1.0], [0.6, 1.0]])
    half = sprites_at(made, 0.5)
    assert [float(half.x[0]), float(half.opacity[0])] == pytest.approx([80, 0.3])
    np.testing.assert_array_equal(exposed(made, 0, 0.5), picture(made, 0))


def random_film(change: Any) -> Composition:
    """Two frames of 200 sprites; `change` gives those of the second."""
    first = {"scale": 12.0, **scattered(200)}
    columns = {name: np.asarray(first[name]) for name in ("x", "y", "theta")}
    second = {**columns, **change(columns)}
    both = {name: np.stack([columns[name], second[name]]) for name in columns}
    return composition([square()], **{**first, **both})


def test_a_new_scene_is_a_cut_and_a_moving_camera_is_none() -> None:
    rng = np.random.default_rng(3)
    assert is_cut(random_film(lambda now: {"x": rng.permutation(now["x"]), "y": rng.permutation(now["y"])}), 0)
    assert not is_cut(random_film(lambda now: {}), 0)
    assert not is_cut(random_film(lambda now: {"x": now["x"] + 60}), 0)
    assert not is_cut(random_film(lambda now: {"x": 1.5 * now["x"], "y": 1.5 * now["y"]}), 0)
    few = np.arange(200) < 60  # a part of the picture goes elsewhere
    assert not is_cut(random_film(lambda now: {"x": now["x"] + 90 * few}), 0)


def test_nothing_is_smeared_across_a_cut() -> None:
    rng = np.random.default_rng(3)
    made = random_film(lambda now: {"x": rng.permutation(now["x"]), "y": rng.permutation(now["y"])})
    for frame in (0, 1):
        np.testing.assert_array_equal(exposed(made, frame, 1.0), picture(made, frame))


def test_strips_are_those_of_the_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    made = moving(x=[[20.0], [40.0], [60.0]])
    whole = exposed(made, 1, 0.5)
    monkeypatch.setattr("smalti.engine.files.strips.STRIP_PIXELS", 96 * 16)
    strips = list(exposed_strips(made, 1, None, 0.5))
    assert len(strips) > 1
    np.testing.assert_array_equal(np.concatenate(strips), whole)


def test_light_is_averaged_and_not_its_encoding() -> None:
    made = moving(x=[[20.0], [40.0], [60.0]])
    brightest = int(exposed(made, 1, 1.0)[24, 40, 0])
    assert brightest == pytest.approx(255 * float(srgb_from_linear(np.array([16 / 20]))[0]), abs=8)
