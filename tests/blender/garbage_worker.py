# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that says what it should not. Arguments: what, one of `KINDS`, and a seed."""

import json
import os
import random
import sys
import time
from collections.abc import Callable

HELLO = {
    "type": "hello",
    "protocol": 1,
    "engine_version": "9.9.9",
    "device": "cpu",
    "devices": ["cpu"],
    "python": "3.11",
}


def say(**event: object) -> None:
    """Send an event as it should be."""
    write(json.dumps(event).encode() + b"\n")


def write(data: bytes) -> None:
    """Write all of `data`; the end where nobody listens any more."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(1, view) :]
    except OSError:
        sys.exit(1)


def greet() -> str:
    """Say Hello and wait for a job; returns its id."""
    say(**HELLO)
    return str(json.loads(sys.stdin.readline())["id"])


def random_bytes(chance: random.Random) -> None:
    """Random bytes instead of events."""
    greet()
    for _ in range(200):
        write(chance.randbytes(chance.randrange(1, 4000)))
        time.sleep(0.002)


def endless_line(_: random.Random) -> None:
    """A line that has no end."""
    greet()
    while True:
        write(b"x" * 1_000_000)


def flood(_: random.Random) -> None:
    """More lines than anyone can read."""
    greet()
    while True:
        write(b"no event\n" * 10_000)


def half(_: random.Random) -> None:
    """Half an event, and a closed pipe, by a process that lives on."""
    task = greet()
    write(b'{"type": "progress", "id": "' + task.encode())
    os.close(1)
    time.sleep(600)


def other_protocol(chance: random.Random) -> None:
    """A Hello of another version."""
    say(**HELLO | {"protocol": chance.choice([0, 2, 99, "two", None])})
    time.sleep(600)


def odd_events(chance: random.Random) -> None:
    """Events that nobody has asked for, with texts that no window can show; then the end."""
    task = greet()
    odd = ["\ud800", "a\0b", "\u202e", "x" * 100_000, "", "\n" * 50, "%s {0}"]
    for _ in range(100):
        text, owner = chance.choice(odd), chance.choice([task, "another", None])
        say(type="log", level="warning", message=text, id=owner)
        say(type="progress", id=str(owner), stage=text, done=-5, total=chance.choice([0, -1, 10**30]))
        say(type="preview", id=str(owner), path=text)
        say(type="result", id="another", path=text, report={"frames": text, "seconds": text})
        write(b"[" * 100_000 + b"\n")


def silence(_: random.Random) -> None:
    """Not even a Hello."""
    time.sleep(600)


def deafness(_: random.Random) -> None:
    """A Hello, and then not a word, whatever is asked."""
    greet()
    time.sleep(600)


KINDS: dict[str, Callable[[random.Random], None]] = {
    each.__name__: each
    for each in (random_bytes, endless_line, flood, half, other_protocol, odd_events, silence, deafness)
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](random.Random(int(sys.argv[2])))
