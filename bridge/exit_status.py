# SPDX-License-Identifier: GPL-3.0-or-later
"""How the engine's process ended, in words."""

from __future__ import annotations

import contextlib
import signal
import sys


def reason_of(status: int | None) -> str:
    """What is known to end an engine so."""
    if sys.platform != "win32" and status == -signal.SIGKILL:
        return "The memory may have run out: choose a smaller size, or fewer bitmaps."
    return ""


def status_text(status: int | None) -> str:
    """What the system says of an end. `status`: as of `subprocess.Popen.poll`; None where it has none yet."""
    if status is None:
        return "it closed its output"
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    # Windows reports a crash as a large number, which is known by its hexadecimal form.
    return f"exit status {status}" if -256 < status < 256 else f"exit status {status & 0xFFFFFFFF:#010x}"
