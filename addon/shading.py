# SPDX-License-Identifier: GPL-3.0-or-later
"""The materials of an imported composition: which there are, and which sprite has which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from . import materials
from .bridge.errors import SmaltiError
from .composition import Composition
from .imported import mark

TEMPLATE = "smalti_template"  # on a material: the name of its bitmap


@dataclass(frozen=True)
class Shading:
    """Attributes:
    materials: every material that a sprite has.
    of_sprite: int [N], the index among them for each sprite, bottom first.
    background: that of the background's plane; None for a transparent background.
    """

    materials: list[Any]
    of_sprite: Any
    background: Any | None


def read(composition: Composition) -> dict[str, Any]:
    """The pictures of a composition by their names in it; all or none.

    Raises:
        SmaltiError: Blender cannot read one of them.
    """
    header, folder = composition.header, composition.folder
    files = [template.file for template in header.templates]
    if header.background != "transparent" and not header.background.startswith("#"):
        files.append(header.background)
    images: dict[str, Any] = {}
    try:
        for file in files:
            images[file] = _image(folder / file, header.blend_space)
    except SmaltiError:
        bpy.data.batch_remove(list(images.values()))
        raise
    return images


def make(composition: Composition, images: dict[str, Any], source: materials.Source = "object") -> Shading:
    """Make the materials of a composition out of the pictures of `read`.

    Args:
        source: where each sprite's tint and opacity are.
    """
    header = composition.header
    group = materials.sprite_group(f"{composition.name} Sprite", header.colour_mix, header.shade, source)
    mark(group, composition.folder)
    made = [
        materials.sprite_material(
            f"{composition.name} {template.name}",
            images[template.file],
            group,
            template.luma if header.shade else None,
        )
        for template in header.templates
    ]
    background = None
    if header.background != "transparent":
        background = materials.background_material(f"{composition.name} Background", images.get(header.background))
    for material, template in zip(made, header.templates):
        material[TEMPLATE] = template.name
    for item in (*made, *images.values(), *filter(None, (background,))):
        mark(item, composition.folder)
    return Shading(made, composition.arrays["template"], background)


def _image(path: Path, space: Any) -> Any:
    try:
        return materials.load_image(path, space)
    except RuntimeError as fault:
        raise SmaltiError(f"{path}: Blender cannot read this picture.", "Fit the job again.", "bad_file") from fault
