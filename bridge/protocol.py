# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages between a client (Blender, a script) and the engine's worker.

One message is one line of JSON in UTF-8: requests go to the worker's stdin, events come from its stdout. Each dataclass
below is one kind of message; its ``type`` on the wire is the name in `REQUESTS` or `EVENTS`. The worker says `Hello`
first, works on one request at a time in the order of arrival, and answers every request that has an ``id`` with any
number of `Progress`, `Preview` and `Log` and exactly one of `Result`, `Cancelled` and `Error`. It answers `Estimate`
beside that work, while there is none.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import NameOf, SmaltiError, worded
from .schema import from_mapping, parse_json

PROTOCOL = 1
REVISION = 3
"""Additions to this version of the protocol: 1, `Error.marked`; 2, `Estimate` and `Hello.revision`; 3,
`Hello.device_reason`. Worker and client may differ in revision. A client sets `REVISION_VARIABLE` in the worker's
environment to the revision that it reads, and the worker sends nothing newer; one that sets nothing reads revision 0. A
client sends nothing newer than what the worker's Hello says."""
REVISION_VARIABLE = "SMALTI_PROTOCOL_REVISION"


@dataclass(frozen=True)
class Fit:
    """Start a job. `job` is the mapping of a `JobSpec`; `out` the folder to create (see `run_job`)."""

    id: str
    job: dict[str, Any]
    out: str
    overwrite: bool = False


@dataclass(frozen=True)
class Resume:
    """Go on with the job in the folder `out` from its last checkpoint."""

    id: str
    out: str


@dataclass(frozen=True)
class Export:
    """Write a hand-off file of the finished job in the folder `job`, to `path` or under the format's usual name."""

    id: str
    job: str
    format: str
    path: str | None = None


@dataclass(frozen=True)
class Estimate:
    """How long the job with the mapping `job` would take here.

    The `Result` has no path, and its report ``seconds`` and, where the system tells, ``memory_mb`` at most. Any other
    request, a later `Estimate` too, ends it with `Cancelled`.
    """

    id: str
    job: dict[str, Any]


@dataclass(frozen=True)
class Cancel:
    """Stop the request `id`; a fit keeps the best so far. Acknowledged at once by `Cancelling`."""

    id: str


@dataclass(frozen=True)
class Shutdown:
    """Leave (the same as closing the worker's stdin)."""


@dataclass(frozen=True)
class Hello:
    """The worker is ready. `device` is what ``auto`` means here, `devices` all that a job can request.

    `revision` is what the worker reads, 0 for workers that do not say it; `device_reason` why `device` is what it is,
    in a sentence or two, empty for workers that do not say it.
    """

    protocol: int
    engine_version: str
    device: str
    devices: tuple[str, ...]
    python: str
    revision: int = field(default=0, metadata={"revision": 2})
    device_reason: str = field(default="", metadata={"revision": 3})


@dataclass(frozen=True)
class Progress:
    """How far a request is: `done` of `total` steps of the stage, the loss if there is one, seconds to go if known."""

    id: str
    stage: str
    done: int
    total: int
    loss: float | None = None
    eta: float | None = None


@dataclass(frozen=True)
class Preview:
    """A picture of the job so far was written to `path`."""

    id: str
    path: str


@dataclass(frozen=True)
class Log:
    """A message for the user: a bitmap that was skipped, a setting that was chosen."""

    level: Literal["info", "warning"]
    message: str
    id: str | None = None


@dataclass(frozen=True)
class Result:
    """Done. `path` is the job folder (fit, resume) or the file (export), `report` what report.json says."""

    id: str
    path: str
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cancelling:
    """The cancel of `id` was heard; `Cancelled` follows when its files are written."""

    id: str


@dataclass(frozen=True)
class Cancelled:
    """A request was stopped. `path` is a valid job folder with the best so far, or None if nothing was kept."""

    id: str
    path: str | None = None
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Error:
    """A request failed (`id`), or the worker could not read a line (`id` None).

    `marked` is message and hint with every setting `named`, where they name any.
    """

    code: str
    message: str
    hint: str = ""
    id: str | None = None
    marked: tuple[str, str] | None = field(default=None, metadata={"revision": 1})

    def worded(self, name_of: NameOf) -> tuple[str, str]:
        """Message and hint, with the names that the client has for settings."""
        message, hint = self.marked or (self.message, self.hint)
        return worded(message, name_of), worded(hint, name_of)


Request = Fit | Resume | Export | Estimate | Cancel | Shutdown
Event = Hello | Progress | Preview | Log | Result | Cancelling | Cancelled | Error
REQUESTS: dict[str, type] = {
    "fit": Fit,
    "resume": Resume,
    "export": Export,
    "estimate": Estimate,
    "cancel": Cancel,
    "shutdown": Shutdown,
}
EVENTS: dict[str, type] = {
    "hello": Hello,
    "progress": Progress,
    "preview": Preview,
    "log": Log,
    "result": Result,
    "cancelling": Cancelling,
    "cancelled": Cancelled,
    "error": Error,
}
_NAMES = {kind: name for name, kind in {**REQUESTS, **EVENTS}.items()}


def encode(message: Request | Event, revision: int = REVISION) -> bytes:
    """One message as a line of JSON, with its line feed, for a reader of this revision.

    Raises:
        ValueError: the message holds a number that is not finite.
    """
    known = {f.name for f in dataclasses.fields(message) if f.metadata.get("revision", 0) <= revision}
    values = {name: value for name, value in dataclasses.asdict(message).items() if name in known}
    mapping = {"type": _NAMES[type(message)], **values}
    # ASCII escapes, because any text survives them: also file names with lone surrogates, which UTF-8 cannot hold.
    return json.dumps(mapping, allow_nan=False).encode("ascii") + b"\n"


def decode(line: bytes, kinds: dict[str, type]) -> Any:
    """The message in one line, one of `kinds` (`REQUESTS` or `EVENTS`).

    Raises:
        SmaltiError: code ``"bad_message"``: not JSON, unknown type, unknown or missing key, wrong type of a value.
    """
    text = line.decode("utf-8", "surrogateescape").strip()
    try:
        data = parse_json(text)
    except ValueError as fault:
        raise SmaltiError(f"not a message: {text[:120]!r} ({fault}).", code="bad_message") from fault
    if not isinstance(data, dict) or not isinstance(data.get("type"), str) or data["type"] not in kinds:
        raise SmaltiError(f"not a known message: {text[:120]!r}.", code="bad_message")
    kind = kinds[data.pop("type")]
    try:
        return from_mapping(kind, data, f"message {kind.__name__}")
    except SmaltiError as fault:
        raise SmaltiError(fault.message, fault.hint, "bad_message") from fault


def other_protocol(line: bytes) -> str | None:
    """The protocol number in the Hello of another version, whose keys need not be ours; None for any other line."""
    try:
        data = parse_json(line.decode("utf-8"))
    except ValueError:
        return None
    if not isinstance(data, dict) or data.get("type") != "hello" or data.get("protocol") == PROTOCOL:
        return None
    return str(data.get("protocol"))
