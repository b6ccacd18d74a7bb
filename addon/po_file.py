# SPDX-License-Identifier: GPL-3.0-or-later
"""Translations in the format of gettext, one line for each text, as programs for translators write it."""

from __future__ import annotations

import ast
from pathlib import Path


def read(path: Path) -> dict[str, str]:
    """The translations of a file: message -> what it is in the file's language; those left empty are not there.

    Raises:
        OSError: it cannot be read.
        ValueError: a line is no text in quotes.
    """
    found: dict[str, str] = {}
    message = translated = ""
    kind = ""
    for line in [*path.read_text(encoding="utf-8").splitlines(), "msgid"]:
        word, _, text = line.strip().partition(" ")
        if word == "msgid":
            if message and translated:
                found[message] = translated
            kind, message, translated = word, _unquoted(text), ""
        elif word == "msgstr":
            kind, translated = word, _unquoted(text)
        elif line.startswith('"'):  # the text goes on
            if kind == "msgid":
                message += _unquoted(line)
            else:
                translated += _unquoted(line)
    return found


def _unquoted(text: str) -> str:
    try:
        return str(ast.literal_eval(text.strip())) if text.strip() else ""
    except SyntaxError as fault:
        raise ValueError(f"{text}: is no text in quotes.") from fault


def written(message: str, translated: str = "") -> str:
    """The lines of one entry."""
    return f"msgid {_quoted(message)}\nmsgstr {_quoted(translated)}\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
