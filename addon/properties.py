# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist asks for, kept on the scene, and the job that follows from it."""

import os
from pathlib import Path
from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from .bridge.errors import SmaltiError
from .bridge.job import MAX_COUNT, MAX_SIZE, MAX_TEXT, JobSpec, RegionSpec
from .compat import PATH_OPTIONS


def _path(name: str, description: str, subtype: str = 'FILE_PATH', **more: Any) -> Any:
    return StringProperty(name=name, description=description, subtype=subtype, options=PATH_OPTIONS, **more)


def _sprite_size(name: str, description: str) -> Any:
    return IntProperty(name=name, description=description, min=0, max=MAX_SIZE, subtype='PIXEL')


def _steps(name: str, description: str, soft_max: int) -> Any:
    return IntProperty(name=name, description=description, min=0, max=1_000_000, soft_max=soft_max)


def _share(name: str, description: str, most: float = 1.0) -> Any:
    return FloatProperty(name=name, description=description, min=0.0, max=most, subtype='FACTOR')


def _name_after_mask(region: Any, _context: Any) -> None:
    region.name = Path(region.mask).stem


class SMALTI_PG_region(bpy.types.PropertyGroup):
    """A part of the picture with sprites of its own; its name, which the list shows, is that of its mask"""

    mask: _path(
        "Mask", "A grey picture, stretched over the canvas: the region is where it is white", update=_name_after_mask
    )
    count: IntProperty(
        name="Count",
        description="Number of sprites in the region, in addition to all others",
        default=200,
        min=1,
        max=MAX_COUNT,
        soft_max=5000,
    )
    primitives: _path(
        "Bitmaps", "The folder of bitmaps and SVG drawings of this region; none takes the job's", 'DIR_PATH'
    )
    min_size: _sprite_size("Smallest Sprite", "Smallest longer side of a sprite; 0 chooses from the region's extent")
    max_size: _sprite_size("Largest Sprite", "Largest longer side of a sprite; 0 chooses from the region's extent")
    confine: BoolProperty(name="Confine", description="Draw nothing of the region's sprites outside of it")


class SMALTI_PG_settings(bpy.types.PropertyGroup):
    """A job's settings; a whole number 0 stands for "choose it for me" where its description says so"""

    target: _path("Target", "The picture to rebuild, or a folder of frames for an animation")
    primitives: _path(
        "Bitmaps", "The folder of bitmaps and SVG drawings to build with: leaves, stamps, brush strokes", 'DIR_PATH'
    )
    text: StringProperty(
        name="Text",
        description="Letters or words to build with, instead of the bitmaps or beside them",
        maxlen=MAX_TEXT,
    )
    text_split: EnumProperty(
        name="Split",
        description="What of the text is one sprite",
        items=(
            ('GLYPHS', "Glyphs", "Each letter, digit or sign"),
            ('WORDS', "Words", "Each word"),
        ),
    )
    font: _path("Font", "The font file of the text; none takes a plain one that has the letters of English only")
    output: _path(
        "Output", "The job folder: everything about one job, made by Fit and read by Import Layers", 'DIR_PATH'
    )
    count: IntProperty(
        name="Count",
        description="Number of sprites, each a bitmap put somewhere; where there are regions, of those outside "
        "of them, and 0 rebuilds the regions alone",
        default=1000,
        min=0,
        max=MAX_COUNT,
        soft_max=5000,
    )
    size: IntProperty(
        name="Size",
        description="Longer side of the canvas in pixels; 0 takes the target's own, at most 1024",
        default=512,
        min=0,
        max=MAX_SIZE,
        soft_max=2048,
        subtype='PIXEL',
    )
    colour_mix: _share("Colour Mix", "0 paints every sprite in one free colour, 1 keeps the bitmaps' own colours")
    background: EnumProperty(
        name="Background",
        description="What lies behind the sprites",
        items=(
            (
                'AUTO',
                "Automatic",
                "Transparent if the target has transparency, else a colour that suits target and bitmaps",
            ),
            ('TRANSPARENT', "Transparent", "Nothing"),
            ('COLOUR', "Colour", "One colour"),
            ('IMAGE', "Image", "A picture, stretched over the canvas"),
        ),
    )
    background_colour: FloatVectorProperty(
        name="Colour",
        description="The background's colour",
        subtype='COLOR_GAMMA',
        size=3,
        min=0.0,
        max=1.0,
        default=(1.0, 1.0, 1.0),
    )
    background_image: _path("Image", "The background's picture")
    seed: IntProperty(
        name="Seed",
        description="Another number, another arrangement; the same number, the same result",
        default=0,
        min=0,
    )
    preset: EnumProperty(
        name="Quality",
        description="How much time the fit may take; what Steps says counts more",
        items=(
            ('DRAFT', "Draft", "A first look, in about a third of the time"),
            ('BALANCED', "Balanced", "The usual way"),
            ('BEST', "Best", "A closer match, in about three times the time"),
        ),
        default='BALANCED',
    )
    steps: _steps("Steps", "Steps of fitting; 0 chooses from the count", 2000)
    blend_space: EnumProperty(
        name="Blend Space",
        description="The colour space in which layers are laid over each other",
        items=(
            ('SRGB', "sRGB", "As image editors do; Blender shows it with the Raw view"),
            ('LINEAR', "Linear", "As renderers do; Blender shows it with the Standard view"),
        ),
    )
    mask: EnumProperty(
        name="Mask",
        description="Where the transparency of the bitmaps comes from",
        items=(
            (
                'AUTO',
                "Automatic",
                "The bitmap's own transparency where it has any, else a plain background is cut away",
            ),
            ('ALPHA', "Alpha", "The bitmap's own transparency"),
            ('BACKGROUND', "Background", "Cut away the border's colour"),
            ('LUMINANCE', "Luminance", "Black is opaque, white is transparent"),
            ('NONE', "None", "Bitmaps are opaque rectangles"),
        ),
    )
    lock_rotation: BoolProperty(name="Rotation", description="Keep every bitmap upright")
    lock_scale: BoolProperty(name="Scale", description="Keep every sprite at the size that it starts with")
    min_size: _sprite_size("Smallest Sprite", "Smallest longer side of a sprite; 0 chooses from the canvas")
    max_size: _sprite_size("Largest Sprite", "Largest longer side of a sprite; 0 chooses from the canvas")
    alpha_max: FloatProperty(
        name="Opacity Max",
        description="No sprite becomes more opaque than this",
        default=1.0,
        min=0.01,
        max=1.0,
        subtype='FACTOR',
    )
    target_mask: _path("Target Mask", "A grey picture: white is rebuilt, black is left empty")
    palette: StringProperty(
        name="Palette",
        description="The only colours of sprites, as #rrggbb with commas between; empty for any",
    )
    rotation_steps: IntProperty(
        name="Rotation Steps",
        description="Sprites turn by multiples of 360 degrees divided by this; 1 is upright, 0 turns them freely",
        default=0,
        min=0,
        max=3600,
        soft_max=24,
    )
    keep_in: _path("Keep In", "A grey picture: sprites draw only where it is white")
    keep_out: _path("Keep Out", "A grey picture: sprites draw only where it is black")
    inside_outline: BoolProperty(
        name="Inside Outline",
        description="Sprites draw nowhere beyond the outline of a transparent target",
    )
    min_visibility: _share("Visible Share", "How much of every sprite is seen at least when all are laid down", 0.9)
    max_overlap: FloatProperty(
        name="Layers Max",
        description="Layers over a point, on average, above which the fit is pushed back; 0 for any",
        default=0.0,
        min=0.0,
        max=1000.0,
        soft_max=5.0,
    )
    even_coverage: _share("Even Layers", "How much the fit cares for as many layers here as there")
    regions: CollectionProperty(
        name="Regions",
        description="Parts of the picture with sprites of their own",
        type=SMALTI_PG_region,
    )
    region_index: IntProperty(name="Region", description="The chosen region", min=0)
    loss: EnumProperty(
        name="Likeness",
        description="What the sprites try to match",
        items=(
            ('COLOUR', "Colour", "The colours: by far the quickest"),
            (
                'STRUCTURE',
                "Colour and Structure",
                "The colours, and the contrasts that their means wash out; in about five times the time",
            ),
            (
                'OUTLINE',
                "Colour and Outline",
                "The colours, and where a transparent target ends; in about twice the time",
            ),
        ),
    )
    weight_map: _path("Weight Map", "A grey picture: white matters, black does not")
    detail_weight: _share(
        "Detail Weight", "How much more the busy parts of the target count than the flat ones; 0 counts all alike"
    )
    device: EnumProperty(
        name="Device",
        description="What computes",
        items=(
            ('AUTO', "Automatic", "The fastest that is present"),
            ('CPU', "CPU", "The processor"),
            ('CUDA', "CUDA", "An NVIDIA graphics card"),
        ),
    )
    frame_steps: _steps("Frame Steps", "Steps of fitting for every frame after the first; 0 chooses from Steps", 500)
    frame_rate: FloatProperty(
        name="Frame Rate",
        description="Frames per second of the target",
        default=24.0,
        min=0.01,
        max=1000.0,
    )
    import_camera: BoolProperty(
        name="Camera",
        description="Also add an orthographic camera that sees exactly the canvas",
        default=True,
    )


LOSSES = {'COLOUR': "mse", 'STRUCTURE': "mse+ms_ssim", 'OUTLINE': "mse+alpha"}
"""What each likeness minimises (see bridge/loss.py)."""


def absolute(path: str, name: str) -> str:
    """A path of the artist's as an absolute one; empty stays empty.

    Raises:
        SmaltiError: it is relative to the Blender file, and that is not saved yet. `name` is what it calls the path.
    """
    if path.startswith("//") and not bpy.data.filepath:
        raise SmaltiError(f"{name} is relative to the Blender file, and that is not saved yet.", "Save the file first.")
    return os.path.abspath(bpy.path.abspath(path)) if path else ""


def output_folder(scene: Any) -> Path | None:
    """The scene's job folder, or None where none is set (or none can be said before the file is saved)."""
    path = scene.smalti.output
    if not path or (path.startswith("//") and not bpy.data.filepath):
        return None
    return Path(absolute(path, "The output folder"))


def column(layout: Any, owner: Any, *names: str, **look: Any) -> Any:
    """Draw the properties of `owner` with those names below each other; `look` is of the column, which is returned."""
    found = layout.column(**look)
    for name in names:
        found.prop(owner, name)
    return found


def needs_bitmaps(settings: Any) -> bool:
    """Whether any sprites are made of the job's own bitmaps, and not only of those of regions."""
    return settings.count > 0 or not all(region.primitives for region in settings.regions)


def _region_of(region: Any, number: int) -> RegionSpec:
    return RegionSpec(
        mask=absolute(region.mask, f"The mask of region {number}"),
        count=region.count,
        min_size=region.min_size or None,
        max_size=region.max_size or None,
        primitives=absolute(region.primitives, f"The folder of bitmaps of region {number}") or None,
        confine=region.confine,
    )


def job_of(settings: Any) -> JobSpec:
    """The job that the settings describe. Raises SmaltiError where one is missing or out of its range."""
    background = {
        'AUTO': "auto",
        'TRANSPARENT': "transparent",
        'COLOUR': "#" + "".join(f"{round(c * 255):02x}" for c in settings.background_colour),
        'IMAGE': absolute(settings.background_image, "The background's image"),
    }[settings.background]
    if not background:
        raise SmaltiError("The background is an image, and none is chosen.", "Choose one, or another background.")
    return JobSpec(
        target=absolute(settings.target, "The target"),
        primitives=absolute(settings.primitives, "The folder of bitmaps") or None,
        count=settings.count,
        size=settings.size or None,
        preset=settings.preset.lower(),
        steps=settings.steps or None,
        frame_steps=settings.frame_steps or None,
        frame_rate=settings.frame_rate,
        mask=settings.mask.lower(),
        colour_mix=settings.colour_mix,
        lock_rotation=settings.lock_rotation,
        lock_scale=settings.lock_scale,
        min_size=settings.min_size or None,
        max_size=settings.max_size or None,
        alpha_max=settings.alpha_max,
        background=background,
        blend_space=settings.blend_space.lower(),
        target_mask=absolute(settings.target_mask, "The target's mask") or None,
        palette=tuple(colour.strip() for colour in settings.palette.split(",") if colour.strip()) or None,
        rotation_steps=settings.rotation_steps or None,
        keep_in=absolute(settings.keep_in, "The mask of Keep In") or None,
        keep_out=absolute(settings.keep_out, "The mask of Keep Out") or None,
        inside_outline=settings.inside_outline,
        min_visibility=settings.min_visibility,
        max_overlap=settings.max_overlap or None,
        even_coverage=settings.even_coverage,
        text=settings.text or None,
        font=(absolute(settings.font, "The font") or None) if settings.text else None,
        text_split=settings.text_split.lower(),
        regions=tuple(_region_of(region, number) for number, region in enumerate(settings.regions, 1)),
        loss=LOSSES[settings.loss],
        weight_map=absolute(settings.weight_map, "The weight map") or None,
        detail_weight=settings.detail_weight,
        seed=settings.seed,
        device=settings.device.lower(),
    ).checked()


_register_classes, _unregister_classes = bpy.utils.register_classes_factory((SMALTI_PG_region, SMALTI_PG_settings))


def register() -> None:
    """Give every scene its settings."""
    _register_classes()
    bpy.types.Scene.smalti = PointerProperty(type=SMALTI_PG_settings)


def unregister() -> None:
    """Take the settings away again."""
    del bpy.types.Scene.smalti
    _unregister_classes()
