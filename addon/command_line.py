# SPDX-License-Identifier: GPL-3.0-or-later
"""Smalti's command line in Blender's: ``blender --command smalti fit picture.png --primitives leaves --out job``."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import bpy

from . import preferences
from .bridge.engine_place import environment

_NO_ENGINE = 2  # exit status, as that of the engine where something can be put right
_commands: list[Any] = []


def run(arguments: list[str]) -> int:
    """Run a command with the engine that the preferences name; returns its exit status."""
    place = preferences.engine_place()
    if place is None:
        text = "This build of the extension comes without an engine: choose one in its preferences."
        print(f"smalti: {text}", file=sys.stderr)
        return _NO_ENGINE
    sys.stdout.flush()
    try:
        process = subprocess.Popen(place.command_line(arguments or ["--help"]), env=environment())
    except OSError as fault:
        print(f"smalti: {place.python}: cannot be started ({fault.strerror or fault}).", file=sys.stderr)
        return _NO_ENGINE
    while True:
        try:
            status = process.wait()
        except KeyboardInterrupt:  # which the engine hears too, and keeps what it has
            continue
        return status if status >= 0 else 128 - status


def register() -> None:
    """Add the command ``smalti``."""
    _commands.append(bpy.utils.register_cli_command("smalti", run))


def unregister() -> None:
    """Take it away again."""
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
