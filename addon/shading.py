# SPDX-License-Identifier: GPL-3.0-or-later
"""The materials of an imported composition: which there are, and which sprite has which."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import bpy

from . import composition as compositions
from . import levels, materials, meshes
from .bridge.errors import SmaltiError
from .bridge.folder import level_file
from .bridge.levels import margin_of
from .composition import Composition
from .imported import mark

TEMPLATE = "smalti_template"  # on a material: the name of its bitmap
BITMAP, REGION, LETTER = "smalti_bitmap", "smalti_region", "smalti_letter"
"""On a material: the index of its bitmap; the index of its region, and the code point of its letter, or -1."""


@dataclass(frozen=True)
class Shading:
    """Attributes:
    materials: every material that a sprite has, one for each bitmap.
    meshes: the mesh for each of them.
    of_sprite: int [N], the index among them for each sprite, bottom first.
    background: that of the background's plane; None for a transparent background.
    """

    materials: list[Any]
    meshes: list[Any]
    of_sprite: Any
    background: Any | None


def read(composition: Composition) -> dict[str, Any]:
    """The pictures of a composition by their names in it; all or none.

    Raises:
        SmaltiError: Blender cannot read one of them.
    """
    header, folder = composition.header, composition.folder
    own = materials.COLOUR_SPACE[header.blend_space]
    files = {
        level_file(k) if sheet else template.file: materials.NUMBERS if sheet else own
        for k, (template, sheet) in enumerate(zip(header.templates, composition.sheets))
    }
    if header.background != "transparent" and not header.background.startswith("#"):
        files[header.background] = own
    images: dict[str, Any] = {}
    try:
        for file, colour_space in files.items():
            images[file] = _image(folder / file, colour_space)
    except SmaltiError:
        bpy.data.batch_remove(list(images.values()))
        raise
    return images


def make(
    composition: Composition, images: dict[str, Any], longer_side: float, source: materials.Source = "object"
) -> Shading:
    """Make the materials of a composition out of the pictures of `read`.

    Args:
        longer_side: the canvas's, in Blender units.
        source: where each sprite's tint and opacity are.
    """
    header, name = composition.header, composition.name
    group = materials.sprite_group(f"{name} Sprite", header.colour_mix, header.shade, header.blend_space, source)
    size = ('OBJECT', "scale") if source == "object" else ('INSTANCER', materials.SIZE)
    coordinates = levels.coordinates_group(f"{name} Level of Detail", size)
    unit = compositions.unit(header, longer_side)
    made = []
    for k, (template, sheet) in enumerate(zip(header.templates, composition.sheets)):
        if sheet is None:
            bitmap = partial(materials.whole_bitmap, image=images[template.file])
        else:
            bitmap = partial(
                levels.sample,
                image=images[level_file(k)],
                sheet=sheet,
                group=coordinates,
                level=levels.level_of(sheet, unit),
            )
        luma = template.luma if header.shade else None
        made.append(materials.sprite_material(f"{name} {template.name}", group, luma, bitmap))
    squares = [
        meshes.square(f"{name} {template.name}", material, margin_of(sheet))
        for template, material, sheet in zip(header.templates, made, composition.sheets)
    ]
    regions = list(dict.fromkeys(template.region for template in header.templates if template.region))
    for index, (material, template) in enumerate(zip(made, header.templates)):
        material[BITMAP] = index
        material[REGION] = regions.index(template.region) if template.region else -1
        material[LETTER] = ord(template.letter[0]) if template.letter else -1
    background = None
    if header.background != "transparent":
        background = materials.background_material(f"{name} Background", images.get(header.background))
    for material, template in zip(made, header.templates):
        material[TEMPLATE] = template.name
    for item in (group, coordinates, *made, *squares, *images.values(), *filter(None, (background,))):
        mark(item, composition.folder)
    return Shading(made, squares, composition.arrays["template"], background)


def _image(path: Path, colour_space: str) -> Any:
    try:
        return materials.load_image(path, colour_space)
    except RuntimeError as fault:
        raise SmaltiError(f"{path}: Blender cannot read this picture.", "Fit the job again.", "bad_file") from fault
