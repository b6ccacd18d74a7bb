# SPDX-License-Identifier: GPL-3.0-or-later
"""What all commands share: the parser, exit statuses, and checks of files that are to be written."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from smalti.bridge.errors import NameOf, SmaltiError, last_part
from smalti.bridge.version import VERSION

BAD_INPUT = 2
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Reports an error in one line, as every command does."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        self.exit(BAD_INPUT, f"smalti: {message} (see {self.prog} --help)\n")


class Commands:
    """The command line's parser, to which commands are added one by one."""

    def __init__(self) -> None:
        self.parser = Parser(
            prog="smalti", description="Rebuild a picture or frames out of your own bitmaps, as layers."
        )
        self.parser.add_argument("--version", action="version", version=f"smalti {VERSION}")
        self._added = self.parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(
        self,
        name: str,
        run: Callable[[argparse.Namespace], int],
        help: str,
        description: str | None = None,
        epilog: str | None = None,
        name_of: NameOf = last_part,
    ) -> argparse.ArgumentParser:
        """A new command.

        Args:
            name: what is typed.
            run: does it, given the parsed options; returns the exit status.
            help: a phrase for the list of commands.
            description, epilog: above and below the command's own help.
            name_of: what its error messages call settings.
        """
        parser = self._added.add_parser(name, help=help, description=description, epilog=epilog)
        add_verbose(parser)
        parser.set_defaults(run=run, name_of=name_of)
        return parser


def add_verbose(parser: argparse.ArgumentParser, default: bool | str = False) -> None:
    """The option that every command has; `default` as argparse takes it."""
    parser.add_argument("-v", "--verbose", action="store_true", default=default, help="say what is chosen and done")


def check_ending(ending: str, path: Path | None, why: str) -> None:
    """See that a file's name does not promise another kind of file than the one that is written."""
    if path is not None and path.suffix.lower() != ending:
        hint = f"Give a name that ends in {ending}." if ending else "Give the name of a folder."
        raise SmaltiError(f"{path}: {why}.", hint, "bad_setting")


def check_folder(*files: Path | None) -> None:
    """Report now, not after a minute of work, that a file's folder is missing."""
    for path in files:
        if path is not None and not path.absolute().parent.is_dir():
            raise SmaltiError(f"{path}: its folder does not exist.", "Create it first.", "cannot_write")


def check_range(option: str, value: float, low: float, high: float) -> None:
    """See that an option that is no setting of a job is within its range."""
    if not low <= value <= high:
        raise SmaltiError(f"{option} is {value:g}, but must be from {low:,} to {high:,}.", code="bad_setting")
