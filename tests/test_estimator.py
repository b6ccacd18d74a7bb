# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimates of the worker: beside its work, and never in its way."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import ScriptedEngine, at_work, fit, of, wait_for, worker
from jobs import small_job

from smalti.bridge.protocol import REVISION, Cancel, Cancelled, Cancelling, Error, Estimate, Hello, Progress, Result
from smalti.bridge.schema import to_mapping


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ScriptedEngine]:
    with worker(tmp_path) as running:
        yield running


def estimate(request_id: str, folder: Path, **settings: object) -> Estimate:
    return Estimate(request_id, to_mapping(small_job(folder, **settings)))


def endless(request_id: str, folder: Path) -> Estimate:
    """One of a job that is far too large for it."""
    return estimate(request_id, folder, size=4_000, count=30_000)


def test_an_estimate_says_how_long_the_job_takes_and_how_much_memory(engine: ScriptedEngine, tmp_path: Path) -> None:
    (hello,) = wait_for(engine, of(Hello))
    assert isinstance(hello, Hello)
    assert hello.revision == REVISION
    engine.send(estimate("1", tmp_path))
    assert not engine.busy, "nothing waits for an estimate"
    result = wait_for(engine, of(Result))[-1]
    assert isinstance(result, Result)
    assert (result.id, result.path) == ("1", "")
    assert 0 < result.report["seconds"] < 30
    assert result.report["memory_mb"] is None or 10 < result.report["memory_mb"] < 2000
    assert {path.name for path in tmp_path.iterdir()} >= {"target.png", "primitives"}


def test_a_job_that_cannot_be_estimated_is_an_error_of_the_request_alone(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    engine.send(estimate("1", tmp_path, target=str(tmp_path / "missing.png")))
    error = wait_for(engine, of(Error))[-1]
    assert isinstance(error, Error)
    assert (error.id, error.code) == ("1", "no_estimate")
    engine.send(fit("2", tmp_path, "quick"))
    wait_for(engine, of(Result, task_id="2"))


def test_a_fit_does_not_wait_for_an_estimate(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(endless("1", tmp_path))
    time.sleep(1)
    began = time.monotonic()
    engine.send(fit("2", tmp_path, "polite"))
    events = wait_for(engine, at_work)
    assert time.monotonic() - began < 1
    if Cancelled("1") not in events:
        wait_for(engine, of(Cancelled, task_id="1"))
    # While there is work, none begins.
    engine.send(estimate("3", tmp_path))
    wait_for(engine, of(Cancelled, task_id="3"))
    engine.send(Cancel("2"))
    wait_for(engine, of(Cancelled, task_id="2"))


def test_a_later_estimate_or_a_cancel_ends_an_earlier_one(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(endless("1", tmp_path))
    engine.send(estimate("2", tmp_path))
    events = wait_for(engine, of(Result))
    assert Cancelled("1") in events
    assert not any(map(of(Progress), events))
    engine.send(endless("3", tmp_path))
    engine.send(Cancel("3"))
    assert Cancelling("3") in wait_for(engine, of(Cancelled, task_id="3"))


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_an_estimate_ends_with_the_worker_however_that_ends(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(endless("1", tmp_path))
    children = Path(f"/proc/{engine.pid}/task/{engine.pid}/children")
    until = time.monotonic() + 10
    while not (found := [p for t in children.parents[1].iterdir() for p in (t / "children").read_text().split()]):
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(engine.pid, 9)
    while any(Path(f"/proc/{child}/stat").is_file() for child in found):
        assert time.monotonic() < until
        time.sleep(0.02)
