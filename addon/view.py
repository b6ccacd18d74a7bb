# SPDX-License-Identifier: GPL-3.0-or-later
"""How a composition is seen: in the viewport, and the scene settings with which a render shows its exact colors."""

import json
from contextlib import suppress
from typing import Any, NamedTuple

import bpy

from . import imported, job, root, surfaces

SENSOR = 36.0  # mm: of a viewport's lens
MARGIN = 1.25  # of a viewport about a picture
CYCLES_LIMIT = 1024  # transparent surfaces that Cycles goes through at most
POINT = 0.01  # pixels: the narrowest filter that Blender has
_BEFORE = "smalti_before"  # on the scene: its settings before `match`, as JSON
_VIEW = {"srgb": 'Raw', "linear": 'Standard'}


class Setting(NamedTuple):
    """A setting of a scene: what to call it, in which of the scene's groups, its name, and the value that it needs."""

    label: str
    scene: Any
    group: str
    name: str
    value: Any

    @property
    def now(self) -> Any:
        """The value that it has."""
        return getattr(getattr(self.scene, self.group), self.name)

    @property
    def matches(self) -> bool:
        """Whether it has the value that it needs."""
        return _same(self.now, self.value)


def _same(one: Any, other: Any) -> bool:
    return abs(one - other) < 1e-6 if isinstance(other, float) else bool(one == other)


def settings(scene: Any, collection: Any) -> list[Setting]:
    """Every setting of `scene` on which the picture of an imported composition depends, and the value it needs."""
    width, height = collection[imported.CANVAS]
    # The engine draws the middle of each pixel, out of bitmaps that were reduced before.
    is_reduced = bool(collection.get(imported.REDUCED))
    needed = [
        ("View transform", "view_settings", "view_transform", _VIEW[collection[imported.BLEND_SPACE]]),
        ("Look", "view_settings", "look", 'None'),
        ("Exposure", "view_settings", "exposure", 0.0),
        ("Gamma", "view_settings", "gamma", 1.0),
        ("View curves", "view_settings", "use_curve_mapping", False),
        ("Dither", "render", "dither_intensity", 0.0),
        ("Resolution", "render", "resolution_x", width),
        ("Resolution", "render", "resolution_y", height),
        ("Pixel aspect", "render", "pixel_aspect_x", 1.0),
        ("Pixel aspect", "render", "pixel_aspect_y", 1.0),
        ("Filter size", "render", "filter_size", POINT if is_reduced else 1.0),
    ]
    if collection[imported.TRANSPARENT]:
        needed.append(("Transparent film", "render", "film_transparent", True))
    cycles = getattr(scene, "cycles", None)
    if cycles:
        deepest = min(CYCLES_LIMIT, collection[imported.DEPTH] + 1)
        needed += [
            # A box is always a pixel wide.
            ("Pixel filter", "cycles", "pixel_filter_type", 'BLACKMAN_HARRIS' if is_reduced else 'BOX'),
            ("Denoise", "cycles", "use_denoising", False),
            *(
                ("Transparent bounces", "cycles", name, max(deepest, getattr(cycles, name)))
                for name in ("transparent_max_bounces", "min_transparent_bounces")
            ),
        ]
        if is_reduced:
            needed.append(("Pixel filter", "cycles", "filter_width", POINT))
    return [Setting(label, scene, group, name, value) for label, group, name, value in needed]


def differing(scene: Any, collection: Any) -> list[str]:
    """What differs from what the composition needs; nothing where it takes light.

    Another resolution of the same shape does not count.
    """
    if surfaces.is_lit(collection):
        return []
    found = dict.fromkeys(setting.label for setting in settings(scene, collection) if not setting.matches)
    width, height = collection[imported.CANVAS]
    if scene.render.resolution_x * height == scene.render.resolution_y * width:
        found.pop("Resolution", None)
    return list(found)


def match(scene: Any, collection: Any, group: str | None = None) -> list[str]:
    """Give settings the values that a composition needs, all or those of one group. Returns what has changed.

    What they were before is kept with the scene, for `restore`.
    """
    changed = [s for s in settings(scene, collection) if not s.matches and group in (None, s.group)]
    kept = _kept(scene)
    for setting in changed:
        was, key = setting.now, f"{setting.group}.{setting.name}"
        setattr(getattr(scene, setting.group), setting.name, setting.value)
        first = kept.get(key, {"was": was})["was"]
        kept[key] = {"label": setting.label, "was": first, "given": setting.now}
    if changed:
        scene[_BEFORE] = json.dumps(kept)
    return list(dict.fromkeys(setting.label for setting in changed))


def restore(scene: Any) -> list[str]:
    """Give settings back what they were before `match`, but for those that were changed since. Returns them."""
    restored = []
    for key, each in _kept(scene).items():
        group, name = key.split(".")
        owner = getattr(scene, group, None)
        if owner is not None and _same(getattr(owner, name), each["given"]):
            with suppress(TypeError):  # a view transform that this color configuration does not have
                setattr(owner, name, each["was"])
                restored.append(each["label"])
    if _BEFORE in scene:
        del scene[_BEFORE]
    return list(dict.fromkeys(restored))


def is_matched(scene: Any) -> bool:
    """Whether there is something to restore."""
    return _BEFORE in scene


def _kept(scene: Any) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(scene[_BEFORE]) if _BEFORE in scene else {}
    return kept


def current(scene: Any) -> Any:
    """The imported collection with which the scene is compared: the output folder's, else the last one, else None."""
    folder = job.output_folder(scene)
    found = imported.imported_collections(scene)
    return (folder and imported.find_collection(scene, folder)) or (found[-1] if found else None)


def space_of(context: Any) -> Any | None:
    """The 3D viewport that is meant: that of the panel, else the largest of the window; None in the background."""
    if context.area is not None and context.area.type == 'VIEW_3D':
        return context.space_data
    window = context.window
    areas = [area for area in window.screen.areas if area.type == 'VIEW_3D'] if window is not None else []
    return max(areas, key=lambda area: area.width * area.height).spaces.active if areas else None


def show(space: Any, holder: Any) -> None:
    """Let a viewport show the colors of the composition that an Empty holds, from the front, as large as it fits."""
    if space.shading.type in {'WIREFRAME', 'SOLID'}:
        space.shading.type = 'MATERIAL'
    space.overlay.show_relationship_lines = False  # one from each sprite to the Empty
    seen = space.region_3d
    if seen is None or (seen.view_perspective == 'CAMERA' and space.camera is not None):
        return
    place = root.place_of(holder)
    seen.view_rotation = place.to_quaternion()
    seen.view_location = place.translation
    seen.view_distance = MARGIN * root.reach_of(holder) * 2 * space.lens / SENSOR
    seen.view_perspective = 'PERSP'


class SMALTI_OT_set_up_view(bpy.types.Operator):
    """Show the picture in this viewport: with its colors, from the front, as large as it fits"""

    bl_idname = "smalti.set_up_view"
    bl_label = "Set Up View"
    bl_options = {'INTERNAL'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        collection = current(context.scene)
        if collection is None or root.of(collection) is None:
            cls.poll_message_set("Import layers first")
            return False
        if space_of(context) is None:
            cls.poll_message_set("There is no 3D viewport")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        show(space_of(context), root.of(current(context.scene)))
        return {'FINISHED'}


class SMALTI_OT_match_colours(bpy.types.Operator):
    """Set the scene's view, film, filter, resolution and transparency so that a render equals Smalti's picture"""

    bl_idname = "smalti.match_colours"
    bl_label = "Match Colors"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if current(context.scene) is None:
            cls.poll_message_set("Import layers first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        collection = current(context.scene)
        changed = match(context.scene, collection)
        if collection[imported.DEPTH] >= CYCLES_LIMIT:
            self.report(
                {'WARNING'},
                f"Up to {collection[imported.DEPTH]:,} layers lie over each other, "
                f"and Cycles shows the upper {CYCLES_LIMIT:,}; EEVEE shows all",
            )
        else:
            text = f"Changed in the scene: {', '.join(changed).lower()}" if changed else "All settings match already"
            self.report({'INFO'}, text)
        return {'FINISHED'}


class SMALTI_OT_restore_settings(bpy.types.Operator):
    """Give the scene's view, film, filter and resolution back the values that they had before colors were matched"""

    bl_idname = "smalti.restore_settings"
    bl_label = "Restore Settings"
    bl_options = {'REGISTER', 'UNDO'}

    @classmethod
    def poll(cls, context: Any) -> bool:
        if not is_matched(context.scene):
            cls.poll_message_set("Colors were not matched in this scene")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        restored = restore(context.scene)
        text = f"As before: {', '.join(restored).lower()}" if restored else "All of them were changed since then"
        self.report({'INFO'}, text)
        return {'FINISHED'}


register, unregister = bpy.utils.register_classes_factory(
    (SMALTI_OT_set_up_view, SMALTI_OT_match_colours, SMALTI_OT_restore_settings)
)
