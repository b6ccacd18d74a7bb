# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar's panel for a finished job: layers in Blender, hand-off files for other programs, exact colors."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from . import composition, convert, imported, importing, job, jobs, notices, root, session, surfaces, view
from .bridge import folder as files
from .bridge.composition import Header
from .bridge.errors import SmaltiError
from .bridge.formats import FORMATS
from .bridge.job_file import ID
from .bridge.protocol import Export
from .bridge.schema import read_text_at
from .labels import FORMS
from .requests import ready, send


def _ended() -> Path | None:
    """The folder of the job that has ended last in this Blender, whatever file was open, with something to import."""
    return session.outcome.folder if session.outcome.can_import else None


def _job_folder(operator: Any, context: Any) -> Path | None:
    """The scene's job folder where it holds a composition, as far as is known, else that of the job that has ended
    last; else None, and the button says why."""
    output = job.output_folder(context.scene)
    if jobs.importable(output) is not False:
        return output
    if (ended := _ended()) is not None:
        return ended
    operator.poll_message_set(
        "Choose an output folder first" if output is None else "The output folder holds no finished job"
    )
    return None


class SMALTI_OT_import_layers(bpy.types.Operator):
    """Add the job's sprites to the scene, in a collection of their own: one image plane each, or all in one object"""

    bl_idname = "smalti.import_layers"
    bl_label = "Import Layers"
    bl_options = {'REGISTER', 'UNDO'}

    folder: StringProperty(
        name="Job Folder",
        description="The job to import; empty for that of the output folder",
        subtype='DIR_PATH',
        options={'HIDDEN', 'SKIP_SAVE'},
    )
    longer_side: FloatProperty(
        name="Size",
        description="Length of the canvas's longer side",
        default=2.0,
        min=0.001,
        soft_max=100.0,
        unit='LENGTH',
    )
    placement: EnumProperty(
        name="Placement",
        description="How the picture is put at the 3D cursor. One that was imported before stays where it is",
        items=(
            ('UPRIGHT', "Upright", "It stands, and faces the front view"),
            ('FLAT', "Flat", "It lies, and faces up"),
        ),
    )
    form: EnumProperty(name="As", description="What the sprites become", items=FORMS)
    camera: BoolProperty(
        name="Camera",
        description="Also add an orthographic camera that sees exactly the canvas. A scene without a camera takes it",
    )
    colors: BoolProperty(
        name="Exact Colors",
        description="Also set the scene's view transform, so that the picture has the colors that were fitted",
    )
    surface: EnumProperty(name="Surface", description="What the layers are made of", items=surfaces.SURFACES)
    outlines: BoolProperty(
        name="Cut Outlines",
        description="Meshes follow the outlines of the bitmaps, for physics and modifiers; the picture is the same",
    )
    group: EnumProperty(
        name="Collections",
        description="How the layers are sorted into collections",
        items=(
            ('NONE', "One for All", "All layers in one collection"),
            ('BITMAP', "By Bitmap", "A collection for the layers of each bitmap"),
            ('REGION', "By Region", "A collection for the layers of each region; those of the rest in that of the job"),
        ),
    )
    changes: EnumProperty(
        name="Changes",
        description="What happens to layers and materials that were changed since the last import of this job",
        items=(
            ('KEEP', "Keep", "They stay as they are, and deleted layers stay away; all else is brought up to date"),
            ('REPLACE', "Replace", "All layers and materials become those of the job"),
        ),
    )
    first_frame: IntProperty(
        name="First Frame",
        description="The scene frame of the first key, where the job is an animation",
        default=1,
    )
    set_frames: BoolProperty(
        name="Set Frame Rate and Range",
        description="Take over the job's frame rate and length; without it the keys are spread to keep the job's speed",
        default=True,
    )

    key_tolerance: FloatProperty(
        name="Key Tolerance",
        description="Of a film: how far a sprite may be off, in pixels of the canvas, so that it needs fewer keys. "
        "Its color may be off by two levels of 255 for each pixel. 0 for a key in every frame",
        default=0.5,
        min=0.0,
        soft_max=4.0,
    )

    _summary = ""

    @classmethod
    def poll(cls, context: Any) -> bool:
        if context.mode != 'OBJECT':
            cls.poll_message_set("Leave the edit mode first")
            return False
        # One from the list, or one that a script names, does not stand in the way of what the output folder holds.
        if jobs.watch.waits and job.output_folder(context.scene) is None:
            return True
        return any(found.importable for found in jobs.watch.jobs) or _job_folder(cls, context) is not None

    def invoke(self, context: Any, event: Any) -> set[str]:
        folder = Path(self.folder) if self.folder else job.output_folder(context.scene)
        if folder is not None:
            imported.know(folder, read_text_at(folder / files.COMPOSITION, ID))
        collection = imported.find_collection(context.scene, folder) if folder is not None else None
        self._summary = importing.changes_in(collection) if collection is not None else ""
        if not self._summary:
            return self.execute(context)
        answer: set[str] = context.window_manager.invoke_props_dialog(self, width=400, confirm_text="Import")
        return answer

    def execute(self, context: Any) -> set[str]:
        scene = context.scene
        began = time.perf_counter()
        try:
            found = composition.load(self._chosen(scene))
            built = importing.build(
                scene,
                found,
                importing.Options(
                    longer_side=self.longer_side,
                    mosaic=self.form == 'MOSAIC',
                    camera=self.camera,
                    upright=self.placement == 'UPRIGHT',
                    keep_changes=self.changes == 'KEEP',
                    group="" if self.group == 'NONE' else self.group.lower(),
                    cut=self.outlines,
                    lit=self.surface == 'LIT' if self.properties.is_property_set("surface") else None,
                    first_frame=self.first_frame,
                    frame_step=1.0 if self.set_frames else _frame_step(scene, found.header),
                    key_tolerance=self.key_tolerance,
                ),
            )
        except SmaltiError as fault:
            return notices.failed(self, fault)
        before = [item for item in context.selected_objects if item != built.root]
        with suppress(RuntimeError):  # its collection is excluded from this view layer
            built.root.select_set(True)
            context.view_layer.objects.active = built.root
            for item in before:
                item.select_set(False)
        if (space := view.space_of(context)) is not None:
            view.show(space, built.root)
        if found.header.frames > 1 and self.set_frames:
            _set_frames(scene, found.header, self.first_frame)
        changed = view.match(scene, built.collection, "view_settings") if self.colors else []
        noun = "sprites" if self.form == 'MOSAIC' else "layers"
        keys = f" with {built.keys:,} keys" if built.keys else ""
        colors = f". Changed in the scene: {', '.join(changed).lower()}" if changed else ""
        self.report({'INFO'}, f"{built.sprites:,} {noun}{keys} in {time.perf_counter() - began:.1f} s{colors}")
        return {'FINISHED'}

    def _chosen(self, scene: Any) -> Path:
        """The job folder to import. Raises SmaltiError where there is none."""
        folder = job.absolute(self.folder or scene.smalti.output, "The job folder")
        if not folder:
            raise SmaltiError("No job is chosen.", "Choose an output folder first.")
        return Path(folder)

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.use_property_split = True
        if self._summary:
            layout.label(text=f"{self._summary} since the last import.", icon='INFO')
        names = [
            "changes",
            "form",
            "longer_side",
            "placement",
            "camera",
            "colors",
            "surface",
            "outlines",
            "group",
            "first_frame",
            "set_frames",
            "key_tolerance",
        ]
        for name in names:
            layout.prop(self, name)


def _frame_step(scene: Any, header: Header) -> float:
    """Frames of the scene for one of the composition, at the frame rates of both."""
    return float(scene.render.fps / scene.render.fps_base / header.frame_rate)


def _set_frames(scene: Any, header: Header, first: int) -> None:
    """Give the scene the composition's frame rate, which may be broken (23.976), and its range."""
    whole = max(1, round(header.frame_rate))
    scene.render.fps, scene.render.fps_base = whole, whole / header.frame_rate
    scene.frame_start, scene.frame_end = first, first + header.frames - 1


class _Export:
    """Write the job in one of the hand-off formats, in the background; `form` is its name."""

    bl_options = {'REGISTER'}
    form: str

    @classmethod
    def poll(cls, context: Any) -> bool:
        return ready(cls) and _job_folder(cls, context) is not None

    def execute(self, context: Any) -> set[str]:
        send(Export(session.new_id(), str(_job_folder(self, context)), self.form))
        return {'FINISHED'}


_EXPORTS: tuple[Any, ...] = tuple(
    type(
        f"SMALTI_OT_export_{name}",
        (_Export, bpy.types.Operator),
        {
            "__doc__": f"Write the job into its folder, in the background, as {form.title}",
            "bl_idname": f"smalti.export_{name}",
            "bl_label": f"Export {form.label}",
            "form": name,
        },
    )
    for name, form in FORMATS.items()
)
"""One operator for each format."""


def draw_import(layout: Any, scene: Any, folder: Path | None) -> None:
    """The button that imports the job in a folder, as the scene says that imports are made."""
    form = scene.smalti.import_as
    importing = layout.operator(SMALTI_OT_import_layers.bl_idname, text=f"Import {form.title()}", icon='IMPORT')
    importing.folder, importing.form = "" if folder is None else str(folder), form
    importing.camera, importing.colors = scene.smalti.import_camera, scene.smalti.import_colors


class SMALTI_PT_result(bpy.types.Panel):
    """What to do with a finished job"""

    bl_idname = "SMALTI_PT_result"
    bl_label = "Result"
    bl_space_type = 'VIEW_3D'
    bl_region_type = 'UI'
    bl_category = "Smalti"
    bl_parent_id = "SMALTI_PT_main"

    def draw(self, context: Any) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        scene = context.scene
        column = layout.column()
        output = job.output_folder(scene)
        folder = output if jobs.importable(output) is not False else _ended()
        if folder is not None:
            column.label(text=folder.name, icon='FILE_FOLDER', translate=False)
        column.prop(scene.smalti, "import_as")
        draw_import(column, scene, folder)
        column.prop(scene.smalti, "import_camera")
        column.prop(scene.smalti, "import_colors")
        for export in _EXPORTS:
            layout.operator(export.bl_idname, icon='EXPORT')
        collection = view.current(scene)
        if collection is None:
            return
        holder = root.of(collection)
        if holder is not None:
            layout.prop(holder, "scale", index=2, text="Depth")
        convert.draw(layout, context)
        surfaces.draw(layout, collection)
        layout.operator(view.SMALTI_OT_set_up_view.bl_idname, icon='HIDE_OFF')
        row = layout.row(align=True)
        row.operator(view.SMALTI_OT_match_colours.bl_idname, icon='COLOR')
        if view.is_matched(scene):
            row.operator(view.SMALTI_OT_restore_settings.bl_idname, text="", icon='LOOP_BACK')
        differing = view.differing(scene, collection)
        if differing:
            text = f"A render will differ from {collection.name}: {', '.join(differing).lower()}."
            notices.lines(layout, context, text, 'ERROR')
        if context.space_data.shading.type in {'WIREFRAME', 'SOLID'}:
            notices.lines(layout, context, "Seen in Material Preview.", 'INFO')


register, unregister = bpy.utils.register_classes_factory((SMALTI_OT_import_layers, *_EXPORTS, SMALTI_PT_result))
