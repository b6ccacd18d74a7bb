# SPDX-License-Identifier: GPL-3.0-or-later
"""Calling the command line in tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smalti.engine import cli

QUICK = ("--count", "12", "--steps", "3")

Complaint = Callable[..., str]


def smalti(*arguments: object) -> int | str | None:
    """Run a command in this process."""
    try:
        return cli.main([str(a) for a in arguments])
    except SystemExit as leaving:  # argparse's way
        return leaving.code


def fit_complaint(
    complaint: Complaint, *more: object, target: object = "target.png", primitives: object = "marks"
) -> str:
    """A fit into the folder `out` that must fail and leave no such folder."""
    line = complaint("fit", target, "--primitives", primitives, "--out", "out", *QUICK, *more)
    assert not Path("out").exists()
    return line


def edit(path: Path, **changes: Any) -> None:
    """Change a JSON file by hand; NaN is written as Python writes it."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def broken(*_: object) -> None:
    raise ZeroDivisionError("on\npurpose")
