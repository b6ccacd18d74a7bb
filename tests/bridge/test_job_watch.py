# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of jobs is read in threads: asking for it never waits, whatever a disk does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smalti.bridge import background
from smalti.bridge.background import Background
from smalti.bridge.job import JobSpec
from smalti.bridge.job_file import write_job
from smalti.bridge.job_list import JobReader
from smalti.bridge.job_watch import JobWatch


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    write_job(folder / "job.json", JobSpec(target="/a.png", primitives="/leaves"))
    return folder


def wait(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Folders on a network drive that does not answer: reading them takes until the end of the test."""
    folders: list[Path] = []
    end = threading.Event()

    def reading(name: str) -> None:
        function = getattr(JobReader, name)

        def read(reader: JobReader, folder: Path) -> object:
            if folder in folders:
                end.wait()
            return function(reader, folder)

        monkeypatch.setattr(JobReader, name, read)

    reading("read")
    reading("read_below")
    yield folders
    end.set()


def test_the_jobs_of_all_places_are_one_list_and_none_is_there_twice(tmp_path: Path) -> None:
    for name in ("a/one", "a/two", "b/three"):
        made(tmp_path / name)
    watch = JobWatch()
    watch.look([tmp_path / "a", tmp_path / "nowhere"], [tmp_path / "a" / "one", tmp_path / "b" / "three"])
    assert not [*watch.jobs]
    assert not watch.knows(tmp_path / "a" / "one")
    wait(lambda: watch.update() or len(watch.jobs) == 3)
    wait(lambda: not watch.update() and not watch.busy)
    assert sorted(found.name for found in watch.jobs) == ["one", "three", "two"]
    assert watch.at(tmp_path / "b" / "three") is not None
    assert watch.at(tmp_path / "a" / "four") is None
    assert watch.knows(tmp_path / "a" / "four")
    assert not watch.knows(tmp_path / "b" / "four")


def test_a_drive_that_does_not_answer_hides_only_its_own_jobs(tmp_path: Path, gone: list[Path]) -> None:
    made(tmp_path / "here" / "job")
    gone.append(tmp_path / "drive")
    watch = JobWatch(interval=0.0)
    for _ in range(20):
        began = time.monotonic()
        watch.look([tmp_path / "drive", tmp_path / "here"], [tmp_path / "drive" / "job"])
        watch.update()
        watch.at(tmp_path / "drive" / "job")
        assert time.monotonic() - began < 0.5
        time.sleep(0.01)
    assert [found.name for found in watch.jobs] == ["job"]
    assert not watch.knows(tmp_path / "drive" / "job2")
    assert sum(thread.name == "smalti background" for thread in threading.enumerate()) <= 3


def test_a_place_is_read_once_in_an_interval_and_when_something_has_changed(tmp_path: Path) -> None:
    watch = JobWatch(interval=60.0)
    watch.look([tmp_path])
    wait(lambda: watch.update() or not watch.busy)
    made(tmp_path / "job")
    watch.look([tmp_path])
    time.sleep(0.1)
    watch.update()
    assert not [*watch.jobs]
    watch.refresh()
    watch.look([tmp_path])
    wait(lambda: watch.update() or watch.jobs)
    version = watch.version
    watch.refresh()
    watch.look([tmp_path])
    wait(lambda: not watch.busy or watch.update())
    assert watch.version == version, "nothing has changed"


def test_what_changes_while_a_place_is_read_is_seen_without_another_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on = threading.Event(), threading.Event()
    read_below = JobReader.read_below

    def slowly(reader: JobReader, folder: Path) -> object:
        found = read_below(reader, folder)
        began.set()
        go_on.wait(10)
        return found

    monkeypatch.setattr(JobReader, "read_below", slowly)
    watch = JobWatch(interval=60.0)
    watch.look([tmp_path])
    assert began.wait(10)
    made(tmp_path / "job")
    watch.refresh()
    watch.look([tmp_path])
    go_on.set()
    wait(lambda: watch.update() and watch.jobs)
    assert [found.name for found in watch.jobs] == ["job"]


def test_a_place_that_is_watched_no_more_has_no_jobs(tmp_path: Path) -> None:
    made(tmp_path / "job")
    watch = JobWatch()
    watch.look([tmp_path])
    wait(lambda: watch.update() or watch.jobs)
    before = watch.version
    watch.look([])
    assert not [*watch.jobs]
    assert watch.version > before


def test_without_a_window_the_truth_is_waited_for(tmp_path: Path) -> None:
    watch = JobWatch(waits=True)
    assert watch.knows(tmp_path / "job")
    assert watch.at(tmp_path / "job") is None
    made(tmp_path / "job")
    assert watch.at(tmp_path / "job") is not None
    watch.look([tmp_path])
    assert [job.name for job in watch.jobs] == ["job"]


def test_work_that_is_stuck_keeps_no_other_from_being_done(monkeypatch: pytest.MonkeyPatch) -> None:
    end, work = threading.Event(), Background(most=1)
    assert work.start("stuck", end.wait)
    busy = [work.busy]
    assert not work.start("other", lambda: 1)
    monkeypatch.setattr(background, "STUCK", 0.0)
    assert [*busy, work.busy] == [True, False]
    assert not work.start("stuck", lambda: 1)
    monkeypatch.undo()
    monkeypatch.setattr(background, "STUCK", 0.05)
    time.sleep(0.1)
    assert work.start("other", lambda: 1)
    wait(work._done.qsize)
    assert work.results() == [("other", 1)]
    end.set()
    wait(work._done.qsize)
    assert work.results() == [("stuck", True)]
