# SPDX-License-Identifier: GPL-3.0-or-later
"""The PSD of a job: its layers, flattened by a program that is not ours, are the job's picture."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imagemagick import ImageMagick, imagemagick_or_skip
from jobs import slow
from numpy.typing import NDArray
from PIL import Image
from psd_tools import PSDImage
from psd_tools.psd import PSD

from smalti.bridge.composition import Header, TemplateFile, write_header
from smalti.bridge.errors import SmaltiError
from smalti.bridge.folder import ARRAYS
from smalti.bridge.formats import FORMATS
from smalti.bridge.job import BlendSpace
from smalti.engine.composition import load_composition
from smalti.engine.composition import render as smalti_render
from smalti.engine.composition.render import render
from smalti.engine.export import export_job
from smalti.engine.files import strips

Floats = NDArray[np.floating[Any]]

WIDTH, HEIGHT = 160, 120


@pytest.fixture(scope="module")
def imagemagick() -> ImageMagick:
    return imagemagick_or_skip()


def bitmaps() -> dict[str, NDArray[np.uint8]]:
    """A soft spot, and an opaque tile of two colors; straight alpha."""
    y, x = np.mgrid[-1:1:41j, -1:1:33j]
    spot = np.full((41, 33, 4), 255.0)
    spot[..., :3] = (255, 160, 40)
    spot[..., 3] = 255 * np.clip(1.1 - np.hypot(x, y), 0, 1)
    tile = np.full((16, 24, 4), 255.0)
    tile[:, :12, :3] = (20, 90, 200)
    return {"spot": np.rint(spot).astype(np.uint8), "tile": tile.astype(np.uint8)}


def make_job(
    folder: Path,
    sprites: dict[str, Any],
    *,
    background: str = "transparent",
    blend_space: BlendSpace = "srgb",
    colour_mix: float = 0.5,
) -> Path:
    """A finished job, written as the bridge describes it. `sprites`: x, [N] or [F, N], and what is not as usual."""
    x = np.atleast_2d(np.asarray(sprites["x"], np.float32))
    frames, count = x.shape
    arrays: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(sprites.get(name, value), np.float32), (frames, count))
        for name, value in {"x": 0, "y": 0, "scale": 15, "aspect": 0, "theta": 0, "opacity": 1}.items()
    }
    arrays["tint"] = np.broadcast_to(np.asarray(sprites.get("tint", 0.5), np.float32), (frames, count, 3))
    arrays["template"] = np.broadcast_to(np.asarray(sprites.get("template", 0), np.int32), (count,))
    (folder / "templates").mkdir(parents=True)
    templates = []
    for name, rgba in bitmaps().items():
        Image.fromarray(rgba).save(folder / "templates" / f"{name}.png")
        templates.append(TemplateFile(name, f"templates/{name}.png", rgba.shape[1], rgba.shape[0]))
    write_header(
        folder,
        Header(WIDTH, HEIGHT, count, frames, blend_space, colour_mix, background, 24.0, tuple(templates), "0.1.0"),
    )
    np.savez(folder / ARRAYS, **arrays)
    return folder


def many(count: int, seed: int, opacity: tuple[float, float] = (0, 1)) -> dict[str, Any]:
    """Sprites of both bitmaps, on the canvas and over its edges, at every angle."""
    rng = np.random.default_rng(seed)
    return {
        "x": rng.uniform(-15, WIDTH + 15, count),
        "y": rng.uniform(-15, HEIGHT + 15, count),
        "scale": np.exp(rng.uniform(np.log(2), np.log(50), count)),
        "aspect": rng.uniform(-0.4, 0.4, count),
        "theta": rng.uniform(-7, 7, count),
        "opacity": rng.uniform(*opacity, count),
        "tint": rng.uniform(0, 1, (count, 3)),
        "template": rng.integers(0, 2, count),
    }


def over_white(premultiplied: Floats) -> Floats:
    return premultiplied[..., :3] + 1 - premultiplied[..., 3:]


def picture(job: Path, frame: int = 0) -> Floats:
    """What render.png shows, over white."""
    return np.rint(over_white(np.asarray(render(load_composition(job), frame), np.float64)) * 255) / 255


def layers_of(path: Path) -> list[Any]:
    return list(PSDImage.open(path))


@pytest.mark.parametrize(
    ("background", "opacity"),
    [("transparent", (0, 1)), slow("#3070a0", (0.5, 1)), slow("#3070a0", (0, 0.1))],
)
def test_imagemagicks_flattening_of_1000_sprites_is_the_render(
    tmp_path: Path, background: str, opacity: tuple[float, float], imagemagick: ImageMagick
) -> None:
    job = make_job(tmp_path / "job", many(1000, 3, opacity), background=background)
    path = export_job(job, "psd")
    count = len(imagemagick.identify(path, "%p").splitlines()) - 1
    assert count > 800
    error = np.abs(imagemagick.flattened(path, WIDTH, HEIGHT, count) - picture(job))
    assert error.max() <= 4 / 255
    assert error.mean() <= 0.6 / 255


@pytest.mark.parametrize("level", [1.4, 12.4, 32.4, 60.5])
def test_flattening_equal_faint_sprites_in_one_place_is_the_render(
    tmp_path: Path, level: float, imagemagick: ImageMagick
) -> None:
    count = round(255 / level)  # where an error of the opacity shows most
    stack = {"x": np.full(count, 80.3), "y": 60, "scale": 50, "opacity": level / 255, "tint": 0, "template": 1}
    job = make_job(tmp_path / "job", stack, background="#ffffff", colour_mix=0)
    error = np.abs(imagemagick.flattened(export_job(job, "psd"), WIDTH, HEIGHT, count + 1) - picture(job))
    assert error.max() <= 2.5 / 255


def test_imagemagick_and_psd_tools_see_the_same_layers(tmp_path: Path, imagemagick: ImageMagick) -> None:
    path = export_job(make_job(tmp_path / "job", many(60, 4), background="#102030"), "psd")
    lines = imagemagick.identify(path, "%w %h %X %Y %l").splitlines()[1:]
    assert lines == [f"{r.width} {r.height} {r.left:+d} {r.top:+d} {r.name}" for r in layers_of(path)]


def test_merged_picture_is_the_render(tmp_path: Path, imagemagick: ImageMagick) -> None:
    job = make_job(tmp_path / "job", many(20, 5))
    image = np.asarray(imagemagick.image(f"{export_job(job, 'psd')}[0]").convert("RGBA")) / 255
    shown = image[..., :3] * image[..., 3:] + 1 - image[..., 3:]
    assert np.abs(shown - picture(job)).max() <= 2 / 255
    assert image[..., 3].min() == 0
    assert image[..., 3].max() > 0.9


def test_layers_are_named_after_number_and_bitmap_from_the_bottom(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", {"x": [40, 80, 120], "y": 60, "template": [0, 1, 0]})
    assert [r.name for r in layers_of(export_job(job, "psd"))] == ["0001 spot", "0002 tile", "0003 spot"]


def test_background_colour_is_the_bottom_layer(tmp_path: Path) -> None:
    bottom, *rest = layers_of(export_job(make_job(tmp_path / "job", {"x": [80], "y": 60}, background="#c08040"), "psd"))
    assert (bottom.name, bottom.left, bottom.top, bottom.opacity) == ("Background", 0, 0, 255)
    np.testing.assert_array_equal(np.asarray(bottom.topil()), np.full((HEIGHT, WIDTH, 4), (0xC0, 0x80, 0x40, 255)))
    assert len(rest) == 1


def test_background_picture_is_the_bottom_layer(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", {"x": [80], "y": 60}, background="background.png")
    rgba = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    Image.fromarray(rgba).save(job / "background.png")
    np.testing.assert_array_equal(np.asarray(layers_of(export_job(job, "psd"))[0].topil()), rgba)


def test_opacity_is_on_the_layer_and_alpha_at_full_range_in_its_pixels(tmp_path: Path) -> None:
    opacities = [1, 0.5, 0.301, 0.126]
    sprites = {"x": np.full(4, 80), "y": 60, "scale": 40, "template": 1, "opacity": opacities}
    layers = layers_of(export_job(make_job(tmp_path / "job", sprites), "psd"))
    assert [r.opacity for r in layers] == [255, 128, 77, 32]
    assert [np.asarray(r.topil())[..., 3].max() for r in layers] == [255] * 4


def test_faint_layers_have_the_sprites_opacity_in_both_together(tmp_path: Path) -> None:
    opacities = np.array([0.124, 0.05, 0.0137, 0.003])
    sprites = {"x": np.full(4, 80), "y": 60, "scale": 40, "template": 1, "opacity": opacities}
    layers = layers_of(export_job(make_job(tmp_path / "job", sprites), "psd"))
    alpha = np.array([int(np.asarray(r.topil())[..., 3].max()) * r.opacity / 255 for r in layers])
    assert np.abs(alpha - 255 * opacities).max() < 0.07


def test_sprites_of_which_nothing_is_to_be_seen_get_no_layer(tmp_path: Path) -> None:
    faint = {"x": [80, 80, 80], "y": 60, "opacity": [0.001, 0, 0.003]}
    assert [r.name for r in layers_of(export_job(make_job(tmp_path / "faint", faint), "psd"))] == ["0003 spot"]
    # Left, right, above, below; and two whose rectangles reach over a corner, the second with a visible pixel.
    off = {"x": [-300, 500, 80, 80, -10, -10], "y": [60, 60, -300, 500, -13, -8]}
    assert [r.name for r in layers_of(export_job(make_job(tmp_path / "off", off), "psd"))] == ["0006 spot"]


def test_sprite_over_the_edge_keeps_the_pixels_beyond_it(tmp_path: Path) -> None:
    sprites = {"x": [80, 2, WIDTH - 3], "y": [60, 60, 60], "scale": 20, "template": 1}
    inside, left, right = layers_of(export_job(make_job(tmp_path / "job", sprites), "psd"))
    assert left.size == inside.size
    assert right.size == inside.size
    assert left.left < 0
    assert right.left + right.width > WIDTH


def test_layers_are_trimmed_to_their_alpha(tmp_path: Path) -> None:
    for layer in layers_of(export_job(make_job(tmp_path / "job", many(40, 6)), "psd")):
        alpha = np.asarray(layer.topil())[..., 3]
        edges = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
        assert all(edge.any() for edge in edges), layer.name


def test_one_frame_of_a_sequence_is_exported(tmp_path: Path, imagemagick: ImageMagick) -> None:
    rng = np.random.default_rng(7)
    x = rng.uniform(0, WIDTH, (3, 20))
    job = make_job(tmp_path / "job", {"x": x, "y": 60, "tint": rng.uniform(0, 1, (3, 20, 3))})
    for frame in range(3):
        path = export_job(job, "psd", tmp_path / f"{frame}.psd", frame)
        count = len(layers_of(path))
        assert np.abs(imagemagick.flattened(path, WIDTH, HEIGHT, count) - picture(job, frame)).max() <= 2 / 255
    assert np.abs(picture(job, 0) - picture(job, 1)).max() > 0.1


@pytest.mark.parametrize("frame", [-1, 1])
def test_frame_that_does_not_exist_is_refused(tmp_path: Path, frame: int) -> None:
    with pytest.raises(SmaltiError, match=f"no frame {frame + 1}") as caught:
        export_job(make_job(tmp_path / "job", {"x": [80]}), "psd", frame=frame)
    assert caught.value.code == "no_such_frame"


def test_linear_job_is_refused_with_the_offer_of_a_re_fit(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", {"x": [80]}, blend_space="linear")
    before = sorted(os.listdir(job))
    with pytest.raises(SmaltiError, match="linear") as caught:
        export_job(job, "psd")
    assert caught.value.code == "blend_space"
    assert "--blend-space srgb" in caught.value.hint
    assert sorted(os.listdir(job)) == before


def test_too_many_sprites_are_refused_and_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smalti.engine.export.psd_file.MAX_LAYERS", 10)
    job = make_job(tmp_path / "job", many(20, 8, (0.5, 1)))
    before = sorted(os.listdir(job))
    with pytest.raises(SmaltiError, match="at most 10 layers") as caught:
        export_job(job, "psd")
    assert caught.value.code == "too_many_layers"
    assert sorted(os.listdir(job)) == before


def test_full_disk_is_reported_and_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(tmp_path / "job", many(20, 9))
    path = export_job(job, "psd")
    old, before = path.read_bytes(), sorted(os.listdir(job))

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(SmaltiError, match=r"layers\.psd.*cannot be written") as caught:
        export_job(job, "psd")
    assert caught.value.code == "cannot_write"
    assert sorted(os.listdir(job)) == before
    assert path.read_bytes() == old


def test_layers_that_do_not_fit_in_memory_lie_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(tmp_path / "job", many(20, 9))
    expected, before = export_job(job, "psd").read_bytes(), sorted(os.listdir(job))
    monkeypatch.setattr("smalti.engine.export.psd_file._MEMORY_BYTES", 100)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    assert export_job(job, "psd").read_bytes() == expected
    assert sorted(os.listdir(job)) == before


def test_missing_output_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match="cannot be written") as caught:
        export_job(make_job(tmp_path / "job", {"x": [80]}), "psd", tmp_path / "nowhere" / "a.psd")
    assert caught.value.code == "cannot_write"


def test_folder_without_a_finished_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError) as caught:
        export_job(tmp_path, "psd")
    assert caught.value.code == "no_composition"
    assert not list(tmp_path.iterdir())


def test_unknown_format_is_refused_and_the_known_ones_named(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match="'xcf'") as caught:
        export_job(tmp_path, "xcf")
    assert caught.value.code == "unknown_format"
    assert all(name in caught.value.hint for name in FORMATS)


def test_path_of_the_file_can_be_chosen_and_is_returned(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", {"x": [80], "y": 60})
    assert export_job(job, "psd") == job / "layers.psd"
    chosen = tmp_path / "Blüte 花.psd"
    assert export_job(job, "psd", chosen) == chosen
    with chosen.open("rb") as stream:
        assert PSD.read(stream).header.width == WIDTH


# Other sizes


@pytest.mark.parametrize("background", ["transparent", "#336699"])
@pytest.mark.parametrize("size", [40, 400])
def test_layers_at_another_size_make_the_picture_of_that_size(
    tmp_path: Path, imagemagick: ImageMagick, background: str, size: int
) -> None:
    job = make_job(tmp_path / "job", many(12, 4), background=background)
    path = export_job(job, "psd", size=size)
    assert path == job / f"layers-{size}.psd"
    shown = np.rint(over_white(np.asarray(render(load_composition(job), size=size), np.float64)) * 255) / 255
    height, width = shown.shape[:2]
    count = len(layers_of(path))
    # Single pixels on the very edge of a magnified tile, whose rounding depends on where the canvas begins, may differ.
    error = np.abs(imagemagick.flattened(path, width, height, count) - shown)
    assert np.quantile(error, 0.9995) <= 2 / 255
    assert error.max() <= 16 / 255
    stored = PSDImage.open(path).topil()
    assert stored is not None
    merged = stored.convert("RGBA")
    on_white = Image.alpha_composite(Image.new("RGBA", merged.size, "white"), merged)
    assert np.abs(np.asarray(on_white)[..., :3] / 255 - shown).max() <= 2 / 255


@pytest.mark.parametrize("background", ["transparent", "#336699"])
def test_a_file_made_in_strips_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, background: str) -> None:
    job = make_job(tmp_path / "job", many(12, 4), background=background)
    whole = export_job(job, "psd", tmp_path / "whole.psd", size=333).read_bytes()
    monkeypatch.setattr(strips, "STRIP_PIXELS", 1)
    assert export_job(job, "psd", tmp_path / "strips.psd", size=333).read_bytes() == whole


def test_a_canvas_that_no_psd_can_have_is_refused_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(tmp_path / "job", many(3, 4))
    monkeypatch.setattr(smalti_render, "draw", lambda *_: pytest.fail("drawn"))
    with pytest.raises(SmaltiError, match="at most 30,000 a side") as caught:
        export_job(job, "psd", size=30_001)
    assert caught.value.code == "too_large"
    assert not list(job.glob("*.psd"))
