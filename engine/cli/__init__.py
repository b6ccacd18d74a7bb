# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line. Exit status 0; 2 with one clear line on stderr for what a user can put right; 130 after Ctrl-C.

A command is a module here with a function `add`, named in `_COMMANDS`.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence

from ..errors import to_user_error
from ..memory import return_large_blocks
from . import bench, doctor, fit, handoff
from .commands import BAD_INPUT, INTERRUPTED, Commands

logger = logging.getLogger("smalti")

_COMMANDS = (fit, handoff, bench, doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    return_large_blocks()
    if options.run == _worker:  # it has streams and logs of its own
        return _worker(options)
    _make_streams_safe()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("smalti: %(message)s"))
    handler.setLevel(logging.INFO if options.verbose else logging.WARNING)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return 0  # the reader of stdout has left, which is no fault
    except Exception as fault:
        if (line := _line(fault, options)) is None:
            raise
        print(f"smalti: {line}", file=sys.stderr)
        return BAD_INPUT
    finally:
        logger.removeHandler(handler)
        try:
            sys.stdout.flush()
        except OSError:  # reported already: the interpreter must not trip over it again as it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _line(fault: Exception, options: argparse.Namespace) -> str | None:
    """What went wrong, in one line; None where the traceback says more."""
    known = to_user_error(fault)
    text = known.worded(options.name_of)
    if known.code == "internal":
        if options.verbose:
            return None
        text = f"{known.message} This is a fault in Smalti: run it again with --verbose and report what it says."
    return " ".join(text.splitlines())


def _make_streams_safe() -> None:
    """Let no closed stream, and no path that a stream's encoding does not know, end a command that did its work."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (it stays as it is)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    commands = Commands()
    for module in _COMMANDS:
        module.add(commands)
    commands.add("worker", _worker, "serve Blender over stdin and stdout (JSON lines)")
    return commands.parser


def _worker(options: argparse.Namespace) -> int:
    from .. import worker

    return worker.main()
