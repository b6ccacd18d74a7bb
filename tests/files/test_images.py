# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of every kind are read as sRGB-encoded RGBA."""

from __future__ import annotations

import logging
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import noise, png, smooth
from numpy.typing import NDArray
from PIL import Image, ImageCms

from smalti.engine.files.images import (
    list_images,
    read_image,
    read_size,
    write_png,
)


def linear_profile(space: bytes) -> bytes:
    """A minimal ICC profile, matrix (sRGB primaries) or gray, whose values are linear light."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    name = b"Linear test\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
    }
    curve = b"curv\0\0\0\0" + struct.pack(">I", 0)
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= {
            b"rXYZ": xyz(0.4360, 0.2225, 0.0139),
            b"gXYZ": xyz(0.3851, 0.7169, 0.0971),
            b"bXYZ": xyz(0.1431, 0.0606, 0.7141),
            b"rTRC": curve,
            b"gTRC": curve,
            b"bTRC": curve,
        }
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s12x4s", start + len(body), b"test", 0x02100000, b"mntr", space, b"XYZ ", b"acsp")
    head += bytes(68 - len(head)) + struct.pack(">iii", 63190, 65536, 54061)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def linear_to_srgb(level: int) -> int:
    return round(255 * (1.055 * math.pow(level / 255, 1 / 2.4) - 0.055))


# Kinds of pictures


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tiff", "a.TIF"])
def test_lossless_rgba_files_come_back_level_for_level(tmp_path: Path, name: str) -> None:
    rgba = noise(13, 17, 4)
    rgba[..., 3] |= 1  # WebP does not keep the color of what is fully transparent
    options: dict[str, Any] = {"lossless": True} if name.endswith("webp") else {}
    Image.fromarray(rgba).save(tmp_path / name, **options)
    np.testing.assert_array_equal(read_image(tmp_path / name), rgba)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_lossy_files_come_back_close_and_opaque(tmp_path: Path, name: str) -> None:
    Image.fromarray(smooth(64, 48)).save(tmp_path / name, quality=95)
    read = read_image(tmp_path / name)
    assert read.shape == (64, 48, 4)
    assert read.dtype == np.uint8
    assert (read[..., 3] == 255).all()
    assert np.abs(read[..., :3].astype(int) - smooth(64, 48)).mean() < 2


def test_palette_with_an_alpha_for_each_entry_keeps_soft_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(tmp_path / "a.png", transparency=bytes([0, 128, 255]))
    assert Image.open(tmp_path / "a.png").mode == "P"
    assert read_image(tmp_path / "a.png")[0].tolist() == [[255, 0, 0, 0], [0, 255, 0, 128], [0, 0, 255, 255]]


def test_palette_with_one_transparent_entry(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "a.png", transparency=1)
    assert read_image(tmp_path / "a.png")[0].tolist() == [[255, 0, 0, 255], [0, 255, 0, 0]]


def test_a_transparent_level_of_a_grey_png_is_transparent(tmp_path: Path) -> None:
    Image.fromarray(np.array([[10, 200]], np.uint8)).save(tmp_path / "a.png", transparency=200)
    assert read_image(tmp_path / "a.png")[0].tolist() == [[10, 10, 10, 255], [200, 200, 200, 0]]


def test_a_transparent_colour_of_an_rgb_png_is_transparent(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)).save(tmp_path / "a.png", transparency=(4, 5, 6))
    assert read_image(tmp_path / "a.png")[0].tolist() == [[1, 2, 3, 255], [4, 5, 6, 0]]


def test_grey_grey_with_alpha_and_bilevel(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 77, 255]], np.uint8)).save(tmp_path / "l.png")
    Image.fromarray(np.array([[[77, 30]]], np.uint8), "LA").save(tmp_path / "la.png")
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "1.png")
    assert read_image(tmp_path / "l.png")[0].tolist() == [[0, 0, 0, 255], [77, 77, 77, 255], [255, 255, 255, 255]]
    assert read_image(tmp_path / "la.png")[0].tolist() == [[77, 77, 77, 30]]
    assert read_image(tmp_path / "1.png")[0].tolist() == [[0, 0, 0, 255], [255, 255, 255, 255]]


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_sixteen_bit_grey_is_rounded_to_eight(tmp_path: Path, name: str) -> None:
    levels = np.array([[0, 128, 129, 257, 32896, 65407, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / name)
    assert read_image(tmp_path / name)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255, 255]


def test_sixteen_bit_grey_png_with_a_transparent_level(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">HH", 25700, 25701)
    extra = struct.pack(">I", 2) + b"tRNS" + struct.pack(">H", 25701)
    extra += struct.pack(">I", zlib.crc32(extra[4:]))
    (tmp_path / "a.png").write_bytes(png(2, 1, 16, 0, rows, extra))
    assert read_image(tmp_path / "a.png")[0].tolist() == [[100, 100, 100, 255], [100, 100, 100, 0]]


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (6, 4)])
def test_sixteen_bit_colour_png_keeps_its_levels(tmp_path: Path, colour_type: int, channels: int) -> None:
    levels = [255, 128, 7, 200][:channels]
    rows = b"\0" + struct.pack(f">{channels}H", *(257 * v for v in levels))
    (tmp_path / "a.png").write_bytes(png(1, 1, 16, colour_type, rows))
    assert read_image(tmp_path / "a.png")[0, 0].tolist() == [*levels, 255][:4]


def test_thirty_two_bit_integers_are_scaled_by_what_they_hold(tmp_path: Path) -> None:
    for top in (255, 65535, 1_000_000):
        Image.fromarray(np.array([[0, top // 5, top]], np.int32)).save(tmp_path / "a.tiff")
        assert read_image(tmp_path / "a.tiff")[0, :, 0].tolist() == [0, 51, 255]


def test_float_tiff_has_one_as_white_and_survives_nan(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 0.2, 1, 1.5, -1, np.nan]], np.float32)).save(tmp_path / "a.tiff")
    assert read_image(tmp_path / "a.tiff")[0, :, 0].tolist() == [0, 51, 255, 255, 0, 0]


def test_float_tiff_of_eight_bit_levels(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 51, 200]], np.float32)).save(tmp_path / "a.tiff")
    assert read_image(tmp_path / "a.tiff")[0, :, 0].tolist() == [0, 51, 200]


@pytest.mark.parametrize("name", ["a.jpg", "a.tiff"])
def test_cmyk_gives_the_colours_that_it_names(tmp_path: Path, name: str) -> None:
    inks = np.zeros((16, 48, 4), np.uint8)
    inks[:, :16] = (0, 255, 255, 0)
    inks[:, 16:32] = (255, 0, 255, 0)
    inks[:, 32:] = (0, 0, 0, 255)
    options: dict[str, Any] = {"quality": 100} if name == "a.jpg" else {}
    Image.fromarray(inks, "CMYK").save(tmp_path / name, **options)
    assert Image.open(tmp_path / name).mode == "CMYK"
    read = read_image(tmp_path / name).astype(int)
    for column, colour in ((8, (255, 0, 0)), (24, (0, 255, 0)), (40, (0, 0, 0))):
        assert np.abs(read[8, column, :3] - colour).max() <= 3


def test_first_frame_of_a_gif(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue", "lime")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    read = read_image(tmp_path / "a.gif")
    assert read.shape == (4, 5, 4)
    assert (read == (255, 0, 0, 255)).all()


def test_transparency_of_a_gif(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "a.gif", transparency=1)
    assert read_image(tmp_path / "a.gif")[0, :, 3].tolist() == [255, 0]


TURNS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.webp"])
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int, name: str) -> None:
    upright = noise(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(TURNS[orientation](upright)))
    options: dict[str, Any] = {"lossless": True} if name == "a.webp" else {}
    stored.save(tmp_path / name, exif=exif, **options)
    np.testing.assert_array_equal(read_image(tmp_path / name)[..., :3], upright)


def test_exif_orientation_and_reduction_together(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = smooth(300, 200)
    Image.fromarray(np.ascontiguousarray(np.rot90(upright, 1))).save(tmp_path / "a.jpg", exif=exif, quality=95)
    read = read_image(tmp_path / "a.jpg", max_side=30)
    assert read.shape == (30, 20, 4)
    expected = upright.reshape(30, 10, 20, 10, 3).mean(axis=(1, 3))
    assert np.abs(read[..., :3] - expected).max() < 8


@pytest.mark.parametrize(("width", "height"), [(300, 200), (120, 400), (90, 90)])
def test_a_jpeg_that_is_read_roughly_has_the_size_and_the_look_of_one_that_is_not(
    tmp_path: Path, width: int, height: int
) -> None:
    Image.fromarray(smooth(height, width)).save(tmp_path / "a.jpg", quality=95)
    exact, rough = (read_image(tmp_path / "a.jpg", max_side=64, rough=rough) for rough in (False, True))
    assert rough.shape == exact.shape
    assert np.abs(rough.astype(int) - exact).mean() < 1.5
    whole = read_image(tmp_path / "a.jpg", max_side=400)
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg", max_side=400, rough=True), whole)


# Color profiles


def test_an_embedded_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    levels = np.array([[[128, 128, 128, 255], [30, 30, 30, 70]]], np.uint8)
    Image.fromarray(levels).save(tmp_path / "a.png", icc_profile=linear_profile(b"RGB "))
    read = read_image(tmp_path / "a.png").astype(int)
    assert np.abs(read[0, 0, :3] - linear_to_srgb(128)).max() <= 1
    assert np.abs(read[0, 1, :3] - linear_to_srgb(30)).max() <= 1
    assert read[0, :, 3].tolist() == [255, 70]


def test_the_profile_of_a_grey_picture_is_converted(tmp_path: Path) -> None:
    Image.fromarray(np.array([[128]], np.uint8)).save(tmp_path / "a.png", icc_profile=linear_profile(b"GRAY"))
    assert abs(int(read_image(tmp_path / "a.png")[0, 0, 0]) - linear_to_srgb(128)) <= 1


def test_the_profile_of_a_palette_picture_is_converted(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0]], np.uint8))
    image.putpalette([128, 128, 128])
    image.save(tmp_path / "a.png", icc_profile=linear_profile(b"RGB "))
    assert abs(int(read_image(tmp_path / "a.png")[0, 0, 0]) - linear_to_srgb(128)) <= 1


def test_an_srgb_profile_changes_no_level(tmp_path: Path) -> None:
    rgba = noise(9, 9, 4)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(rgba).save(tmp_path / "a.png", icc_profile=profile)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), rgba)


@pytest.mark.parametrize("profile", [b"no profile at all", linear_profile(b"GRAY")])
def test_an_unusable_profile_is_named_and_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, profile: bytes
) -> None:
    rgb = noise(3, 3, 3)
    Image.fromarray(rgb).save(tmp_path / "a.png", icc_profile=profile)
    with caplog.at_level(logging.WARNING, "smalti"):
        read = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read[..., :3], rgb)
    assert len(caplog.records) == 1
    assert "a.png" in caplog.text


# Reduction while reading


def test_reduction_keeps_proportions_and_averages(tmp_path: Path) -> None:
    rgba = noise(40, 80, 4)
    rgba[..., 3] = 255
    Image.fromarray(rgba).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png", max_side=8)
    expected = rgba.reshape(4, 10, 8, 10, 4).mean(axis=(1, 3))
    assert read.shape == (4, 8, 4)
    assert np.abs(read - expected).max() <= 1


def test_reduction_does_not_mix_in_the_colour_of_transparent_pixels(tmp_path: Path) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:, ::2] = (200, 100, 50, 255)
    rgba[:, 1::2] = (0, 255, 0, 0)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png", max_side=4).astype(int)
    assert np.abs(read - (200, 100, 50, 128)).max() <= 1


def test_a_picture_within_the_limit_is_not_touched(tmp_path: Path) -> None:
    rgba = noise(7, 9, 4)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", max_side=9), rgba)


# Paths


def test_non_ascii_names_and_very_long_paths(tmp_path: Path) -> None:
    folder = tmp_path / ("ä" * 60) / ("画" * 60) / ("x" * 120)
    folder.mkdir(parents=True)
    path = folder / "Blüte 花 \U0001f33c.png"
    assert len(str(path)) > 260
    rgba = noise(3, 4, 4)
    write_png(path, rgba)
    np.testing.assert_array_equal(read_image(path), rgba)
    assert list_images(folder) == [path]


def test_the_longest_file_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".png")
    write_png(path, noise(2, 2, 4))
    assert read_size(path) == (2, 2)
