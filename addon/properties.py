# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist asks for, kept on the scene.

The properties follow from the rows of `bridge.job`, under the names that they have there, so that those of a saved file
are found again. The tables below say where the panel differs. Numbers that may be left open have two more, see
optional.py.
"""

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

from .bridge.choices import everyday
from .bridge.job import JobSpec, RegionSpec, setting_at
from .bridge.looks import LOOKS, PAINTERLY
from .bridge.settings import Setting, settings_of
from .compat import PATH_OPTIONS
from .labels import FORMS, description_of, label_of, name_after_mask
from .look import take_look
from .optional import OPEN, check_box_of, kept_of, reader, taker, writer

DEFAULTS = {"size": 512, "regions.count": 200}
"""Settings that start from another value than the table's."""

LOSSES = {'COLOUR': "mse", 'STRUCTURE': "mse+ms_ssim", 'OUTLINE': "mse+alpha"}
"""What each likeness minimizes (see bridge/loss.py)."""

CONTEXT = "smalti"
"""Of the properties' labels: without one of their own, Blender would take its own translation of "Target"."""

_LARGEST_INT = 2**31 - 1
_STEP = 0.01  # from a bound that is excluded to the least value that a property takes


def _property(key: str, one: Setting) -> Any:
    """The property that a setting is chosen with."""
    texts = {"name": one.label, "description": description_of(one)}
    default = DEFAULTS.get(key, one.default)
    if one.choices is not None:
        choices = ((name, one.choices[name]) for name in everyday(one.choices))
        items = [(name.upper(), choice.label, choice.help) for name, choice in choices]
        return EnumProperty(**texts, items=items, default=str(default).upper())
    if one.kind is bool:
        return BoolProperty(**texts, default=default)
    if one.is_number:
        return _number(one, OPEN if default is None else default, texts)
    if one.path:
        subtype = 'DIR_PATH' if one.path == "folder" else 'FILE_PATH'
        return StringProperty(**texts, subtype=subtype, options=PATH_OPTIONS)
    return StringProperty(**texts, default="" if one.kind is tuple else default or "")


def _number(one: Setting, default: float, texts: dict[str, str], **more: Any) -> Any:
    """The property of a number. Lengths in pixels are whole ones here."""
    more = {"min": OPEN if one.is_open_number else _least(one), "default": default, **more}
    if one.high is not None:
        more["max"] = one.high
    if one.soft_high is not None:
        more["soft_max"] = one.soft_high
    if one.unit == "pixels":
        return IntProperty(**texts, **{**more, "default": round(default)}, subtype='PIXEL')
    if one.kind is int:
        return IntProperty(**texts, **{**more, "max": min(more.get("max", _LARGEST_INT), _LARGEST_INT)})
    is_share = not one.optional and one.high is not None and one.high <= 1
    return FloatProperty(**texts, **more, subtype='FACTOR' if is_share else 'NONE')


def _least(one: Setting) -> float:
    return one.low or 0 if one.above is None else one.above + _STEP


def _check_box(one: Setting) -> dict[str, Any]:
    """What a number that may be left open has besides its property."""
    name, texts = one.name, {"name": one.label, "description": description_of(one)}
    begin = _least(one) if one.begin is None else one.begin
    return {
        check_box_of(name): BoolProperty(**texts, get=reader(name), set=writer(name)),
        kept_of(name): _number(one, begin, texts, min=_least(one), update=taker(name)),
    }


def _properties(prefix: str, kind: type, own: dict[str, Any]) -> dict[str, Any]:
    """The properties of a group: its `own`, and those of each other setting of `kind` that is in the panel."""
    rows = {name: one for name, one in settings_of(kind).items() if one.page is not None and name not in own}
    found = {name: _property(prefix + name, one) for name, one in rows.items()}
    for one in rows.values():
        if one.is_open_number:
            found |= _check_box(one)
    found |= own
    for each in found.values():
        each.keywords["translation_context"] = CONTEXT
    return found


class SMALTI_PG_region(bpy.types.PropertyGroup):
    """A part of the picture with sprites of its own; its name, which the list shows, is that of its mask"""

    __annotations__ = _properties(
        "regions.",
        RegionSpec,
        {
            "mask": StringProperty(
                name=label_of("regions.mask"),
                description=description_of(setting_at("regions.mask")),
                subtype='FILE_PATH',
                options=PATH_OPTIONS,
                update=name_after_mask,
            ),
        },
    )


class SMALTI_PG_settings(bpy.types.PropertyGroup):
    """A job's settings"""

    __annotations__ = _properties(
        "",
        JobSpec,
        {
            "look": EnumProperty(
                name=label_of("look"),
                description=description_of(setting_at("look")),
                items=[(name.upper(), look.label, look.help) for name, look in LOOKS.items()],
                default=PAINTERLY.upper(),
                update=take_look,
            ),
            "output": StringProperty(
                name="Output",
                description="The job folder: everything about one job, made by Fit and read by Import Layers. "
                "Empty for a new one beside the Blender file",
                subtype='DIR_PATH',
                options=PATH_OPTIONS,
            ),
            "background": EnumProperty(
                name=label_of("background"),
                description="What lies behind the sprites",
                items=(
                    (
                        'AUTO',
                        "Automatic",
                        "Transparent if the target has transparency, else a color that suits target and bitmaps",
                    ),
                    ('TRANSPARENT', "Transparent", "Nothing"),
                    ('COLOUR', "Color", "One color"),
                    ('IMAGE', "Image", "A picture, stretched over the canvas"),
                ),
            ),
            "background_colour": FloatVectorProperty(
                name="Color",
                description="The background's color",
                subtype='COLOR_GAMMA',
                size=3,
                min=0.0,
                max=1.0,
                default=(1.0, 1.0, 1.0),
            ),
            "background_image": StringProperty(
                name="Image", description="The background's picture", subtype='FILE_PATH', options=PATH_OPTIONS
            ),
            "loss": EnumProperty(
                name=label_of("loss"),
                description="What the sprites try to match",
                items=(
                    ('COLOUR', "Color", "The colors: the quickest"),
                    (
                        'STRUCTURE',
                        "Color and Structure",
                        "The colors, and the contrasts that their means wash out; in about twice the time",
                    ),
                    (
                        'OUTLINE',
                        "Color and Outline",
                        "The colors, and where a transparent target ends; in about twice the time",
                    ),
                ),
            ),
            "blender_palette": PointerProperty(
                name=label_of("palette"),
                description="The only colors of sprites, as one of Blender's palettes",
                type=bpy.types.Palette,
            ),
            "regions": CollectionProperty(
                name=label_of("regions"), description=description_of(setting_at("regions")), type=SMALTI_PG_region
            ),
            "region_index": IntProperty(name="Region", description="The chosen region", min=0),
            "import_as": EnumProperty(name="As", description="What the sprites become", items=FORMS),
            "import_camera": BoolProperty(
                name="Camera",
                description="Also add an orthographic camera that sees exactly the canvas. "
                "A scene without a camera takes it",
                default=True,
            ),
            "import_colors": BoolProperty(
                name="Exact Colors",
                description="Also set the scene's view transform, so that the picture has the colors that were fitted",
                default=True,
            ),
        },
    )


_register_classes, _unregister_classes = bpy.utils.register_classes_factory((SMALTI_PG_region, SMALTI_PG_settings))


def register() -> None:
    """Give every scene its settings."""
    _register_classes()
    bpy.types.Scene.smalti = PointerProperty(type=SMALTI_PG_settings)


def unregister() -> None:
    """Take the settings away again."""
    del bpy.types.Scene.smalti
    _unregister_classes()
