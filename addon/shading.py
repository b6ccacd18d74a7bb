# SPDX-License-Identifier: GPL-3.0-or-later
"""The materials of an imported composition: which there are, and which sprite has which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import bpy
import numpy as np

from . import composition as compositions
from . import edits, levels, materials, meshes, sources
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
    of_sprite: int [N], the index among them for each sprite, bottom first.
    meshes: every mesh that a sprite has, with its material.
    mesh_of_sprite: int [N], the index among those.
    background: that of the background's plane; None for a transparent background.
    """

    materials: list[Any]
    of_sprite: Any
    meshes: list[Any]
    mesh_of_sprite: Any
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
    composition: Composition,
    images: dict[str, Any],
    longer_side: float,
    source: materials.Source = "object",
    cut: bool = False,
    edited: Mapping[str, Any] = MappingProxyType({}),
) -> Shading:
    """Make the materials of a composition out of the pictures of `read`.

    Args:
        longer_side: the canvas's, in Blender units.
        source: where each sprite's tint and opacity are.
        cut: whether meshes are cut along the outlines of bitmaps.
        edited: of `edits.edited`: what the artist made of the materials of an earlier import, to be kept where it fits.
    """
    header, name = composition.header, composition.name
    like = (header.colour_mix, header.shade, header.blend_space)
    group = _kept_or(
        edited,
        f"formula {like}",
        f"{name} Sprite",
        partial(materials.sprite_group, mix=like[0], shade=like[1], space=like[2], source=source),
    )
    size = ('OBJECT', "scale") if source == "object" else ('INSTANCER', materials.SIZE)
    coordinates = levels.coordinates_group(f"{name} Level of Detail", size)
    made = _sprite_materials(composition, images, compositions.unit(header, longer_side), (group, coordinates), edited)
    if edited:
        sources.let_read(made, source)
    _describe(made, composition)
    background = None
    if header.background != "transparent":
        background = _kept_or(
            edited,
            f"background {header.background} {header.blend_space}",
            f"{name} Background",
            partial(materials.background_material, image=images.get(header.background), space=header.blend_space),
        )
    for item in (group, coordinates, *made, *images.values(), *filter(None, (background,))):
        mark(item, composition.folder)
    of_sprite = composition.arrays["template"]
    found, mesh_of_sprite = _cut(composition, images, made) if cut else (_squares(composition, made), of_sprite)
    for mesh in found:
        mark(mesh, composition.folder)
    return Shading(made, of_sprite, found, mesh_of_sprite, background)


def _sprite_materials(
    composition: Composition,
    images: dict[str, Any],
    unit: float,
    groups: tuple[Any, Any],
    edited: Mapping[str, Any],
) -> list[Any]:
    """The material of each bitmap. `unit`: Blender units per canvas pixel."""
    header, name = composition.header, composition.name
    group, coordinates = groups
    made = []
    for k, (template, sheet) in enumerate(zip(header.templates, composition.sheets)):
        level = levels.level_of(sheet, unit) if sheet else 0.0
        image = images[level_file(k) if sheet else template.file]
        if sheet is None:
            bitmap = partial(materials.whole_bitmap, image=image)
        else:
            bitmap = partial(levels.sample, image=image, sheet=sheet, group=coordinates, level=level)
        luma = template.luma if header.shade else None
        material = _kept_or(
            edited,
            f"bitmap {template.name} {sheet} {level} {luma}",
            f"{name} {template.name}",
            partial(materials.sprite_material, group=group, luma=luma, bitmap=bitmap),
        )
        materials.renew(material, group, coordinates, image)
        made.append(material)
    return made


def _kept_or(edited: Mapping[str, Any], purpose: str, name: str, make: Callable[[str], Any]) -> Any:
    """The one that the artist has edited for a purpose; where there is none, a new one."""
    found = edited.get(purpose)
    if found is None:
        found = make(name)
        edits.seal(found, purpose)
    found.name = name
    return found


def _describe(made: list[Any], composition: Composition) -> None:
    """Let each material say which bitmap it is of."""
    templates = composition.header.templates
    regions = list(dict.fromkeys(template.region for template in templates if template.region))
    for index, (material, template) in enumerate(zip(made, templates)):
        material[TEMPLATE], material[materials.FILE] = template.name, template.file
        material[BITMAP] = index
        material[REGION] = regions.index(template.region) if template.region else -1
        material[LETTER] = ord(template.letter[0]) if template.letter else -1


def _squares(composition: Composition, made: list[Any]) -> list[Any]:
    """A square for each bitmap and its material."""
    return [
        meshes.square(f"{composition.name} {template.name}", material, margin_of(sheet))
        for template, material, sheet in zip(composition.header.templates, made, composition.sheets)
    ]


def _cut(composition: Composition, images: dict[str, Any], made: list[Any]) -> tuple[list[Any], Any]:
    """A mesh for each bitmap in each of its sizes, and which each sprite has: the more a bitmap is reduced, the softer
    its outline is, and the farther out it must be cut."""
    header, sheets = composition.header, composition.sheets
    pairs = np.stack((composition.arrays["template"], compositions.coarsest_levels(composition)), -1)
    different, of_sprite = np.unique(pairs, axis=0, return_inverse=True)
    found = []
    for index, level in different.tolist():
        sheet, template = sheets[index], header.templates[index]
        alpha = meshes.alpha_of(images[level_file(index) if sheet else template.file], sheet, level)
        found.append(meshes.cut(f"{composition.name} {template.name} {level + 1}", made[index], alpha))
    return found, of_sprite.reshape(-1)


def _image(path: Path, colour_space: str) -> Any:
    try:
        return materials.load_image(path, colour_space)
    except RuntimeError as fault:
        raise SmaltiError(f"{path}: Blender cannot read this picture.", "Fit the job again.", "bad_file") from fault
