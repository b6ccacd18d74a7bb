# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-off formats. One is a row here and the module of that name in engine/export, which writes it.

The option of ``smalti export``, the button in Blender and the file's name follow from the row.
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
