# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are written as a whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import os
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from image_files import code_of, noise

from smalti.bridge.errors import SmaltiError
from smalti.engine.files import atomic
from smalti.engine.files.atomic import write_all_atomic, write_atomic
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


# Many files at a time


@pytest.fixture(params=["at once", "one by one"])
def _flushing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is flushed as the system likes it, or as on a system that can flush single files alone."""
    if request.param == "one by one":
        monkeypatch.setattr(atomic, "_syncfs", None)


@pytest.mark.usefixtures("_flushing")
def test_many_files_are_written_and_replaced(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(50)]
    paths[7].write_bytes(b"old")
    write_all_atomic({path: partial(put, data=path.name.encode()) for path in paths})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {p.name: p.name.encode() for p in paths}
    write_all_atomic({})


@pytest.mark.usefixtures("_flushing")
@pytest.mark.parametrize("fault", [ValueError("mine"), KeyboardInterrupt()])
def test_one_of_many_files_that_fails_leaves_all_old_ones(tmp_path: Path, fault: BaseException) -> None:
    def broken(file: BinaryIO) -> None:
        file.write(b"half")
        raise fault

    old = tmp_path / "0"
    old.write_bytes(b"old")
    with pytest.raises(type(fault)):
        write_all_atomic({old: partial(put, data=b"new"), tmp_path / "1": broken})
    assert old.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [old]


@pytest.mark.usefixtures("_flushing")
def test_no_file_takes_its_name_before_the_disk_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(descriptor: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", failing)
    if atomic._syncfs is not None:
        monkeypatch.setattr(atomic, "_syncfs", failing)
    with pytest.raises(SmaltiError, match=r"[01]: cannot be written \(No space left"):
        write_all_atomic({tmp_path / name: partial(put, data=b"new") for name in "01"})
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(atomic._syncfs is None, reason="flushes single files alone")
def test_a_disk_that_cannot_be_flushed_at_once_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(descriptor: int) -> int:
        ctypes.set_errno(errno.EDQUOT)
        return -1

    monkeypatch.setattr(atomic, "_syncfs", failing)
    with pytest.raises(SmaltiError, match=r"a: cannot be written \(Disk quota exceeded") as caught:
        write_all_atomic({tmp_path / "a": partial(put, data=b"new")})
    assert caught.value.hint


def put(file: BinaryIO, data: bytes) -> None:
    file.write(data)
