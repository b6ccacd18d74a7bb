# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are written as a whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from image_files import code_of, noise

from smalti.bridge.errors import SmaltiError
from smalti.engine.files.atomic import write_atomic
from smalti.engine.files.images import (
    read_image,
    write_png,
)


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
