# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an engine is, and what starts it there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

_START = (
    "import runpy, sys; end = 2 + int(sys.argv[1]); sys.path[:0] = sys.argv[2:end]; sys.argv[1:] = sys.argv[end:]; "
    "runpy.run_module('smalti.engine', run_name='__main__', alter_sys=True)"
)


@dataclass(frozen=True)
class EnginePlace:
    """Where an engine is.

    Attributes:
        python: the Python that runs it, a path or a name on PATH.
        folders: where this Python finds the engine and what it needs, besides where it looks by itself.
    """

    python: str
    folders: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        """What starts a worker."""
        return self.command_line(["worker"])

    def command_line(self, arguments: Sequence[str]) -> list[str]:
        """What runs a command of ``smalti``: ``["fit", "picture.png", ...]``."""
        # Unbuffered, so that what a crashing engine printed last is in the log.
        if not self.folders:
            return [self.python, "-u", "-m", "smalti.engine", *arguments]
        # Isolated, as this Python is not ours alone: nothing that others have put on its path comes in between.
        start = [self.python, "-I", "-u", "-X", "utf8", "-c", _START]
        return [*start, str(len(self.folders)), *self.folders, *arguments]


def environment() -> dict[str, str]:
    """The caller's environment, without what changes where the engine's Python finds modules."""
    stripped = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith("PYTHON") and name != "__PYVENV_LAUNCHER__"
    }
    # Safe path: with -m, Python would otherwise look for modules in the current folder first.
    return {**stripped, "PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}
