# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs on disk: listed as they are, duplicated, removed; and nothing else is touched."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec, RegionSpec
from smalti.bridge.job_file import read_id, read_job, write_job
from smalti.bridge.job_folder import duplicate, free_folder, remove
from smalti.bridge.job_list import JobReader
from smalti.bridge.lock import is_locked, try_lock

JOB = JobSpec(target="/a.png", primitives="/leaves", count=30, regions=(RegionSpec("/m.png", 12),))


def made(folder: Path, *files: str, job_id: str = "abc") -> Path:
    """A job folder with these files besides its job.json."""
    folder.mkdir(parents=True)
    write_job(folder / "job.json", JOB, job_id)
    for file in files:
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_text('{"sprites": 40}' if file == "report.json" else "x")
    return folder


RESULT = ("engine.log", "composition.json", "frames.npz", "report.json", "render.png", "templates/0001.png")


def test_the_list_is_what_is_on_disk(tmp_path: Path) -> None:
    made(tmp_path / "finished", *RESULT)
    made(tmp_path / "cancelled", *RESULT, "checkpoint.npz")
    made(tmp_path / "killed", "engine.log", "checkpoint.npz", "preview.png", "templates/0001.png")
    made(tmp_path / "copy", job_id="")
    made(tmp_path / "film", "composition.json", "render/0001.png")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "a file").write_text("x")
    (tmp_path / "gone").symlink_to("nowhere")
    found = {job.name: job for job in JobReader().read_below(tmp_path)}
    assert {name: job.state for name, job in found.items()} == {
        "finished": "finished",
        "cancelled": "interrupted",
        "killed": "interrupted",
        "copy": "not_begun",
        "film": "finished",
    }
    assert {name for name, job in found.items() if job.importable} == {"finished", "cancelled", "film"}
    assert {name: job.sprites for name, job in found.items()} == {
        "finished": 40,
        "cancelled": 40,
        "killed": 42,
        "copy": 42,
        "film": 42,
    }
    assert {name: job.picture.name if job.picture else None for name, job in found.items()} == {
        "finished": "render.png",
        "cancelled": "render.png",
        "killed": "preview.png",
        "copy": None,
        "film": "0001.png",
    }
    assert (found["finished"].id, found["copy"].id) == ("abc", "")


def test_the_newest_job_comes_first_and_only_what_has_changed_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("old", "middle", "new")):
        os.utime(made(tmp_path / name) / "job.json", (1000 + number, 1000 + number))
    reader = JobReader()
    assert [job.name for job in reader.read_below(tmp_path)] == ["new", "middle", "old"]

    def read(path: Path, *_: object, **__: object) -> str:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(Path, "read_text", read)
    assert [job.sprites for job in reader.read_below(tmp_path)] == [42, 42, 42]
    monkeypatch.undo()
    write_job(tmp_path / "old" / "job.json", JobSpec(target="/a.png", primitives="/leaves", count=3))
    assert reader.read_below(tmp_path)[0].sprites == 3


@pytest.mark.parametrize(
    "text", ["", "[]", '{"count": "a", "id": 3}', "{" * 10_000], ids=["empty", "list", "bad", "deep"]
)
def test_a_damaged_job_is_listed_all_the_same(tmp_path: Path, text: str) -> None:
    made(tmp_path / "job", "report.json", "composition.json")
    for name in ("job.json", "report.json"):
        (tmp_path / "job" / name).write_text(text)
    (job,) = JobReader().read_below(tmp_path)
    assert (job.state, job.sprites, job.id) == ("finished", None, "")


def test_a_composition_without_a_job_is_listed_and_not_removed(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "composition.json").write_text('{"sprites": 5, "id": "abc"}')
    (job,) = JobReader().read_below(tmp_path)
    assert (job.state, job.sprites, job.id, job.importable) == ("finished", 5, "abc", True)
    with pytest.raises(SmaltiError):
        remove(tmp_path / "saved")


def test_a_folder_that_is_missing_or_a_file_has_no_jobs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "missing"):
        assert JobReader().read_below(path) == []
        assert JobReader().read(path) is None


def test_a_job_at_work_is_known_by_its_lock(tmp_path: Path) -> None:
    folder = made(tmp_path / "job", "engine.log")
    reader = JobReader()
    with open(folder / "engine.log", "a") as log:
        assert try_lock(log)
        assert is_locked(folder / "engine.log")
        assert reader.read(folder).state == "at_work"  # type: ignore[union-attr]
        with pytest.raises(SmaltiError) as caught:
            remove(folder)
        assert caught.value.code == "job_busy"
    assert reader.read(folder).state == "not_begun"  # type: ignore[union-attr]


def test_looking_whether_a_job_is_at_work_does_not_keep_an_engine_out(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    path.touch()
    with open(path, "r+") as looking, open(path, "a") as log:
        assert try_lock(looking)
        assert not try_lock(log, patience=0)
        looking.close()
        assert try_lock(log, patience=0)


def test_a_name_that_is_free_has_the_next_number(tmp_path: Path) -> None:
    assert free_folder(tmp_path, "cat") == tmp_path / "cat"
    for name in ("cat", "cat 3", "2024"):
        (tmp_path / name).mkdir()
    assert free_folder(tmp_path, "cat") == tmp_path / "cat 2"
    assert free_folder(tmp_path, "cat 3") == tmp_path / "cat 4"
    assert free_folder(tmp_path, "2024") == tmp_path / "2024 2"


def test_a_duplicate_has_the_settings_and_nothing_else(tmp_path: Path) -> None:
    folder = made(tmp_path / "cat", *RESULT)
    new = duplicate(folder)
    assert (new, os.listdir(new)) == (tmp_path / "cat 2", ["job.json"])
    assert read_job(new / "job.json") == read_job(folder / "job.json")
    assert read_id(new / "job.json") not in ("", "abc")
    assert JobReader().read(new).state == "not_begun"  # type: ignore[union-attr]


def test_what_is_no_job_is_not_duplicated(tmp_path: Path) -> None:
    made(tmp_path / "job")
    (tmp_path / "job" / "job.json").write_text("{}")
    for name in ("job", "missing"):
        with pytest.raises(SmaltiError):
            duplicate(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["job"]


def test_removing_a_job_takes_its_folder_away(tmp_path: Path) -> None:
    folder = made(
        tmp_path / "job", *RESULT, "checkpoint.npz", "preview.png", "render/0001.png", "layers.psd", "background.png"
    )
    assert remove(folder) == []
    assert list(tmp_path.iterdir()) == []


def test_removing_a_job_leaves_what_is_not_of_it(tmp_path: Path) -> None:
    folder = made(tmp_path / "job", *RESULT, "notes.txt", "templates/2024 leaf.png")
    assert remove(folder) == ["notes.txt", "templates"]
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "job", os.path.join("job", "notes.txt"), os.path.join("job", "templates"),
        os.path.join("job", "templates", "2024 leaf.png"),
    ]  # fmt: skip
    assert JobReader().read(folder) is None


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_what_is_no_job_is_not_removed(tmp_path: Path) -> None:
    real = made(tmp_path / "real", *RESULT)
    (tmp_path / "link").symlink_to(real)
    other = made(tmp_path / "other", "composition.json")
    (other / "job.json").write_text('{"format": "another program"}')
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for name in ("link", "other", "empty", "missing"):
        with pytest.raises(SmaltiError) as caught:
            remove(tmp_path / name)
        assert caught.value.code == "no_job"
        assert name in caught.value.message
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="rights do not hold there")
def test_a_job_that_cannot_be_removed_is_named(tmp_path: Path) -> None:
    folder = made(tmp_path / "job")
    folder.chmod(0o500)
    with pytest.raises(SmaltiError) as caught:
        remove(folder)
    folder.chmod(0o700)
    assert caught.value.code == "cannot_write"
