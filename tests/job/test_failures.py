# SPDX-License-Identifier: GPL-3.0-or-later
"""Full disks, missing permissions, exceptions and diverging fits."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from jobs import (
    contents,
    fill,
    film,
    mounted,
    small_job,
)
from runs import Recorder, refused, same_result, stopped

from smalti.bridge.job_file import read_job
from smalti.engine.composition import read_arrays
from smalti.engine.fitting.fit import Fit
from smalti.engine.job import run
from smalti.engine.job.run import resume_job, run_job

# Trouble on the way.


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("exists", [False, True])
def test_a_disk_that_is_full_from_the_start_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    out = tmp_path / "new" / "job"
    if exists:
        out.mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", no_space)
    fault = refused(lambda: run_job(small_job(tmp_path), out))
    assert str(out) in fault.message
    assert "No space left" in fault.message
    assert out.exists() == exists
    assert (tmp_path / "new").exists() == exists
    assert not exists or not list(out.iterdir())


def test_a_disk_that_fills_up_on_the_way_leaves_the_last_checkpoint_and_the_job_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", 0.0)
    job, out = small_job(tmp_path), tmp_path / "job"
    run_job(job, tmp_path / "whole")
    with monkeypatch.context() as full:
        then = Recorder(7, lambda: full.setattr(os, "fsync", no_space))
        assert "No space left" in refused(lambda: run_job(job, out, listener=then)).message
    assert int(read_arrays(out / "checkpoint.npz")["done"]) == 6
    assert not resume_job(out).cancelled
    assert same_result(out, tmp_path / "whole")
    assert set(contents(out)) == set(contents(tmp_path / "whole"))


def test_a_really_full_disk_leaves_nothing_at_the_start_and_a_good_checkpoint_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", 0.0)
    job = small_job(tmp_path)
    run_job(job, tmp_path / "whole")
    with mounted(tmp_path / "disk", "size=1m") as disk:
        out = disk / "job"
        filler = fill(disk)
        assert "No space left" in refused(lambda: run_job(job, out)).message
        assert not out.exists()
        filler.unlink()
        refused(lambda: run_job(job, out, listener=Recorder(7, lambda: fill(disk))))
        assert "No space left" in refused(lambda: resume_job(out)).message
        filler.unlink()
        assert not resume_job(out).cancelled
        assert same_result(out, tmp_path / "whole")
        assert set(contents(out)) == set(contents(tmp_path / "whole"))


def test_a_read_only_disk_is_refused(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ro") as disk:
        fault = refused(lambda: run_job(small_job(tmp_path), disk / "job"))
    assert fault.code == "cannot_write"
    assert "Read-only file system" in fault.message


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_must_not_be_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def mkdir(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    job = small_job(tmp_path)
    monkeypatch.setattr(Path, "mkdir", mkdir)
    fault = refused(lambda: run_job(job, tmp_path / "job"))
    assert fault.code == "cannot_write"
    assert f"{tmp_path / 'job'}: cannot be created ({os.strerror(number)})" in fault.message


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    stopped(small_job(tmp_path), tmp_path / "job", 3)
    (tmp_path / "job" / "engine.log").unlink()
    (tmp_path / "job" / "engine.log").mkdir()
    fault = refused(lambda: resume_job(tmp_path / "job"))
    assert fault.code == "cannot_write"
    assert "engine.log" in fault.message


@pytest.mark.parametrize("fault", [KeyboardInterrupt, MemoryError, RuntimeError])
def test_whatever_ends_a_job_before_its_first_step_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    def write_checkpoint(*_: object) -> None:
        raise fault

    monkeypatch.setattr(run, "write_checkpoint", write_checkpoint)
    with pytest.raises(fault):
        run_job(small_job(tmp_path), tmp_path / "new" / "job")
    assert not (tmp_path / "new").exists()


def test_an_exception_on_the_way_keeps_the_checkpoint_and_is_in_the_log(tmp_path: Path) -> None:
    def fail() -> None:
        raise ZeroDivisionError("on purpose")

    job, out = small_job(tmp_path), tmp_path / "job"
    with pytest.raises(ZeroDivisionError):
        run_job(job, out, listener=Recorder(4, fail))
    log = (out / "engine.log").read_text()
    assert "Traceback" in log
    assert "on purpose" in log
    run_job(job, tmp_path / "whole")
    resume_job(out)
    assert same_result(out, tmp_path / "whole")


@pytest.mark.parametrize("step", [1, 12])
def test_a_folder_that_was_moved_is_missed_and_goes_on_elsewhere(tmp_path: Path, step: int) -> None:
    job, out, elsewhere = small_job(tmp_path), tmp_path / "job", tmp_path / "elsewhere"
    fault = refused(lambda: run_job(job, out, listener=Recorder(step, lambda: out.rename(elsewhere))))
    assert fault.code == "folder_gone"
    assert fault.message == f"{out}: is not there any more."
    assert not out.exists()
    run_job(job, tmp_path / "whole")
    resume_job(elsewhere)
    assert same_result(elsewhere, tmp_path / "whole")


def test_a_job_that_cannot_be_replaced_on_a_full_disk_stays_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "job"
    run_job(small_job(tmp_path), out)

    def write_nothing(path: Path, _data: bytes) -> None:
        path.open("wb").close()
        no_space()

    def fill_up(*_: object) -> None:
        monkeypatch.setattr(Path, "write_bytes", write_nothing)
        monkeypatch.setattr(os, "fsync", no_space)
        no_space()

    monkeypatch.setattr(run, "write_checkpoint", fill_up)
    with pytest.raises(OSError, match="No space left"):
        run_job(small_job(tmp_path, seed=7), out, overwrite=True)
    monkeypatch.undo()
    assert read_job(out / "job.json").seed in (small_job(tmp_path).seed, 7)
    run_job(small_job(tmp_path), out, overwrite=True)


def test_a_loss_that_is_not_a_number_ends_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Fit.step

    def astray(self: Fit) -> float:
        step(self)
        return float("nan")

    monkeypatch.setattr(Fit, "step", astray)
    fault = refused(lambda: run_job(small_job(tmp_path), tmp_path / "job"))
    assert fault.code == "diverged"
    assert str(tmp_path / "job") in fault.hint
    assert (tmp_path / "job" / "checkpoint.npz").exists()


def test_a_frame_broken_inside_is_named_when_its_turn_comes_and_once_repaired_the_film_goes_on(tmp_path: Path) -> None:
    folder = film(tmp_path / "film")
    job, out = small_job(tmp_path, target=str(folder)), tmp_path / "job"
    run_job(job, tmp_path / "whole")
    whole = (folder / "03.png").read_bytes()
    (folder / "03.png").write_bytes(whole[: len(whole) // 2])
    fault = refused(lambda: run_job(job, out))
    assert fault.code == "picture_damaged"
    assert str(folder / "03.png") in fault.message
    (folder / "03.png").write_bytes(whole)
    resume_job(out)
    assert same_result(out, tmp_path / "whole")
