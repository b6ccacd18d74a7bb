# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending requests to the engine of the preferences."""

from __future__ import annotations

from typing import Any

from . import notices, preferences, session
from .bridge.protocol import Export, Fit, Resume


def ready(operator: Any) -> bool:
    """Whether a request can be sent; says on the button why not."""
    if session.task is not None:
        operator.poll_message_set("A job is running")
        return False
    if preferences.engine_place() is None:
        operator.poll_message_set("Choose an engine in the add-on's preferences first")
        return False
    return True


def send(request: Fit | Resume | Export) -> None:
    """Send a request to the engine of the preferences."""
    place = preferences.engine_place()
    assert place is not None  # of `ready`
    session.request(request, place, preferences.log_path())
    notices.redraw(at_once=True)
