# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an engine is, and what starts it there."""

from __future__ import annotations

from dataclasses import dataclass

_START = (
    "import runpy, sys; sys.path[:0] = sys.argv[1:]; sys.argv[1:] = ['worker']; "
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
        # Unbuffered, so that what a crashing engine printed last is in the log.
        if not self.folders:
            return [self.python, "-u", "-m", "smalti.engine", "worker"]
        # Isolated, as this Python is not ours alone: nothing that others have put on its path comes in between.
        return [self.python, "-I", "-u", "-X", "utf8", "-c", _START, *self.folders]
