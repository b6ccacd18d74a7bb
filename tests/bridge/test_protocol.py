# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages on the wire."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import pytest

from smalti.bridge.errors import SmaltiError, named
from smalti.bridge.pipes import LineQueue, read_lines, write_all
from smalti.bridge.protocol import (
    EVENTS,
    REQUESTS,
    Cancel,
    Cancelled,
    Cancelling,
    Error,
    Estimate,
    Export,
    Fit,
    Hello,
    Log,
    Preview,
    Progress,
    Result,
    Resume,
    Shutdown,
    decode,
    encode,
)

MESSAGES: list[Any] = [
    Fit("1", {"target": "a", "count": 3}, "/out", overwrite=True),
    Resume("1", "/out"),
    Export("1", "/job", "psd"),
    Export("1", "/job", "psd", "/elsewhere/layers.psd"),
    Estimate("1", {"target": "a", "count": 3}),
    Cancel("1"),
    Shutdown(),
    Hello(1, "0.1.0", "cpu", ("cpu", "reference"), "3.11.2"),
    Hello(1, "0.1.0", "cpu", ("cpu", "reference"), "3.11.2", 2),
    Progress("1", "fit", 3, 10, 0.25, 12.5),
    Progress("1", "fit", 3, 10),
    Preview("1", "/out/preview.png"),
    Log("warning", "leaf.png was skipped.", "1"),
    Result("1", "/out", {"psnr": 24.5, "device": "cpu"}),
    Cancelling("1"),
    Cancelled("1"),
    Error("bad_file", "leaf.png: is cut off.", "Restore it.", "1"),
    Error("bad_setting", "size is 5.", "", "1", (f"{named('size')} is 5.", "")),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_comes_back_as_it_was_sent(message: Any) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line, {**REQUESTS, **EVENTS}) == message


def test_every_kind_of_message_is_tested_above() -> None:
    assert {type(message) for message in MESSAGES} == {*REQUESTS.values(), *EVENTS.values()}


@pytest.mark.parametrize(
    "text",
    [
        "Ärger",
        "猫",
        "😀",
        "two\nlines\r\n",
        "\u2028\u2029\x85",
        "\udce4 as in a Latin-1 file name",
        "\ud800 Windows",
        "\0",
    ],
)
def test_any_text_survives_the_wire_in_one_line(text: str) -> None:
    line = encode(Preview("1", text))
    assert line.splitlines() == [line.rstrip(b"\n")]
    assert decode(line, EVENTS).path == text


def test_a_client_of_before_is_sent_the_keys_that_it_knows() -> None:
    error = Error("bad_setting", "size is 5.", "Ask for more.", "1", (f"{named('size')} is 5.", "Ask for more."))
    assert json.loads(encode(error, revision=0)) == {
        "type": "error", "code": "bad_setting", "message": "size is 5.", "hint": "Ask for more.", "id": "1",
    }  # fmt: skip
    assert error.worded(str.upper) == ("SIZE is 5.", "Ask for more.")
    of_before = decode(encode(error, revision=0), EVENTS)
    assert of_before.worded(str.upper) == ("size is 5.", "Ask for more.")


def test_a_number_that_is_not_finite_is_not_sent() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode(Result("1", "/out", {"psnr": float("inf")}))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"hello", "not a message"),
        (b"", "not a message"),
        (b"{", "not a message"),
        (b"\xff\xfe\x00", "not a message"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "not a known message"),
        (b"7", "not a known message"),
        (b"{}", "not a known message"),
        (b'{"type": 7}', "not a known message"),
        (b'{"type": []}', "not a known message"),
        (b'{"type": {}}', "not a known message"),
        (b'{"type": "dance", "id": "1"}', "not a known message"),
        (b'{"type": "hello", "id": "1"}', "not a known message"),
        (b'{"type": "cancel"}', "'id' is missing"),
        (b'{"type": "cancel", "id": 7}', "'id' must be a text"),
        (b'{"type": "cancel", "id": "1", "why": ""}', "unknown key 'why'"),
        (b'{"type": "fit", "id": "1", "job": [], "out": "/o"}', "'job' must be an object"),
        (b'{"type": "fit", "id": "1", "job": {"colour_mix": NaN}, "out": "/o"}', "NaN"),
    ],
)
def test_a_line_that_is_no_request_is_named(line: bytes, expected: str) -> None:
    with pytest.raises(SmaltiError, match=expected) as caught:
        decode(line, REQUESTS)
    assert caught.value.code == "bad_message"
    assert len(caught.value.message) < 400


def test_lines_are_whole_however_the_pipe_cuts_them() -> None:
    lines = [b"one", b"", b"x" * 1_000_000, b"\xe7\x8c\xab", b"rest without a line feed"]
    data = b"\n".join(lines)
    read_end, write_end = os.pipe()

    def write() -> None:
        for start, end in ((0, 1), (1, 3), (3, 7), (7, 70_000), (70_000, len(data))):
            write_all(write_end, data[start:end])
        os.close(write_end)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert list(read_lines(read_end)) == lines
    finally:
        writer.join()
        os.close(read_end)


def test_a_line_without_an_end_counts_as_the_end() -> None:
    read_end, write_end = os.pipe()
    write_all(write_end, b"one\n" + b"x" * 60_000)
    os.close(write_end)
    assert list(read_lines(read_end, longest=1000)) == [b"one", b"x" * 60_000]
    os.close(read_end)


def test_lines_wait_until_there_is_room_for_them() -> None:
    queue = LineQueue(2)
    added: list[Any] = []
    thread = threading.Thread(target=lambda: added.extend(queue.put(b"%d" % n) for n in range(5)))
    thread.start()
    taken: list[bytes | None] = []
    while len(taken) < 3:
        lines = queue.take(1)
        assert len(lines) <= 1
        taken += lines
    queue.drop()
    thread.join(10)
    assert not thread.is_alive()
    assert taken == [b"0", b"1", b"2"]
    assert queue.take(10) == []
    assert not queue.put(b"late")
