# SPDX-License-Identifier: GPL-3.0-or-later
"""How an engine ends, in tests of the client."""

from __future__ import annotations

import os
import sys

import pytest
from engines import of, polled_for, wait_for

from smalti.bridge.client import EngineProcess
from smalti.bridge.protocol import (
    Error,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
UNTIL_EOF = "sys.stdin.read()\n"


def the_error(engine: EngineProcess, code: str) -> Error:
    """The one Error that an engine ends with; nothing may come after it."""
    error = wait_for(engine, of(Error))[-1]
    assert isinstance(error, Error)
    assert error.code == code, error
    assert polled_for(engine, 0.3) == []
    assert not engine.alive
    assert not engine.busy
    return error


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
