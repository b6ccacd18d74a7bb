# SPDX-License-Identifier: GPL-3.0-or-later
"""How a composition is seen: in the viewport, and the scene settings with which a render shows its exact colors."""

from typing import Any, NamedTuple

import bpy

from . import imported, job, root

SENSOR = 36.0  # mm: of a viewport's lens
MARGIN = 1.25  # of a viewport about a picture
CYCLES_LIMIT = 1024  # transparent surfaces that Cycles goes through at most
POINT = 0.01  # pixels: the narrowest filter that Blender has
_VIEW = {"srgb": 'Raw', "linear": 'Standard'}


class Setting(NamedTuple):
    """One setting: what to call it, whose it is, its name there, and the value that it needs."""

    label: str
    owner: Any
    name: str
    value: Any

    @property
    def matches(self) -> bool:
        """Whether the setting has its value."""
        found = getattr(self.owner, self.name)
        return abs(found - self.value) < 1e-6 if isinstance(self.value, float) else bool(found == self.value)


def settings(scene: Any, collection: Any) -> list[Setting]:
    """Every setting of `scene` on which the picture of an imported composition depends, and the value it needs."""
    render, view = scene.render, scene.view_settings
    width, height = collection[imported.CANVAS]
    found = [
        Setting("View transform", view, "view_transform", _VIEW[collection[imported.BLEND_SPACE]]),
        Setting("Look", view, "look", 'None'),
        Setting("Exposure", view, "exposure", 0.0),
        Setting("Gamma", view, "gamma", 1.0),
        Setting("View curves", view, "use_curve_mapping", False),
        Setting("Dither", render, "dither_intensity", 0.0),
        Setting("Resolution", render, "resolution_x", width),
        Setting("Resolution", render, "resolution_y", height),
        Setting("Pixel aspect", render, "pixel_aspect_x", 1.0),
        Setting("Pixel aspect", render, "pixel_aspect_y", 1.0),
        # The engine draws the middle of each pixel; its bitmaps are reduced for that already.
        Setting("Filter size", render, "filter_size", POINT),
    ]
    if collection[imported.TRANSPARENT]:
        found.append(Setting("Transparent film", render, "film_transparent", True))
    cycles = getattr(scene, "cycles", None)
    if cycles:
        deepest = min(CYCLES_LIMIT, collection[imported.DEPTH] + 1)
        found += [
            Setting("Pixel filter", cycles, "pixel_filter_type", 'BLACKMAN_HARRIS'),  # a box is always a pixel wide
            Setting("Pixel filter", cycles, "filter_width", POINT),
            Setting("Denoise", cycles, "use_denoising", False),
            Setting(
                "Transparent bounces", cycles, "transparent_max_bounces", max(deepest, cycles.transparent_max_bounces)
            ),
            Setting(
                "Transparent bounces",
                cycles,
                "min_transparent_bounces",
                max(deepest, cycles.min_transparent_bounces),
            ),
        ]
    return found


def differing(scene: Any, collection: Any) -> list[str]:
    """What differs from what the composition needs. Another resolution of the same shape does not count."""
    found = dict.fromkeys(setting.label for setting in settings(scene, collection) if not setting.matches)
    width, height = collection[imported.CANVAS]
    if scene.render.resolution_x * height == scene.render.resolution_y * width:
        found.pop("Resolution", None)
    return list(found)


def match(scene: Any, collection: Any, owner: Any = None) -> list[str]:
    """Give settings the values that a composition needs, all or those of one owner. Returns what has changed."""
    changed = [s for s in settings(scene, collection) if not s.matches and owner in (None, s.owner)]
    for setting in changed:
        setattr(setting.owner, setting.name, setting.value)
    return list(dict.fromkeys(setting.label for setting in changed))


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


register, unregister = bpy.utils.register_classes_factory((SMALTI_OT_set_up_view, SMALTI_OT_match_colours))
