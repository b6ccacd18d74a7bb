# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the job in the panel would take, estimated by the engine while the artist looks at it.

A panel that is drawn says what its job is. When that has not changed for a moment and the engine has nothing to do, it
is asked for; a fit ends whatever estimate is under way. What goes wrong is not shown: then there is no estimate.
"""

from __future__ import annotations

import time
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import notices, preferences, session
from .bridge.protocol import Estimate

STILL = 1.0  # seconds for which the settings stay as they are, at least
INTERVAL = 0.25  # seconds between two looks

_job: dict[str, Any] | None = None  # what the panel says
_since = 0.0  # when it began to say so
_still = STILL  # as long as the last estimate took, if that was longer
_request: str | None = None  # the estimate under way
_sent_at = 0.0
_report: dict[str, Any] | None = None
_may_start = True  # the engine, once for a file


def of(job: dict[str, Any] | None) -> str:
    """The estimate of a job in words, as far as there is one: "About 40 s, 300 MB". For a panel that is drawn.

    Args:
        job: the mapping of a `JobSpec`; None where the settings are not complete.
    """
    global _job, _since, _request, _report
    if job != _job:
        _job, _since, _request, _report = job, time.monotonic(), None, None
    if _job is not None and _report is None and _request is None:
        _watch()
    return "" if _report is None else _worded(_report)


def _watch() -> None:
    if not bpy.app.background and not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=INTERVAL, persistent=True)


def tick() -> float | None:
    """Ask for an estimate when it is time. Returns the seconds until the next call, None to stop."""
    global _request, _sent_at, _may_start
    if _job is None or _report is not None or _request is not None or session.task is not None:
        return None
    if time.monotonic() < _since + _still:
        return INTERVAL
    if session.can_estimate():
        _request, _sent_at = session.new_id(), time.monotonic()
        session.estimate(Estimate(_request, _job))
        return None
    if session.starting():
        return INTERVAL
    place = preferences.engine_place()
    if place is None or not _may_start or session.hello() is not None:
        return None
    _may_start = False
    session.start_engine(place, preferences.log_path(), unasked=True)
    return INTERVAL


def _take(request: str, report: dict[str, Any] | None) -> None:
    """What the session heard of an estimate."""
    global _report, _still
    if request != _request:
        return
    _still = max(STILL, time.monotonic() - _sent_at)
    if report is not None and isinstance(report.get("seconds"), (int, float)):
        _report = report
        notices.redraw()


def _worded(report: dict[str, Any]) -> str:
    text = f"About {session.duration(_rounded(report['seconds']))}"
    memory = report.get("memory_mb")
    return f"{text}, {_rounded(memory):,.0f} MB" if isinstance(memory, (int, float)) else text


def _rounded(value: float) -> float:
    """Without more figures than an estimate has: 47 is 45, 118 is 120, 2,345 is 2,300."""
    for limit, step in ((20, 1), (60, 5), (1000, 10)):
        if value < limit:
            return max(1, round(value / step) * step)
    return round(value, -2)


@persistent
def _file_loaded(*_: Any) -> None:
    global _may_start
    _may_start = True


def register() -> None:
    """Begin to listen."""
    session.on_estimate = _take
    bpy.app.handlers.load_post.append(_file_loaded)


def unregister() -> None:
    """Stop listening, and forget everything."""
    global _job, _request, _report, _still, _may_start
    session.on_estimate = None
    if _file_loaded in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(_file_loaded)
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    _job, _request, _report, _still, _may_start = None, None, None, STILL, True
