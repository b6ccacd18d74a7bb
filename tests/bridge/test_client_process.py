# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as a process: how it is closed, fed and kept apart from its caller, and what outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ends import UNTIL_EOF, posix, runs, the_error
from engines import HELLO, PATIENCE, REAL_WORKER, ScriptedEngine, at_work, fit, of, wait_for, worker
from PIL import Image, ImageDraw

from smalti.bridge.client import EngineProcess
from smalti.bridge.composition import read_header
from smalti.bridge.engine_place import EnginePlace
from smalti.bridge.job import JobSpec
from smalti.bridge.protocol import (
    REVISION_VARIABLE,
    Cancel,
    Cancelled,
    Event,
    Fit,
    Hello,
    Preview,
    Progress,
    Result,
    Resume,
)
from smalti.bridge.schema import to_mapping


def test_close_lets_a_job_keep_its_checkpoint(engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.send(fit("1", tmp_path, "polite"))
    wait_for(engine, at_work)
    engine.close()
    assert (tmp_path / "1" / "checkpoint.npz").exists()
    assert not engine.alive
    assert not engine.busy
    assert engine.poll() == []
    engine.close()


@posix
def test_close_ends_an_engine_that_does_not_listen(scripted: Callable[[str], ScriptedEngine]) -> None:
    engine = scripted(f"{HELLO}import time\ntime.sleep(100)")
    wait_for(engine, of(Hello))
    pid = engine.pid
    start = time.monotonic()
    engine.close(timeout=0.3)
    assert time.monotonic() - start < 2
    assert not runs(pid)


@posix
def test_sending_much_to_an_engine_that_does_not_read_does_not_block(engine: ScriptedEngine, tmp_path: Path) -> None:
    wait_for(engine, of(Hello))
    os.kill(engine.pid, signal.SIGSTOP)
    start = time.monotonic()
    for number in range(10):
        engine.send(fit(str(number), tmp_path, "quick", primitives="/" + "x" * 1_000_000))
        engine.poll()
    assert time.monotonic() - start < 1
    engine.close(timeout=0.1)
    assert not engine.alive


def test_messages_of_a_megabyte_pass_both_ways(engine: ScriptedEngine, tmp_path: Path) -> None:
    long_path = "/" + "ü" * 1_000_000
    engine.send(fit("1", tmp_path, "echo", primitives=long_path))
    result = wait_for(engine, of(Result))[-1]
    assert isinstance(result, Result)
    assert result.report["primitives"] == long_path


@pytest.mark.parametrize(
    "name",
    [
        "Ärger & 猫 😀 'quoted\"",
        "line\nfeed",
        pytest.param(
            os.fsdecode(b"Latin-1 \xe4"),
            marks=pytest.mark.skipif(sys.platform != "linux", reason="no such file names here"),
        ),
    ],
)
def test_job_folders_of_any_name_work(engine: ScriptedEngine, tmp_path: Path, name: str) -> None:
    engine.send(fit(name, tmp_path, "echo"))
    result = wait_for(engine, of(Result))[-1]
    assert isinstance(result, Result)
    assert (Path(result.path) / "here").read_text() == "found"
    assert Path(result.path) == tmp_path / name


def test_an_event_in_pieces_is_one_event(scripted: Callable[[str], ScriptedEngine]) -> None:
    pieces = [b'{"type": "prev', 'iew", "id": "1", "path": "/\u732b'.encode()[:-1], b"\xab", b'"}\n']
    script = (
        f"{HELLO}import os, time\nfor piece in {pieces!r}:\n    os.write(1, piece)\n    time.sleep(0.05)\n{UNTIL_EOF}"
    )
    events: list[Event] = wait_for(scripted(script), of(Preview))
    assert events[1:] == [Preview("1", "/\u732b")]


def test_the_callers_python_settings_and_folder_do_not_reach_the_engine(
    scripted: Callable[[str], ScriptedEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONUSERBASE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.delenv("SMALTI_CACHE", raising=False)
    monkeypatch.setenv("SMALTI_KEEPS", "this")
    engine = scripted(
        f"{HELLO}import os\n"
        "names = sorted(n for n in os.environ if n.startswith(('PYTHON', 'SMALTI')))\n"
        "print(names, sys.flags.utf8_mode, sys.flags.safe_path, os.getcwd(), file=sys.stderr)\n"
        "sys.stderr.flush()\nraise SystemExit(0)"
    )
    the_error(engine, "engine_died")
    cwd = os.path.realpath(tempfile.gettempdir())
    kept = ["PYTHONSAFEPATH", "PYTHONUTF8", "SMALTI_KEEPS", REVISION_VARIABLE]
    assert engine.log_tail() == f"{kept} 1 True {cwd}"


@posix
def test_the_engine_is_in_a_process_group_of_its_own(engine: ScriptedEngine) -> None:
    assert os.getpgid(engine.pid) == engine.pid != os.getpgid(0)


@posix
def test_an_engine_leaves_when_its_client_is_killed(tmp_path: Path) -> None:
    worker(tmp_path)
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import time\nfrom pathlib import Path\nfrom engines import *\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "engine = worker(folder)\nengine.start()\nengine.send(fit('1', folder, 'polite'))\n"
        "wait_for(engine, at_work)\n"
        "print(engine.pid, flush=True)\ntime.sleep(100)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    assert runs(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    start = time.monotonic()
    while not (tmp_path / "1" / "checkpoint.npz").exists():
        assert time.monotonic() - start < 2
        time.sleep(0.01)


def test_a_client_that_ends_without_closing_is_not_disturbed(tmp_path: Path) -> None:
    worker(tmp_path)
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from pathlib import Path\nfrom engines import *\nfrom smalti.bridge.protocol import Hello\n"
        f"engine = worker(Path({str(tmp_path)!r}))\nengine.start()\nwait_for(engine, of(Hello))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.fixture
def real_job(tmp_path: Path) -> dict[str, Any]:
    """The settings of a small job that the real engine takes a second or two for."""
    (tmp_path / "dots").mkdir()
    for name, size in (("round", (9, 9)), ("long", (5, 14))):
        dot = Image.new("RGBA", size)
        ImageDraw.Draw(dot).ellipse((0, 0, size[0] - 1, size[1] - 1), fill=(255, 255, 255, 255))
        dot.save(tmp_path / "dots" / f"{name}.png")
    Image.linear_gradient("L").resize((48, 40)).convert("RGB").save(tmp_path / "target.png")
    job = JobSpec(str(tmp_path / "target.png"), str(tmp_path / "dots"), count=60, size=64, steps=3_000, seed=3)
    return to_mapping(job)


def arrays(folder: Path) -> dict[str, bytes]:
    with np.load(folder / "frames.npz", allow_pickle=False) as file:
        return {name: file[name].tobytes() for name in file.files}


@posix
@pytest.mark.slow
def test_a_killed_job_is_resumed_from_its_checkpoint_to_the_same_result(
    tmp_path: Path, real_job: dict[str, Any]
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    with ScriptedEngine(tmp_path, REAL_WORKER) as engine:
        engine.send(Fit("whole", real_job, str(whole)))
        uncut = wait_for(engine, of(Result))[-1]
        engine.send(Fit("cut", real_job, str(cut)))
        wait_for(engine, lambda event: isinstance(event, Progress) and event.stage == "fit" and event.done > 1000)
        os.kill(engine.pid, signal.SIGKILL)
        assert the_error(engine, "engine_died").id == "cut"
        assert not (cut / "frames.npz").exists()
        engine.start()
        engine.send(Resume("cut", str(cut)))
        events = wait_for(engine, of(Result))
    resumed = events[-1]
    assert isinstance(uncut, Result)
    assert isinstance(resumed, Result)
    steps = [event.done for event in events if isinstance(event, Progress) and event.stage == "fit"]
    assert 100 < steps[0] <= 3_000
    assert resumed.report["steps"] == uncut.report["steps"] == 3_000
    assert resumed.report["psnr"] == uncut.report["psnr"]
    assert arrays(cut) == arrays(whole)


@pytest.mark.slow
def test_a_job_of_a_closed_client_ends_at_once_and_can_be_resumed(tmp_path: Path, real_job: dict[str, Any]) -> None:
    out = tmp_path / "job"
    engine = EngineProcess(EnginePlace(sys.executable), tmp_path / "engine.log")
    with engine:
        engine.send(Fit("1", {**real_job, "steps": 100_000}, str(out)))
        wait_for(engine, lambda event: isinstance(event, Progress) and event.stage == "fit" and event.done > 20)
        start = time.monotonic()
    assert time.monotonic() - start < 2.5
    with engine:
        engine.send(Resume("2", str(out)))
        first = wait_for(engine, lambda event: isinstance(event, Progress) and event.stage == "fit")[-1]
        engine.send(Cancel("2"))
        cancelled = wait_for(engine, of(Cancelled))[-1]
    assert isinstance(first, Progress)
    assert first.done > 20
    assert isinstance(cancelled, Cancelled)
    assert cancelled.path == str(out)
    assert read_header(out).sprites == 60


def test_hello_does_not_wait_for_anything_heavy(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "smalti.engine", "worker"]
    left = subprocess.run(command, input=b"", capture_output=True, timeout=PATIENCE, check=True, cwd=tmp_path)
    assert b'"type": "hello"' in left.stdout
    imported = {line.split(b"|")[-1].strip() for line in left.stderr.splitlines()}
    assert b"smalti.engine.worker" in imported
    assert not imported & {b"torch", b"numpy", b"PIL", b"psd_tools"}


def test_an_engine_that_is_let_go_ends_while_the_client_goes_on(tmp_path: Path) -> None:
    engine = worker(tmp_path)
    engine.start()
    wait_for(engine, of(Hello))
    first = engine.pid
    ending = engine.let_go()
    assert ending
    assert engine.poll() == [], "an end that was asked for is no news"
    engine.start()
    wait_for(engine, of(Hello))
    assert engine.pid != first
    ending.join(10)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    assert engine.let_go(), "the second one still runs"
    assert engine.let_go() is None
