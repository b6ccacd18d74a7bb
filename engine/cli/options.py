# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that describe a job. They follow from the rows of `smalti.bridge.job.JobSpec`; so does the job."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from smalti.bridge.choices import READING
from smalti.bridge.errors import SmaltiError, bad_setting, named, worded
from smalti.bridge.job import JobSpec, setting_at
from smalti.bridge.looks import in_look
from smalti.bridge.settings import Setting, settings_of

from .number_argument import DECIBELS, decibels, length, read_numbers
from .palette_argument import read_palette
from .region_argument import key_of, read_region, syntax

POSITIONAL = "target"
"""The one setting without an option."""
REPEATED = {
    "regions": "as {syntax}, with what stands in brackets as you like; several times for several regions; "
    "{count} 0 rebuilds the regions alone",
}
"""Settings whose option is given once for each, and what else their help says."""
READERS: dict[str, Callable[[Any], Any]] = {
    "bitmap_weights": partial(read_numbers, "bitmap_weights"),
    "palette": read_palette,
    "regions": lambda given: tuple(map(read_region, given)),
}
"""Settings that are made of what was typed by more than a change of type. They see it only when all options are known
to be good, because they may open files."""
MORE_HELP = {"palette": "; or a file of them: a GIMP palette (.gpl), or a text with one a line"}
"""What only the command line can do."""


def option_of(key: str) -> str:
    """What the command line calls the setting with a key as in `smalti.bridge.errors.named`."""
    one = setting_at(key)
    if "." in key:
        return key_of(one)
    return key if key == POSITIONAL else one.option


def add_positional(parser: argparse.ArgumentParser) -> None:
    """The argument without an option."""
    one = settings_of(JobSpec)[POSITIONAL]
    parser.add_argument(one.name, metavar=one.metavar, help=_help(one))


def add_options(parser: argparse.ArgumentParser) -> None:
    """One option for each other setting; one that is not given leaves the setting's own default."""
    for name, one in settings_of(JobSpec).items():
        if name == POSITIONAL:
            continue
        if name in REPEATED or one.several:
            parser.add_argument(one.option, dest=name, metavar=one.metavar, action="append", help=_help(one))
        elif one.kind is bool:
            parser.add_argument(one.option, dest=name, action="store_true", default=None, help=_help(one))
        elif one.choices is not None:
            parser.add_argument(one.option, dest=name, choices=list(one.choices), help=_help(one))
        else:
            kind: Callable[[str], Any] = one.kind if one.is_number else str
            if one.is_length:
                kind = length
            elif one.unit == DECIBELS:
                kind = decibels
            parser.add_argument(one.option, dest=name, type=kind, metavar=one.metavar, help=_help(one))


def _help(one: Setting) -> str:
    """What an option does, the range of its values and its default."""
    text = _begun_small(worded(one.help, option_of)) + MORE_HELP.get(one.name, "")
    if one.choices is not None:
        text += ": " + ", ".join(f"{name} ({_begun_small(choice.help)})" for name, choice in one.choices.items())
    if one.name in REPEATED:
        text += ": " + REPEATED[one.name].format(syntax=syntax(), count=option_of("count"))
    if one.several:
        text += "; give it several times for several"
    default = _default(one)
    notes = [note for note in (one.range, f"default: {default}" if default else "") if note]
    text += f" ({'; '.join(notes)})" if notes else ""
    return text.replace("%", "%%")


def _default(one: Setting) -> str:
    """What a setting is where its option is not given; empty where that goes without saying."""
    if one.default is None:
        return worded(one.none, option_of)
    if one.kind in (bool, tuple):
        return ""
    return f"{one.default:g}" if one.kind is float else str(one.default)


def _begun_small(text: str) -> str:
    first = text.split()[0]
    return text if len(first) > 1 and first.isupper() else text[0].lower() + text[1:]


def job_of(options: argparse.Namespace) -> JobSpec:
    """The job that the options describe.

    Raises:
        SmaltiError: a setting cannot be; its message has settings `named`.
    """
    given = {name: getattr(options, name) for name in settings_of(JobSpec) if getattr(options, name) is not None}
    for name, values in given.items():
        if settings_of(JobSpec)[name].several:
            given[name] = values[0] if len(values) == 1 else tuple(values)
    for name, read in READERS.items():
        if name in given:
            given[name] = read(given[name])
    job = JobSpec(**in_look(given))
    if job.needs_bitmaps and job.primitives is None and job.text is None and job.text_file is None:
        raise SmaltiError(
            "There is nothing to build with.",
            f"Give {named('primitives')} FOLDER, {named('text')} TEXT, or both.",
            "bad_setting",
            setting="primitives",
        )
    follows = job.start is not None or job.grid is not None or job.text_order == READING
    if "count" in given and follows:  # it would pass unseen
        rule = f"left out with {named('start')}, {named('grid')} and a text in reading order"
        raise bad_setting("count", job.count, rule)
    if "text_split" in given and job.text is None and job.text_file is None:  # likewise
        raise bad_setting("text_split", job.text_split, "left out where no text is given")
    return job.checked()
