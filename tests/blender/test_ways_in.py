# SPDX-License-Identifier: GPL-3.0-or-later
"""How pictures come into the panel, and what it shows of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from blenders import Blender
from PIL import Image

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def _picture(path: Path, color: str | tuple[int, int, int] = "red", size: tuple[int, int] = (8, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


@pytest.mark.oldest_and_newest
def test_panel_names_what_was_chosen_and_reads_no_file_for_it(blender: Blender, tmp_path: Path) -> None:
    _picture(tmp_path / "a picture with quite a long name.png")
    for number in range(6):
        _picture(tmp_path / "leaves" / f"{number}.png")
    for number in range(2):
        _picture(tmp_path / "of 2" / f"{number}.png")
    result = blender.run("thumbnails", folder=tmp_path)
    picture = "a picture with quite a long name.png"
    assert result["before"] == [picture, "leaves"]
    assert result["found"] == [picture, "leaves", "6 bitmaps"]
    assert result["one less"] == [picture, "leaves", "5 bitmaps"]
    assert result["gone"] == [f"{picture} is not there", "leaves is not there"]
    assert result["empty"] == [f"{picture} is not there", "leaves: no bitmaps"]
    assert result["pattern"] == [f"{picture} is not there", "*.png", "2 bitmaps"]
    assert result["pattern of numbers"] == ["#.png", "2 frames", "*.png", "2 bitmaps"]
    assert result["seconds"] < 0.005
    assert result["stops"]


IMAGES = {
    "byte": (False, "sRGB", [0.25, 0.5, 0.75, 1, 0.5, 0.25, 0.125, 0.5], [[64, 128, 191, 255], [128, 64, 32, 128]]),
    "data": (False, "Non-Color", [0.25, 0.5, 0.75, 1, 0, 0, 0, 1], [[64, 128, 191, 255], [0, 0, 0, 255]]),
    # In light, and multiplied by the alpha: what is seen is neither.
    "light": (
        True,
        "Linear Rec.709",
        [0.25, 0.5, 0.75, 1, 0.25, 0.125, 0, 0.5],
        [[137, 188, 225, 255], [188, 137, 0, 128]],
    ),
    "beyond": (True, "Linear Rec.709", [9, -1, 1, 1, 0, 0, 0, 0], [[255, 0, 255, 255], [0, 0, 0, 0]]),
}
"""Name of an image -> whether it is of floats, its color space, two pixels, and what of them is seen."""


def test_pictures_come_in_by_every_way_with_the_colors_that_are_seen(blender: Blender, tmp_path: Path) -> None:
    _picture(tmp_path / "photo.jpg")
    _picture(tmp_path / "other.png", "blue")
    _picture(tmp_path / "gone.png")
    for number in (1, 2, 3):
        _picture(tmp_path / "frames" / f"f_{number:04d}.png", (10 * number, 0, 0))
    (tmp_path / "star.svg").write_text("<svg/>")
    images = [(name, *given[:3]) for name, given in IMAGES.items()]
    result = blender.run("ways_in", folder=tmp_path, images=images)

    assert result["target"] == ["photo.jpg"]
    assert result["frames of a folder"] == ["frames"]
    assert result["some frames"] == ["smalti/f frames"]
    assert sorted(each.name for each in (tmp_path / "smalti/f frames").iterdir()) == ["f_0001.png", "f_0002.png"]
    assert "2 pictures cannot be one target. Drop one picture" in result["two pictures"]
    assert result["film"] == ["film.mp4", 0], "its own frame rate"
    assert "film.mp4 is a video, and no bitmap." in result["film as bitmap"]
    assert "2 pictures cannot be one target" in result["films"]
    assert result["bitmap"] == ["star.svg"]
    assert result["all of a folder"] == ["frames"]
    assert result["bitmaps"] == ["smalti/bitmaps"]
    assert result["copied"] == ["photo.jpg", "star.svg"]
    assert result["whole sequence"] == ["frames"]
    assert result["frame rate"] == 24
    assert "not part of a sequence" in result["no sequence"]
    assert result["handlers"] == [[".jpg", ".mp4", ".png"], [".jpg", ".png", ".svg"]]

    assert result["saved image"] == ["photo.jpg"]
    assert result["pictures"] == [f"smalti/targets/{name}.png" for name in IMAGES]
    for name, (_, _, _, seen) in IMAGES.items():
        found = np.asarray(Image.open(tmp_path / f"smalti/targets/{name}.png").convert("RGBA"), int)[0]
        assert np.abs(found - seen).max() <= 1, (name, found)
    assert result["again"] == ["smalti/targets/beyond.png"]
    assert result["changed"] == ["smalti/targets/beyond 2.png"], "a job may go on with the one before"
    assert result["packed"] == ["smalti/targets/other.png"]
    assert "has no pixels" in result["missing file"]
    assert result["movie"] == ["film.mp4"]
    assert result["sequence"] == ["smalti/f frames 2"]
    assert result["its frames"] == ["f_0002.png", "f_0003.png"]

    assert "show no images" in result["no images"]
    assert result["selected"] == ["smalti/bitmaps 2"]
    assert result["selected images"] == ["beyond.png", "other.png"]


def test_the_camera_s_picture_becomes_the_target_and_the_scene_stays_as_it_is(blender: Blender, tmp_path: Path) -> None:
    for name in ("photo.jpg", "other.png", "gone.png", "frames/f_0001.png", "frames/f_0002.png", "frames/f_0003.png"):
        _picture(tmp_path / name)
    (tmp_path / "star.svg").write_text("<svg/>")
    result = blender.run("ways_in", folder=tmp_path, images=[("one", False, "sRGB", [1] * 8)])
    assert "Add a camera" in result["no camera"]
    assert result["rendered"] == ["smalti/targets/My Camera.png"]
    assert result["rendered again"] == ["smalti/targets/My Camera 2.png"]
    assert result["scene changed"] == {}
    assert result["scenes"] == 1
    picture = Image.open(tmp_path / "smalti/targets/My Camera.png")
    assert (picture.size, picture.mode) == ((64, 32), "RGBA")
    alpha = np.asarray(picture)[..., 3]
    assert alpha[0, 0] == 0
    assert alpha[16, 32] == 255
    shown = Image.open(tmp_path / result["render result"][0])
    assert np.abs(np.asarray(shown, int) - np.asarray(picture, int)).max() <= 1, "as the scene's view shows it"
