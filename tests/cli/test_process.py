# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line as a process: help, streams, signals, and faults of Smalti's own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import QUICK, Complaint, broken, smalti

from smalti.bridge.job_file import read_job
from smalti.bridge.version import VERSION
from smalti.engine import cli
from smalti.engine.composition import load_composition
from smalti.engine.job import run
from smalti.engine.job.run import run_job


def test_a_fault_of_smaltis_own_is_one_line_and_with_verbose_the_whole_story(
    job: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smalti.engine.composition.Composition.atlas_showing", broken)
    assert smalti("render", job) == 2
    line = capfd.readouterr().err
    assert re.fullmatch(r"smalti: Smalti failed unexpectedly: ZeroDivisionError[^\n]*--verbose[^\n]*\n", line)
    with pytest.raises(ZeroDivisionError):
        smalti("render", job, "--verbose")


def test_the_log_handlers_are_taken_down_again(job: Path) -> None:
    before = list(cli.logger.handlers)
    smalti("render", job)
    smalti("render", "nowhere")
    assert cli.logger.handlers == before


def test_version_and_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert smalti("--version") == 0
    assert capfd.readouterr().out == f"smalti {VERSION}\n"
    assert smalti("fit", "--help") == 0
    assert "--primitives FOLDER" in capfd.readouterr().out


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "smalti.engine", *map(str, arguments)]


def buffered() -> dict[str, str]:
    """The environment without what makes Python write at once: as most users have it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.slow
def test_in_a_pipe_there_is_no_bar_and_a_reader_that_left_is_no_fault(here: Path) -> None:
    fitted = command("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK)
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb") as nobody_reads:
        ended = subprocess.run(fitted, stdout=nobody_reads, stderr=subprocess.PIPE, env=buffered(), check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert (here / "out" / "report.json").exists()


@pytest.mark.slow
def test_a_closed_stderr_and_a_narrow_encoding_are_no_fault(here: Path) -> None:
    fitted = command("fit", "target.png", "--primitives", "marks", "--out", "wäld", *QUICK)
    closed = ["sh", "-c", 'exec 2>&-; exec "$@"', "sh", *fitted]
    environment = {**buffered(), "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(closed, stdout=subprocess.PIPE, env=environment, check=False)
    assert ended.returncode == 0
    assert ended.stdout.startswith(b"w\\xe4ld: 12 sprites")


def test_closed_streams_are_no_fault(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert smalti("render", job) == 0
    assert smalti("render", "nowhere") == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_told(job: Path) -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(command("render", job), stdout=full, stderr=subprocess.PIPE, env=buffered(), check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"smalti: The disk is full.")
    assert ended.stderr.count(b"\n") == 1


@pytest.mark.slow
def test_on_a_terminal_there_is_a_bar_and_it_goes_away(here: Path) -> None:
    pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    fitted = command("fit", "target.png", "--primitives", "marks", "--out", "out", "--count", 12, "--steps", 2000)
    with subprocess.Popen(fitted, stdout=subprocess.PIPE, stderr=slave) as process:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while select.select([master], [], [], 60)[0] and (chunk := os.read(master, 4096)):
                shown += chunk
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert b"12 sprites, 2000 steps" in process.stdout.read()
    os.close(master)
    assert re.search(rb"fit: +\d+%.*\d+/2000 .*loss=0\.\d+", shown)
    assert shown.count(b"\r") > 1
    # What remains on the line is blank.
    assert shown.split(b"\r")[-2].strip() in (b"", b"\x1b[A")


def running(out: Path, *arguments: object) -> subprocess.Popen[bytes]:
    """A fit of many steps, just begun."""
    fitted = command("fit", "target.png", "--primitives", "marks", "--out", out, "--count", 12, "--steps", *arguments)
    process = subprocess.Popen(fitted, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not (out / "job.json").exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    return process


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_ctrl_c_keeps_the_best_so_far_and_the_job_goes_on_later(here: Path) -> None:
    process = running(here / "out", 800)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.fullmatch(rb"smalti: stopped; [^\n]*smalti resume [^\n]*out\n", err)
    assert b"12 sprites" in out
    report = json.loads((here / "out" / "report.json").read_text())
    assert report["cancelled"]
    assert report["steps"] < 800
    assert load_composition(here / "out").header.sprites == 12
    assert smalti("resume", "out") == 0
    assert json.loads((here / "out" / "report.json").read_text())["steps"] == 800
    run_job(read_job(here / "out" / "job.json"), here / "whole")
    assert (here / "out" / "frames.npz").read_bytes() == (here / "whole" / "frames.npz").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM")
def test_a_process_at_work_keeps_others_out_and_lets_go_when_it_ends(here: Path, complaint: Complaint) -> None:
    process = running(here / "out", 1_000_000)
    try:
        assert "another Smalti is at work" in complaint("resume", "out")
        assert "another Smalti is at work" in complaint(
            "fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK, "--overwrite"
        )
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK, "--overwrite") == 0


def test_a_second_ctrl_c_stops_at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(*_: object, should_stop: Callable[[], bool], **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert should_stop()
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("should have been interrupted")

    monkeypatch.setattr(run, "run_job", impatient)
    before = signal.getsignal(signal.SIGINT)
    assert smalti("fit", "target.png", "--primitives", "marks", "--out", "out", *QUICK) == 130
    assert signal.getsignal(signal.SIGINT) is before
