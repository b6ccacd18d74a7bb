# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-off formats. One is a row here, and for one frame the module of that name in engine/export, which writes it.

The option of ``smalti export``, for one frame the button in Blender, and the file's name follow from the row.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """One hand-off format.

    Attributes:
        label: what the panel calls it.
        title: what it is, for help texts: "Write the job as ...".
        file_name: the file's usual name in the job folder.
    """

    label: str
    title: str
    file_name: str


FORMATS: dict[str, Format] = {
    "psd": Format("PSD", "a layered PSD for Photoshop and other image editors", "layers.psd"),
}
"""Of one frame."""

FILMS: dict[str, Format] = {
    "mp4": Format("MP4", "a film for every player (H.264, without transparency)", "film.mp4"),
    "webm": Format("WebM", "a film with transparency for the web (VP9)", "film.webm"),
    "mov": Format("MOV", "a film with transparency for editing (ProRes 4444)", "film.mov"),
    "gif": Format("GIF", "an animated GIF, of 255 colors", "film.gif"),
    "webp": Format("WebP", "an animated WebP, with transparency", "film.webp"),
    "png": Format("PNG", "a folder of pictures, one for each frame", "film"),
}
"""Of all frames. `smalti.engine.export.film` writes them, and smalti export has an option for each."""
