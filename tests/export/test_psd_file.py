# SPDX-License-Identifier: GPL-3.0-or-later
"""The PSD writer: what it writes is what psd-tools, Pillow and ImageMagick read."""

from __future__ import annotations

import io
import logging
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imagemagick import ImageMagick, imagemagick_or_skip
from numpy.typing import NDArray
from PIL import Image, ImageCms
from psd_tools import PSDImage
from psd_tools.constants import Compression, Resource, Tag
from psd_tools.psd import PSD

from smalti.bridge.errors import SmaltiError
from smalti.engine.export import psd_file
from smalti.engine.export.psd_file import Layer, write_psd

Floats = NDArray[np.floating[Any]]


@pytest.fixture(scope="module")
def imagemagick() -> ImageMagick:
    return imagemagick_or_skip()


def blob(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """A soft, grainy spot of one color, straight alpha."""
    y, x = (np.linspace(-1, 1, n).reshape(shape) for n, shape in ((height, (-1, 1)), (width, (1, -1))))
    alpha = np.clip(1.2 - np.hypot(x, y), 0, 1)[..., None]
    colour = rng.uniform(0, 1, 3) * rng.uniform(0.7, 1, (height, width, 1))
    return np.asarray(np.rint(np.concatenate([colour, alpha], axis=2) * 255), np.uint8)


def blobs(count: int, side: int, seed: int = 0) -> Iterator[Layer]:
    """Layers of all opacities, on the canvas of `side` pixels and over its edges."""
    rng = np.random.default_rng(seed)
    for number in range(1, count + 1):
        height, width = rng.integers(5, side // 4, 2)
        left, top = rng.integers(-20, side - 5, 2)
        yield Layer(f"{number:04d} blob", int(left), int(top), blob(rng, height, width), int(rng.integers(1, 256)))


def composited(layers: Iterable[Layer], width: int, height: int) -> Floats:
    """The layers over each other in float64, premultiplied. None may reach 128 pixels beyond the canvas."""
    room = 128
    canvas = np.zeros((height + 2 * room, width + 2 * room, 4))
    for layer in layers:
        assert isinstance(layer.rgba, np.ndarray)
        h, w = layer.rgba.shape[:2]
        behind = canvas[layer.top + room : layer.top + room + h, layer.left + room : layer.left + room + w]
        alpha = layer.rgba[..., 3:] / 255 * (layer.opacity / 255)
        behind *= 1 - alpha
        behind += np.concatenate([layer.rgba[..., :3] / 255 * alpha, alpha], axis=2)
    return canvas[room:-room, room:-room]


def over_white(premultiplied: Floats) -> Floats:
    return premultiplied[..., :3] + 1 - premultiplied[..., 3:]


def pixels_over_white(image: Image.Image) -> Floats:
    rgba = np.asarray(image.convert("RGBA")) / 255
    return rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]


def save(
    path: Path, layers: Iterable[Layer], merged: Floats | None = None, size: tuple[int, int] = (64, 48), dpi: float = 72
) -> Path:
    """Write a PSD of `size` (width, height), with a transparent merged picture where none is given."""
    width, height = size
    if merged is None:
        merged = np.zeros((height, width, 4))
    with path.open("wb") as stream:
        write_psd(stream, layers, merged, scratch=path.parent, name=path.name, dpi=dpi)
    return path


def spot(name: str = "spot", left: int = 3, top: int = 4, **more: Any) -> Layer:
    return Layer(name, left, top, blob(np.random.default_rng(1), 9, 11), **more)


def low_level(path: Path) -> PSD:
    with path.open("rb") as stream:
        return PSD.read(stream)


def layer_info(path: Path) -> Any:
    """The section of layers, as psd-tools reads it."""
    return low_level(path).layer_and_mask_information.layer_info


def test_psd_tools_reads_back_names_places_opacities_and_pixels(tmp_path: Path) -> None:
    layers = list(blobs(25, 128))
    read = list(PSDImage.open(save(tmp_path / "a.psd", layers, size=(128, 128))))
    assert [(r.name, r.left, r.top, r.opacity) for r in read] == [(w.name, w.left, w.top, w.opacity) for w in layers]
    for found, layer in zip(read, layers):
        np.testing.assert_array_equal(np.asarray(found.topil()), layer.rgba)


def test_imagemagick_reads_back_count_names_places_and_opacities(tmp_path: Path, imagemagick: ImageMagick) -> None:
    layers = list(blobs(25, 128))
    path = save(tmp_path / "a.psd", layers, size=(128, 128))
    merged, *lines = imagemagick.identify(path, "%w %h %X %Y %l").splitlines()
    assert merged.split() == ["128", "128", "+0", "+0"]
    assert lines == [f"{w.rgba.shape[1]} {w.rgba.shape[0]} {w.left:+d} {w.top:+d} {w.name}" for w in layers]
    for number in (1, 12, 25):
        alpha = np.asarray(imagemagick.image(f"{path}[{number}]").convert("RGBA"))[..., 3]
        layer = layers[number - 1]
        assert isinstance(layer.rgba, np.ndarray)
        np.testing.assert_allclose(alpha, layer.rgba[..., 3] * (layer.opacity / 255), atol=1)


@pytest.mark.slow
def test_imagemagicks_flattening_of_1000_layers_is_the_composite(tmp_path: Path, imagemagick: ImageMagick) -> None:
    layers = list(blobs(1000, 256, seed=2))
    path = save(tmp_path / "a.psd", layers, size=(256, 256))
    error = np.abs(imagemagick.flattened(path, 256, 256, 1000) - over_white(composited(layers, 256, 256)))
    assert error.max() <= 0.05 / 255


def test_merged_picture_keeps_its_transparency(tmp_path: Path, imagemagick: ImageMagick) -> None:
    layers = list(blobs(30, 128))
    merged = composited(layers, 128, 128)
    path = save(tmp_path / "a.psd", layers, merged, (128, 128))
    assert layer_info(path).layer_count == -30
    image = imagemagick.image(f"{path}[0]").convert("RGBA")
    assert np.abs(np.asarray(image)[..., 3] / 255 - merged[..., 3]).max() <= 0.51 / 255
    assert np.asarray(image)[..., 3].min() == 0
    assert np.abs(pixels_over_white(image) - over_white(merged)).max() <= 2 / 255


def test_merged_colours_lie_on_white(tmp_path: Path) -> None:
    merged = composited([spot()], 64, 48)
    psd = low_level(save(tmp_path / "a.psd", [spot()], merged))
    data: Any = psd.image_data.get_data(psd.header, split=False)
    planes = np.frombuffer(data, np.uint8).reshape(4, 48, 64)
    np.testing.assert_array_equal(planes[:3].transpose(1, 2, 0), np.rint(over_white(merged) * 255))
    np.testing.assert_array_equal(planes[3], np.rint(merged[..., 3] * 255))


def test_opaque_merged_picture_has_no_alpha(tmp_path: Path, imagemagick: ImageMagick) -> None:
    merged = np.random.default_rng(0).uniform(0, 1, (48, 64, 4))
    merged[..., 3] = 1
    path = save(tmp_path / "a.psd", [spot()], merged)
    assert layer_info(path).layer_count == 1
    image = imagemagick.image(f"{path}[0]")
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), np.rint(merged[..., :3] * 255))
    np.testing.assert_array_equal(np.asarray(Image.open(path)), np.asarray(image))


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_layers_after_an_empty_one_are_read_in_their_places(
    tmp_path: Path, shape: tuple[int, int], imagemagick: ImageMagick
) -> None:
    empty = Layer("empty", 7, 8, np.zeros((*shape, 4), np.uint8))
    path = save(tmp_path / "a.psd", [spot("below"), empty, spot("above", 20, 30)])
    record = layer_info(path).layer_records[1]
    assert [channel.length for channel in record.channel_info] == [2] * 4
    below, nothing, above = PSDImage.open(path)
    assert (nothing.name, nothing.width * nothing.height) == ("empty", 0)
    assert (above.name, above.left, above.top) == ("above", 20, 30)
    np.testing.assert_array_equal(np.asarray(above.topil()), np.asarray(below.topil()))
    assert "above" in imagemagick.identify(path, "%l")


def test_file_without_layers_shows_the_merged_picture(tmp_path: Path) -> None:
    path = save(tmp_path / "a.psd", [], composited([spot()], 64, 48))
    assert len(list(PSDImage.open(path))) == 0
    assert Image.open(path).size == (64, 48)


def test_names_outside_the_old_encoding_are_kept(tmp_path: Path) -> None:
    names = ["0001 Blüte", "0002 花びら", "0003 🌸 blossom", "0004 Ω∑", ""]
    assert [r.name for r in PSDImage.open(save(tmp_path / "a.psd", [spot(n) for n in names]))] == names


def test_names_that_no_program_could_show_are_mended(tmp_path: Path) -> None:
    broken = [spot("tab\tand\nline\0"), spot("not utf-8 \udcff.png")]
    names = [r.name for r in PSDImage.open(save(tmp_path / "a.psd", broken))]
    assert names == ["tab and line ", "not utf-8 \ufffd.png"]


def test_long_names_are_shortened_to_255_units_and_stay_whole_characters(tmp_path: Path) -> None:
    names = [r.name for r in PSDImage.open(save(tmp_path / "a.psd", [spot("x" * 300), spot("🌸" * 200)]))]
    assert names == ["x" * 255, "🌸" * 127]


def test_no_two_layers_share_a_name(tmp_path: Path) -> None:
    wanted = ["leaf", "leaf", "leaf 2", "leaf", "y" * 255, "y" * 260]
    names = [r.name for r in PSDImage.open(save(tmp_path / "a.psd", [spot(n) for n in wanted]))]
    assert len(set(names)) == len(wanted)
    assert names[:2] == ["leaf", "leaf 2"]
    assert max(map(len, names)) == 255


def test_layer_off_the_canvas_keeps_its_pixels(tmp_path: Path) -> None:
    layers = [spot("corner", -4, -5), spot("far", 1000, -2000), spot("edge", 60, 44)]
    for found, layer in zip(PSDImage.open(save(tmp_path / "a.psd", layers)), layers):
        assert (found.left, found.top) == (layer.left, layer.top)
        np.testing.assert_array_equal(np.asarray(found.topil()), layer.rgba)


@pytest.mark.parametrize("width", [1, 2, 3, 127, 128, 129, 130, 256, 257, 1001])
@pytest.mark.parametrize("height", [1, 2, 3])
def test_rows_of_every_length_come_back(tmp_path: Path, width: int, height: int) -> None:
    rng = np.random.default_rng(width)
    noise = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    runs = np.repeat(noise, 3, axis=1)[:, :width]
    flat = np.full((height, width, 4), 7, np.uint8)
    merged = rng.uniform(0, 1, (height, width, 1)) * np.ones(4)
    path = save(
        tmp_path / "a.psd", [Layer(str(i), 0, 0, p) for i, p in enumerate((noise, runs, flat))], merged, (width, height)
    )
    psd = PSDImage.open(path)
    for found, rgba in zip(psd, (noise, runs, flat)):
        np.testing.assert_array_equal(np.asarray(found.topil()), rgba)
    assert np.abs(np.asarray(Image.open(path))[..., 0] / 255 - 1).max() <= 0.51 / 255


def test_switched_off_layer_is_switched_off(tmp_path: Path) -> None:
    assert [r.visible for r in PSDImage.open(save(tmp_path / "a.psd", [spot("on"), spot("off", visible=False)]))] == [
        True,
        False,
    ]


def test_every_layer_carries_what_photoshop_asks_for(tmp_path: Path) -> None:
    path = save(tmp_path / "a.psd", [spot("a" * 40), spot("ab"), spot("花")])
    info = layer_info(path)
    blocks = [record.tagged_blocks for record in info.layer_records]
    assert [b.get_data(Tag.BLEND_FILL_OPACITY) for b in blocks] == [255] * 3
    assert len({b.get_data(Tag.LAYER_ID) for b in blocks}) == 3
    assert all(Tag.UNICODE_LAYER_NAME in b for b in blocks)
    assert [record.name for record in info.layer_records] == ["a" * 31, "ab", "?"]
    assert [[int(c.id) for c in record.channel_info] for record in info.layer_records] == [[-1, 0, 1, 2]] * 3
    assert {channel.compression for layer in info.channel_image_data for channel in layer} == {Compression.RLE}


@pytest.mark.parametrize("width", range(1, 9))
def test_sections_of_the_file_have_the_lengths_that_they_state(tmp_path: Path, width: int) -> None:
    data = save(tmp_path / "a.psd", [Layer("x" * width, 0, 0, blob(np.random.default_rng(0), 1, width))]).read_bytes()
    start = 26
    for _ in range(2):  # color mode, resources
        start += 4 + int.from_bytes(data[start : start + 4])
    section, layers = (int.from_bytes(data[i : i + 4]) for i in (start, start + 4))
    assert layers % 4 == 0
    assert section == 4 + layers + 4
    assert data[start + 8 + layers : start + 12 + layers] == bytes(4)  # no global mask
    assert data[start + 4 + section :][:2] == b"\0\1"  # the merged picture follows, RLE


def test_resolution_profile_thumbnail_and_version_are_there(tmp_path: Path) -> None:
    merged = np.zeros((400, 600, 4))
    merged[:, :300] = (1, 0, 0, 1)
    resources = low_level(save(tmp_path / "a.psd", [spot()], merged, (600, 400), dpi=300)).image_resources
    resolution = resources.get_data(Resource.RESOLUTION_INFO)
    assert (resolution.horizontal, resolution.horizontal_unit) == (300 * 65536, 1)
    assert (resolution.vertical, resolution.vertical_unit) == (300 * 65536, 1)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(resources.get_data(Resource.ICC_PROFILE)))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    thumbnail = resources.get_data(Resource.THUMBNAIL_RESOURCE)
    picture = Image.open(io.BytesIO(thumbnail.data)).convert("RGB")
    assert picture.size == (thumbnail.width, thumbnail.height) == (160, 107)
    assert np.abs(np.array(picture.getpixel((40, 50))) - (255, 0, 0)).max() < 10
    assert np.abs(np.array(picture.getpixel((120, 50))) - (255, 255, 255)).max() < 10
    assert resources.get_data(Resource.VERSION_INFO).has_composite


def test_the_same_layers_give_the_same_file(tmp_path: Path) -> None:
    one, two = (save(tmp_path / name, blobs(10, 64)).read_bytes() for name in ("a.psd", "b.psd"))
    assert one == two


@pytest.mark.slow
def test_layers_are_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psd_file, "_MEMORY_BYTES", 100_000)
    rng = np.random.default_rng(0)
    layers = (Layer(str(i), 0, 0, rng.integers(0, 256, (100, 100, 4), dtype=np.uint8)) for i in range(300))
    tracemalloc.start()
    try:
        path = save(tmp_path / "a.psd", layers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 12_000_000
    assert peak < 4_000_000
    assert list(tmp_path.iterdir()) == [path]
    rng = np.random.default_rng(0)
    for found in PSDImage.open(path):
        np.testing.assert_array_equal(np.asarray(found.topil()), rng.integers(0, 256, (100, 100, 4), dtype=np.uint8))


@pytest.mark.slow
def test_more_than_8000_layers_are_refused(tmp_path: Path) -> None:
    dot = np.full((1, 1, 4), 255, np.uint8)
    save(tmp_path / "a.psd", (Layer(str(i), 0, 0, dot) for i in range(8000)))
    assert abs(layer_info(tmp_path / "a.psd").layer_count) == 8000
    with pytest.raises(SmaltiError, match=r"b\.psd.*8,000 layers") as caught:
        save(tmp_path / "b.psd", (Layer(str(i), 0, 0, dot) for i in range(8001)))
    assert caught.value.code == "too_many_layers"


def test_more_than_2000_layers_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dot = np.full((1, 1, 4), 255, np.uint8)
    with caplog.at_level(logging.WARNING, "smalti"):
        save(tmp_path / "a.psd", (Layer(str(i), 0, 0, dot) for i in range(2000)))
        assert not caplog.records
        save(tmp_path / "a.psd", (Layer(str(i), 0, 0, dot) for i in range(2001)))
    assert "2,001 layers" in caplog.text


def test_canvas_above_30000_pixels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match=r"canvas is 30,001 x 1 pixels") as caught:
        save(tmp_path / "a.psd", [], size=(30_001, 1))
    assert caught.value.code == "too_large"
    assert (tmp_path / "a.psd").stat().st_size == 0


def test_layer_above_30000_pixels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match=r"'long' is 1 x 30,001 pixels"):
        save(tmp_path / "a.psd", [Layer("long", 0, 0, np.zeros((30_001, 1, 4), np.uint8))])


def test_file_above_2_gb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = list(blobs(30, 128))
    size = save(tmp_path / "a.psd", layers, size=(128, 128)).stat().st_size
    monkeypatch.setattr(psd_file, "MAX_BYTES", size // 2)
    with pytest.raises(SmaltiError, match="2 GB") as caught:
        save(tmp_path / "b.psd", layers, size=(128, 128))
    assert caught.value.code == "too_large"
