# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of the table, and processes that write them."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # scenes and optimizers are those of the tests


@dataclass
class Line:
    """One line of the table."""

    what: str
    figure: str
    limit: str
    good: bool | None  # None: nothing to hold


Part = Callable[[argparse.Namespace], list[Line]]


def number(value: float, digits: int = 3) -> str:
    """A number with a few digits that count."""
    return f"{value:.{digits}g}"


def commit() -> str:
    """The state of the sources: git's, or what a file COMMIT beside them says where git's folder did not travel."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        note = ROOT / ".gpu" / "COMMIT"
        return note.read_text().strip() if note.exists() else "unknown"


def multiprocessors() -> int:
    """How many the card has."""
    return attribute(16)


def attribute(number: int) -> int:
    """One of the card's numbers, by CUdevice_attribute."""
    from smalti.engine.cuda.device import device

    with device().in_use() as driver:
        return driver.number("cuDeviceGetAttribute", number, 0)


def finished(command: list[str], log: Path, seconds: float, environment: dict[str, str] | None = None) -> int | None:
    """Run a command with all its children, what it says going to `log`; its exit status, None where time ran out."""
    with log.open("w") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True, env=environment
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None
