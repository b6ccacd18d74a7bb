# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from a file: plain, or lyrics with the times of their lines."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import MAX_COUNT, JobSpec

from ..errors import unreadable

LYRICS = ".lrc"
"""The ending of lyrics."""
_TIME = re.compile(r"\[\d+:\d+(?:[.:]\d+)?\]|<\d+:\d+(?:[.:]\d+)?>")
"""When a line, or a word within it, is sung."""
_TAG = re.compile(r"\[[A-Za-z#][^\]:]*:.*\]")
"""A whole line about the song: its artist, title and so on."""


def with_text(job: JobSpec) -> JobSpec:
    """The job with the text of its file, where it has one, in the place of `text`.

    Raises:
        SmaltiError: the file is missing, cannot be read, is not a text, or has no letter (code ``"text_missing"``,
            ``"text_unreadable"`` or ``"bad_text"``).
    """
    return job if job.text_file is None else replace(job, text=read_text(Path(job.text_file)), text_file=None)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8; of lyrics (``.lrc``) what is sung. Raises SmaltiError as `with_text`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as fault:
        raise SmaltiError(f"{path}: does not exist.", "Check the path of the text.", "text_missing") from fault
    except OSError as fault:
        if path.is_dir():
            raise SmaltiError(f"{path}: is a folder, not a text.", "Choose a file.", "text_unreadable") from fault
        raise unreadable(path, fault, "text_unreadable") from fault
    except UnicodeDecodeError as fault:
        raise SmaltiError(f"{path}: is not a text in UTF-8.", "Save it as UTF-8.", "bad_text") from fault
    if path.suffix.lower() == LYRICS:
        lines = (line.strip() for line in text.splitlines())
        text = "\n".join(_TIME.sub("", line) for line in lines if not _TAG.fullmatch(line))
    if not text.strip():
        raise SmaltiError(f"{path}: holds no text.", "Write some into it, or choose another file.", "bad_text")
    if len(text) > MAX_COUNT:
        raise SmaltiError(f"{path}: is longer than {MAX_COUNT:,} characters.", "Choose a shorter text.", "bad_text")
    return text
