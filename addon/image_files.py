# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's images as files that the engine reads, with the colors that the artist sees."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy

from .bridge.errors import SmaltiError
from .compat import image_settings_kept, write_pictures
from .jobs import home
from .picture_files import PICTURES

_OF_A_SCENE = {'RENDER_RESULT', 'COMPOSITING'}  # types of images that are seen as the scene's view has it
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')


def folder(name: str) -> str:
    """A folder for files that are made for jobs, as the artist's path of it; beside the Blender file if it is saved."""
    return f"//smalti/{name}" if bpy.data.filepath else str(home() / name)


def new_folder(name: str) -> str:
    """The path of such a folder that is not there yet."""
    number = 1
    while os.path.exists(bpy.path.abspath(path := folder(f"{name}{f' {number}' if number > 1 else ''}"))):
        number += 1
    return path


def file_name(name: str) -> str:
    """A name of a datablock as that of a file, without an ending."""
    stem, ending = os.path.splitext(name)
    return (
        _NOT_IN_NAMES.sub("_", stem if ending.lower() in PICTURES | {".exr", ".hdr"} else name).strip(" .") or "image"
    )


def path_of(image: Any) -> str | None:
    """The path of an image's file, as the artist's, where the file is what is seen; None where it must be written."""
    shows_file = (
        image.source == 'FILE'
        and not image.is_dirty
        and image.packed_file is None
        and not image.is_float
        and not image.use_view_as_render
        and image.alpha_mode in {'STRAIGHT', 'CHANNEL_PACKED'}
        and (image.colorspace_settings.is_data or image.colorspace_settings.name == "sRGB")
        and os.path.splitext(image.filepath)[1].lower() in PICTURES
    )
    path = bpy.path.abspath(image.filepath, library=image.library)
    if not shows_file or not os.path.isfile(path):
        return None
    return str(image.filepath if image.library is None else path)


def write(image: Any, scene: Any, path: Path) -> None:
    """Write an image as PNG: with its alpha, in the colors in which Blender's editor of images shows it.

    Raises:
        SmaltiError: it has no pixels, or the file cannot be written.
    """
    if image.type not in _OF_A_SCENE and not all(image.size):
        where = f": {image.filepath} cannot be read" if image.filepath else ""
        raise SmaltiError(f"The image {image.name} has no pixels{where}.", "Reload it, or choose another.")
    with _writer(scene, image) as writer:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save_render(str(path), scene=writer)
        except (OSError, RuntimeError) as fault:
            if image.type in _OF_A_SCENE:
                raise SmaltiError("There is no rendered picture yet.", "Render first.") from fault
            raise SmaltiError(f"The image {image.name} cannot be written to {path} ({fault}).") from fault
    if not path.is_file():
        raise SmaltiError(f"The image {image.name} cannot be written to {path}.", "Reload it, or choose another.")


@contextmanager
def _writer(scene: Any, image: Any) -> Iterator[Any]:
    """A scene to write an image with. The artist's is as it was afterwards."""
    if image.type in _OF_A_SCENE:  # which Blender finds by its scene
        images, dither = scene.render.image_settings, scene.render.dither_intensity
        kept = [(name, getattr(images, name)) for name in image_settings_kept(images)]
        try:
            write_pictures(images)
            scene.render.dither_intensity = 0.0
            yield scene
        finally:
            scene.render.dither_intensity = dither
            for name, value in kept:
                setattr(images, name, value)
        return
    writer = scene.copy()
    try:
        write_pictures(writer.render.image_settings)
        writer.render.dither_intensity = 0.0
        if not image.use_view_as_render:
            view = writer.view_settings
            view.view_transform, view.look, view.exposure, view.gamma = 'Standard', 'None', 0.0, 1.0
            view.use_curve_mapping = False
        yield writer
    finally:
        bpy.data.scenes.remove(writer)


def written(image: Any, scene: Any, parent: str) -> str:
    """Write an image into a folder, under its name; returns the path as the artist's.

    A file that is there already stays as it is, since a job may go on with it: the same picture is not written again,
    and another one gets a number.

    Args:
        image: the image.
        scene: whose view a rendered picture is seen with.
        parent: the path of the folder, as the artist's.

    Raises:
        SmaltiError: as `write`.
    """
    with tempfile.TemporaryDirectory(prefix="smalti") as temporary:
        new = Path(temporary) / "image.png"
        write(image, scene, new)
        return put(new, parent, file_name(image.name))


def put(source: Path, parent: str, name: str) -> str:
    """Copy a file into a folder as `written` does, its ending kept; returns the path as the artist's.

    Raises:
        SmaltiError: the file cannot be read, or the folder not written.
    """
    number = 1
    separator = "/" if parent.startswith("//") else os.sep
    while True:
        path = f"{parent}{separator}{name}{f' {number}' if number > 1 else ''}{source.suffix.lower()}"
        target = bpy.path.abspath(path)
        try:
            if not os.path.exists(target):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copyfile(source, target)
                return path
            if filecmp.cmp(source, target, shallow=False):
                return path
        except OSError as fault:
            raise SmaltiError(f"{target}: cannot be written ({fault.strerror or fault}).") from fault
        number += 1
