# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension in other languages: the files of translations/, whose names are those of Blender's languages.

Blender translates labels, tooltips and items by itself. What the engine says stays English.
"""

from __future__ import annotations

from pathlib import Path

import bpy

from . import po_file
from .properties import CONTEXT

_FOLDER = Path(__file__).parent / "translations"
_CONTEXTS = ("*", "Operator", CONTEXT)  # of texts and tooltips, of buttons, and of properties


def translated(text: str) -> str:
    """A text that is the same always, in the language of Blender's interface; any other as it is."""
    return str(bpy.app.translations.pgettext_iface(text))


def register() -> None:
    """Add the languages."""
    languages = {
        path.stem: {(context, message): text for message, text in po_file.read(path).items() for context in _CONTEXTS}
        for path in sorted(_FOLDER.glob("*.po"))
    }
    bpy.app.translations.register(__package__, languages)


def unregister() -> None:
    """Take them away again."""
    bpy.app.translations.unregister(__package__)
