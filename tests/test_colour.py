# SPDX-License-Identifier: GPL-3.0-or-later
"""The two blend spaces: conversions by IEC 61966-2-1, there and back, and their slope."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.engine.colour import (
    hex_of,
    into_space,
    linear_from_srgb,
    out_of_space,
    parse_hex,
    srgb_from_linear,
    srgb_slope,
)

LEVELS = np.arange(256) / 255


def decoded_by_the_standard(value: float) -> float:
    """IEC 61966-2-1, written out."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


@pytest.mark.parametrize(
    ("encoded_value", "linear"),
    [(0, 0), (0.04045, 0.0031308), (0.2, 0.0331048), (0.5, 0.2140411), (0.735357, 0.5), (1, 1)],
)
def test_known_values_are_met_in_both_directions(encoded_value: float, linear: float) -> None:
    assert linear_from_srgb(np.array(encoded_value)) == pytest.approx(linear, abs=2e-6)
    assert srgb_from_linear(np.array(linear)) == pytest.approx(encoded_value, abs=2e-5)


def test_every_level_is_decoded_as_the_standard_says() -> None:
    expected = [decoded_by_the_standard(v) for v in LEVELS]
    np.testing.assert_allclose(linear_from_srgb(LEVELS), expected, rtol=2e-6)


def test_every_level_survives_the_way_there_and_back() -> None:
    there_and_back = srgb_from_linear(linear_from_srgb(LEVELS))
    np.testing.assert_allclose(there_and_back, LEVELS, atol=1e-6)


def test_light_below_zero_counts_as_none() -> None:
    assert srgb_from_linear(np.array([-0.5, -1e-9])).tolist() == [0, 0]


def test_premultiplied_pictures_survive_the_way_there_and_back() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 1, (200, 4)).astype(np.float32)
    pixels[:20, 3] = 0
    pixels[20:40, 3] = 1
    pixels[..., :3] *= pixels[..., 3:]
    linear = into_space(pixels, "linear")
    np.testing.assert_array_equal(linear[:, 3], pixels[:, 3])
    np.testing.assert_allclose(out_of_space(linear, "linear"), pixels, atol=2e-6)


def test_alpha_is_divided_out_before_a_colour_is_converted() -> None:
    half_covered_grey = np.array([0.25, 0.25, 0.25, 0.5])
    expected = decoded_by_the_standard(0.5) * 0.5
    np.testing.assert_allclose(into_space(half_covered_grey, "linear"), [expected] * 3 + [0.5], rtol=1e-5)


def test_the_space_srgb_changes_no_number() -> None:
    pixels = np.random.default_rng(1).uniform(0, 1, (5, 4)).astype(np.float32)
    np.testing.assert_array_equal(into_space(pixels, "srgb"), pixels)
    np.testing.assert_array_equal(out_of_space(pixels, "srgb"), pixels)


def test_the_slope_of_the_encoding_is_finite_at_black_and_right_everywhere() -> None:
    values = np.array([-0.1, 0.0, 1e-8, 0.001, 0.0032, 0.2, 1.0])
    above = values > 0.0031308
    expected = np.full(len(values), 12.92)
    expected[above] = 1.055 / 2.4 * values[above] ** (1 / 2.4 - 1)
    np.testing.assert_allclose(srgb_slope(values), expected, rtol=1e-6)


def test_a_hex_colour_is_read_and_written_level_for_level() -> None:
    assert parse_hex("#ff8000") == (1, 128 / 255, 0)
    for colour in ("#000000", "#0a0b0c", "#ffffff", "#7f80fe"):
        assert hex_of(np.array(parse_hex(colour))) == colour
    assert hex_of(np.array([-0.2, 1.7, 0.5])) == "#00ff80"
