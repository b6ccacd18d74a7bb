# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and folders that cannot be read: each kind has its code, and every message names the file."""

from __future__ import annotations

import errno
import os
import warnings
from pathlib import Path

import pytest
from image_files import code_of, noise, png
from PIL import Image

from smalti.bridge.errors import SmaltiError
from smalti.engine.files.images import (
    list_images,
    read_image,
    read_size,
)

# Pictures


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

    monkeypatch.setattr(Image, "open", refused)
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
