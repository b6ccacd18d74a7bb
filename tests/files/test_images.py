# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading, resampling and writing pictures."""

from __future__ import annotations

import errno
import logging
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from smalti.bridge.errors import SmaltiError
from smalti.engine.files import images
from smalti.engine.files.atomic import write_atomic
from smalti.engine.files.images import (
    canvas_size,
    list_images,
    premultiply,
    read_image,
    read_size,
    resize,
    straight_from_premultiplied,
    write_png,
)


def noise(height: int, width: int, channels: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width] / max(height, width)
    return np.stack([255 * x, 255 * y, 255 * (1 - x)], axis=-1).astype(np.uint8)


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG by hand: of depths that Pillow does not write, or with a header that lies."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def linear_profile(space: bytes) -> bytes:
    """A minimal ICC profile, matrix (sRGB primaries) or grey, whose values are linear light."""

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


def linear_to_srgb(level: float) -> int:
    return round(255 * (1.055 * (level / 255) ** (1 / 2.4) - 0.055))


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(SmaltiError) as caught:
        action()
    return caught.value.code


# Kinds of pictures


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tiff", "a.TIF"])
def test_lossless_rgba_files_come_back_level_for_level(tmp_path: Path, name: str) -> None:
    rgba = noise(13, 17, 4)
    rgba[..., 3] |= 1  # WebP does not keep the colour of what is fully transparent
    Image.fromarray(rgba).save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
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
    Image.fromarray(inks, "CMYK").save(tmp_path / name, **({"quality": 100} if name == "a.jpg" else {}))
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


TURNS = {
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
    stored.save(tmp_path / name, exif=exif, **({"lossless": True} if name == "a.webp" else {}))
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


# Colour profiles


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


# Bad input


def test_missing_file(tmp_path: Path) -> None:
    assert code_of(lambda: read_image(tmp_path / "none.png")) == "picture_missing"


def test_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert code_of(lambda: read_image(tmp_path)) == "picture_is_folder"


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert code_of(lambda: read_image(tmp_path / "a.png")) == "picture_empty"


@pytest.mark.parametrize(
    "contents", [b"a shopping list", b"\x89PNG", bytes(1000), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_not_a_picture(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "a.png").write_bytes(contents)
    assert code_of(lambda: read_image(tmp_path / "a.png")) == "not_a_picture"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tiff", "a.gif", "a.bmp"])
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_truncated_pictures_are_refused(tmp_path: Path, name: str, part: float) -> None:
    path = tmp_path / name
    Image.fromarray(noise(60, 80, 3)).save(path)
    whole = path.read_bytes()
    assert read_image(path).shape == (60, 80, 4)
    path.write_bytes(whole[: int(len(whole) * part)])
    assert code_of(lambda: read_image(path)) == "picture_damaged"


def test_a_picture_with_damage_inside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noise(60, 80, 3)).save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 100] = bytes(100)
    path.write_bytes(data)
    assert code_of(lambda: read_image(path)) == "picture_damaged"


def test_a_picture_that_declares_too_many_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(100_000, 100_000, 8, 2, b""))
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert code_of(lambda: read_image(path)) == "picture_too_large"
        assert code_of(lambda: read_size(path)) == "picture_too_large"
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_picture_above_pillows_own_limit_and_below_ours_is_read_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(noise(30, 30, 3)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(tmp_path / "a.png").shape == (30, 30, 4)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(noise(3, 3, 3)).save(path)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(images.Image, "open", refused)
    with pytest.raises(SmaltiError, match="Permission denied") as caught:
        read_image(path)
    assert caught.value.code == "picture_unreadable"


def test_every_error_names_its_file_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty.png").touch()
    (tmp_path / "huge.png").write_bytes(png(100_000, 100_000, 8, 2, b""))
    for name in ("text.png", "empty.png", "huge.png", "none.png"):
        with pytest.raises(SmaltiError) as caught:
            read_image(tmp_path / name)
        assert name in caught.value.message
        assert caught.value.hint


# Sizes and conversions


@pytest.mark.parametrize(
    ("own", "longer", "expected"),
    [
        ((640, 480), None, (640, 480)),
        ((4000, 2000), None, (1024, 512)),
        ((1364, 1080), 512, (512, 405)),
        ((10, 20), 100, (50, 100)),
        ((10_000, 1), 100, (100, 1)),
        ((1, 1), None, (1, 1)),
        ((2, 1000), 100, (1, 100)),
    ],
)
def test_canvas_keeps_proportions(own: tuple[int, int], longer: int | None, expected: tuple[int, int]) -> None:
    assert canvas_size(*own, longer) == expected


def test_premultiplied_and_back_keeps_what_is_visible() -> None:
    rgba = noise(50, 50, 4)
    back = straight_from_premultiplied(premultiply(rgba))
    visible = rgba[..., 3] > 0
    np.testing.assert_array_equal(back[visible], rgba[visible])
    assert (back[~visible] == 0).all()


def test_levels_are_rounded_not_truncated() -> None:
    rgba = np.array([[0.5 * 99.6 / 255, 0, 0, 0.5], [1, 1, 1, 254.6 / 255], [0, 0, 0, 0.4 / 255]])
    assert straight_from_premultiplied(rgba).tolist() == [[100, 0, 0, 128], [255, 255, 255, 255], [0, 0, 0, 0]]


def test_resize_returns_premultiplied_floats_within_bounds() -> None:
    small = resize(noise(40, 60, 4), 25, 17)
    assert small.shape == (17, 25, 4)
    assert small.dtype == np.float32
    assert small.min() >= 0
    assert small.max() <= 1
    assert (small[..., :3] <= small[..., 3:]).all()


def test_resize_takes_bytes_and_floats_alike() -> None:
    rgba = noise(40, 60, 4)
    np.testing.assert_allclose(resize(rgba, 31, 20), resize(rgba / np.float32(255), 31, 20), atol=1e-6)


def test_resize_to_the_same_size_only_premultiplies() -> None:
    rgba = noise(6, 5, 4)
    np.testing.assert_array_equal(resize(rgba, 5, 6), premultiply(rgba))


def test_resize_keeps_an_opaque_picture_opaque_and_its_mean() -> None:
    rgba = np.dstack([smooth(60, 60), np.full((60, 60), 255, np.uint8)])
    small = resize(rgba, 20, 20)
    assert (small[..., 3] == 1).all()
    np.testing.assert_allclose(small.mean(axis=(0, 1)), rgba.mean(axis=(0, 1)) / 255, atol=2e-3)


def test_resize_does_not_mix_in_the_colour_of_transparent_pixels() -> None:
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[...] = (0, 255, 0, 0)
    rgba[8:24, 8:24] = (200, 0, 0, 255)
    assert resize(rgba, 13, 13)[..., 1].max() == 0


# Writing


def test_png_round_trip_is_exact_transparent_colours_included(tmp_path: Path) -> None:
    rgba = noise(20, 30, 4)
    rgba[:10, :, 3] = 0
    write_png(tmp_path / "a.png", rgba)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), rgba)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    write_png(path, noise(4, 4, 4))
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SmaltiError, match=r"a\.png.*No space left") as caught:
        write_png(path, noise(4, 4, 4, seed=1))
    assert caught.value.code == "cannot_write"
    assert caught.value.hint
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_read_only_file_system_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "replace", read_only)
    with pytest.raises(SmaltiError, match=r"a\.png.*Read-only file system"):
        write_png(tmp_path / "a.png", noise(4, 4, 4))
    assert not list(tmp_path.iterdir())


def test_writing_into_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert code_of(lambda: write_png(tmp_path / "none" / "a.png", noise(2, 2, 4))) == "cannot_write"


@pytest.mark.parametrize("fault", [ValueError("mine"), KeyboardInterrupt()])
def test_a_writer_that_fails_or_is_interrupted_leaves_the_old_file(tmp_path: Path, fault: BaseException) -> None:
    path = tmp_path / "data"
    write_atomic(path, lambda file: file.write(b"old"))

    def broken(file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise fault

    with pytest.raises(type(fault)):
        write_atomic(path, broken)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# Folders


def test_pictures_are_listed_in_natural_order_without_hidden_files_and_folders(tmp_path: Path) -> None:
    for name in ("f10.png", "f2.PNG", "f1.jpeg", "Z.webp", "a.tif", ".hidden.png", "notes.txt", "film.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub.png").mkdir()
    assert [p.name for p in list_images(tmp_path)] == ["a.tif", "f1.jpeg", "f2.PNG", "f10.png", "Z.webp"]


def test_folders_without_pictures_are_refused_each_with_its_code(tmp_path: Path) -> None:
    empty, texts, file = tmp_path / "empty", tmp_path / "texts", tmp_path / "file"
    empty.mkdir()
    texts.mkdir()
    (texts / "a.txt").write_text("text")
    file.touch()
    assert code_of(lambda: list_images(tmp_path / "none")) == "folder_missing"
    assert code_of(lambda: list_images(file)) == "not_a_folder"
    assert code_of(lambda: list_images(empty)) == "folder_empty"
    assert code_of(lambda: list_images(texts)) == "no_pictures"
