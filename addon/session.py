# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's process and the request that it works on.

This state lives outside of Blender's data: undo, File > New and a render leave it alone. So it holds names and paths,
never a reference to something that Blender may free. A timer that outlives a change of file listens to the engine.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import bpy
from bpy.app.handlers import persistent

from . import jobs, notices
from .bridge import folder as files
from .bridge.client import EngineProcess
from .bridge.engine_place import EnginePlace
from .bridge.protocol import (
    Cancel,
    Cancelled,
    Cancelling,
    Error,
    Estimate,
    Event,
    Export,
    Fit,
    Hello,
    Log,
    Preview,
    Progress,
    Result,
    Resume,
    Shutdown,
)
from .labels import label_of

_MOST_WARNINGS = 1000  # that are kept
INTERVAL = 0.1  # seconds between two polls of the engine
IDLE_LIMIT = 300.0  # seconds after which an engine without work is let go, with the memory that it holds
RESUME = "Resume goes on from what was kept last."
BEGIN_AGAIN = "Fit begins the job again."
ENGINE_DIED = "engine_died"
_ENDED = (ENGINE_DIED, "engine_garbled")  # codes of faults that are the engine's, not the job's
CANCEL_LIMIT = 10.0  # seconds without a word from the engine after Cancel, which it hears whatever it does
LAST_WORDS = 3.0  # seconds for which an engine that has ended is still listened to

ESTIMATES = 2  # the revision of the protocol that brought them

Kind = Literal["fit", "resume", "export"]


@dataclass
class Task:
    """The request under way. `folder` is its job folder; `eta` in seconds."""

    id: str
    kind: Kind
    folder: Path
    stage: str = ""
    done: int = 0
    total: int = 0
    eta: float | None = None
    cancelling: bool = False
    unheard: bool = False  # whether the engine has not yet said that it is stopping it

    @property
    def name(self) -> str:
        """What the artist calls the job."""
        return self.folder.name

    @property
    def fraction(self) -> float:
        """How much of the stage is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0


@dataclass
class Outcome:
    """How the last request ended.

    Attributes:
        text: a sentence, with the job's name where it is about one.
        hint: what the engine says about it, where it failed.
        code: of the error, where it failed.
        failed: whether it did.
        warnings: on the way.
        folder: the job's, or None.
        can_import: whether it has left a composition that is new.
    """

    text: str = ""
    hint: str = ""
    code: str = ""
    failed: bool = False
    warnings: list[str] = field(default_factory=list)
    folder: Path | None = None
    can_import: bool = False

    def advice(self) -> str:
        """What to do about a fault, in paragraphs: the engine's hint, and with what the job goes on."""
        if not self.failed or self.folder is None:
            return self.hint
        state = jobs.state(self.folder)
        next_step = RESUME if state == "interrupted" else BEGIN_AGAIN if self.code in _ENDED else ""
        # Before a log, of which only the beginning may be shown; after a remedy, which comes first.
        parts = (next_step, self.hint) if self.code in _ENDED else (self.hint, next_step)
        return "\n".join(filter(None, parts))


task: Task | None = None
outcome = Outcome()
preview: Path | None = None
"""The newest picture of the job under way, or of the last job."""
preview_count = 0
"""Rises with every new picture, also under the same name."""
on_estimate: Callable[[str, dict[str, Any] | None], None] | None = None
"""Takes the id of an estimate and its report, or None where there is none."""

_engine: EngineProcess | None = None
_place: EnginePlace | None = None
_rendering = False
_idle_since = 0.0
_seen_alive = 0.0
_heard = 0.0  # when the engine last said anything, or Cancel was pressed
_estimating: str | None = None
_unasked = False  # whether the engine was started for an estimate alone: then its faults are not shown


def hello() -> Hello | None:
    """The Hello of the running engine, or None."""
    return _engine.hello if _engine and _engine.alive else None


def starting() -> bool:
    """Whether the engine was started and has not said hello yet."""
    return _engine is not None and _engine.alive and _engine.hello is None


def start_engine(place: EnginePlace, log_path: Path, unasked: bool = False) -> None:
    """Start the engine unless it runs already at this place. Errors arrive as events.

    Args:
        place: where it is.
        log_path: see `EngineProcess`.
        unasked: no artist has started anything: faults are kept to ourselves.
    """
    global _engine, _place, _idle_since, _seen_alive, _unasked
    _unasked = unasked
    if _engine and place != _place:
        _engine.let_go()
        _engine = None
    if _engine is None:
        _engine, _place = EngineProcess(place, log_path), place
    _engine.start()
    _idle_since = _seen_alive = time.monotonic()
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=INTERVAL, persistent=True)


def request(message: Fit | Resume | Export, place: EnginePlace, log_path: Path) -> None:
    """Send a request to the engine, started where needed. Only while there is no task."""
    global task, outcome, preview
    start_engine(place, log_path)
    assert _engine is not None
    kinds: dict[type, Kind] = {Fit: "fit", Resume: "resume", Export: "export"}
    folder = Path(message.job if isinstance(message, Export) else message.out)
    task, outcome = Task(message.id, kinds[type(message)], folder), Outcome(folder=folder)
    if not isinstance(message, Export):
        preview = None
    _engine.send(message)


def can_estimate() -> bool:
    """Whether the engine can take an estimate now."""
    said = hello()
    return task is None and said is not None and said.revision >= ESTIMATES


def estimate(message: Estimate) -> None:
    """Request an estimate, where `can_estimate`; `on_estimate` takes the answer, if there is one."""
    global _estimating, _idle_since
    assert _engine is not None
    _estimating, _idle_since = message.id, time.monotonic()
    _engine.send(message)


def cancel() -> None:
    """Ask the engine to stop the task."""
    global _heard
    if _engine and task:
        task.cancelling = task.unheard = True
        _heard = time.monotonic()
        _engine.send(Cancel(task.id))


def new_id() -> str:
    """An identifier for a request."""
    return uuid.uuid4().hex


def close() -> None:
    """End the engine and forget everything."""
    global _engine, _place, task, outcome, preview, preview_count, _rendering, _estimating
    if _engine:
        _engine.let_go()
    _engine, _place, _rendering, _estimating = None, None, False, None
    task, outcome, preview, preview_count = None, Outcome(), None, 0


def tick() -> float | None:
    """Process the engine's events. Returns the seconds until the next call, or None when no engine is left."""
    global _engine, _seen_alive, _heard
    if _engine is None:
        return None
    if _rendering:
        return INTERVAL
    now = time.monotonic()
    events = _engine.poll()
    before = task
    for event in events:
        _hear(event)
    if events:
        _heard = now
    elif task is not None and task.unheard and _engine.hello is not None and now > _heard + CANCEL_LIMIT:
        _engine.kill()
        outcome.code, outcome.failed = ENGINE_DIED, True
        _end("The engine did not answer, so it was stopped.")
    if events or task is not before:
        notices.redraw(at_once=task is not before)
    if _engine.alive:
        _seen_alive = now
    idle = task is None and now > _idle_since + IDLE_LIMIT
    if idle:
        _engine.send(Shutdown())
    if idle or now > _seen_alive + LAST_WORDS:
        _engine = None
        return None
    return INTERVAL


def _hear(event: Event) -> None:
    global preview, preview_count, _estimating
    event_id = getattr(event, "id", None)
    mine = task is not None and event_id == task.id
    if _estimating is not None and event_id == _estimating:
        _estimating = None
        if on_estimate is not None:
            on_estimate(event_id, event.report if isinstance(event, Result) else None)
    elif isinstance(event, Log):
        if event.level == "warning" and task is not None and len(outcome.warnings) < _MOST_WARNINGS:
            outcome.warnings.append(event.message)
    elif isinstance(event, Error):
        # Without an id it concerns the engine as a whole, and so the task too; where there is none, how the last one
        # ended stays.
        if mine or (event.id is None and (task is not None or not (_unasked or outcome.text))):
            text, hint = event.worded(label_of)
            outcome.hint, outcome.code, outcome.failed = hint, event.code, True
            _end(text)
    elif not mine or task is None:
        return
    elif isinstance(event, Progress):
        task.stage, task.done, task.total = event.stage, event.done, event.total
        task.eta = event.eta
    elif isinstance(event, Preview):
        preview, preview_count = Path(event.path), preview_count + 1
    elif isinstance(event, Cancelling):
        task.cancelling, task.unheard = True, False
    elif isinstance(event, Cancelled):
        kept = "the best so far is kept" if event.path else "nothing was kept"
        outcome.can_import = event.path is not None
        _end(f"{task.name}: canceled, {kept}.")
    elif isinstance(event, Result):
        if task.kind == "export":
            _end(f"{task.name}: wrote {Path(event.path).name}.")
        else:
            preview, preview_count = Path(event.path) / _picture(event.report), preview_count + 1
            outcome.can_import = True
            _end(f"{task.name}: {_summary(event.report)}")


def _picture(report: dict[str, Any]) -> str:
    """The picture of a finished job, of an animation the first."""
    frames = report.get("frames")
    return files.picture_file(0, frames if isinstance(frames, int) else 1)


def _summary(report: dict[str, Any]) -> str:
    """What report.json says, in one line."""
    said = ["finished"]
    if isinstance(sprites := report.get("sprites"), int):
        said.append(f"{sprites:,} sprites")
    if isinstance(seconds := report.get("seconds"), (int, float)):
        said.append(duration(seconds))
    return f"{', '.join(said)}."


def _end(text: str) -> None:
    global task, _idle_since
    outcome.text = text
    task, _idle_since = None, time.monotonic()
    jobs.refresh()
    notices.status(text)


def duration(seconds: float) -> str:
    """A duration in words: "40 s", "3 min 5 s"."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@persistent
def _render_begins(*_: Any) -> None:
    global _rendering
    _rendering = True


@persistent
def _render_ends(*_: Any) -> None:
    global _rendering
    _rendering = False


@persistent
def _file_loaded(*_: Any) -> None:
    """A job goes on over File > New and File > Open: a scene without an output folder takes over the job's."""
    for scene in bpy.data.scenes if task else ():
        if task and not scene.smalti.output:
            scene.smalti.output = str(task.folder)


_HANDLERS = {
    "render_init": _render_begins,
    "render_complete": _render_ends,
    "render_cancel": _render_ends,
    "load_post": _file_loaded,
}


def register() -> None:
    """Begin to listen to renders and changes of file."""
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    """End the engine and stop listening."""
    for name, handler in _HANDLERS.items():
        found = getattr(bpy.app.handlers, name)
        if handler in found:
            found.remove(handler)
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    notices.unregister()
    close()
