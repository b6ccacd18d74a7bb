# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw panels without a window, into a layout that notes every call that Blender's own would refuse."""

from types import SimpleNamespace
from typing import Any

import bpy
import inside

_RNA = bpy.types.UILayout.bl_rna
_ICONS = {item.identifier for item in _RNA.functions["label"].parameters["icon"].enum_items}


class Layout:
    """Stands for a UILayout."""

    def __init__(self, notes: Any) -> None:
        object.__setattr__(self, "_notes", notes)

    def __setattr__(self, name: Any, value: Any) -> None:
        if name not in _RNA.properties:
            self._notes.faults.append(f"layout.{name} does not exist")

    def panel(self, idname: Any, default_closed: bool = False) -> Any:
        return Layout(self._notes), Layout(self._notes)

    def prop(self, data: Any, name: str, **rest: Any) -> None:
        if name not in data.bl_rna.properties:
            self._notes.faults.append(f"{data} has no property {name}")
        self._notes.properties.append(name)
        text = rest.get("text", data.bl_rna.properties[name].name)
        self._notes.texts.append(text)
        if data.bl_rna.properties[name].type != 'BOOLEAN':
            self._notes.beside.append(text)
        self._call("prop", rest)

    def template_list(
        self, kind: Any, list_id: Any, data: Any, name: Any, active_data: Any, active_name: Any, **rest: Any
    ) -> None:
        for owner, found in ((data, name), (active_data, active_name)):
            if found not in owner.bl_rna.properties:
                self._notes.faults.append(f"{owner} has no property {found}")
        self._call("template_list", rest)
        draw_item = getattr(bpy.types, kind).draw_item
        for index, item in enumerate(getattr(data, name)):
            draw_item(None, None, Layout(self._notes), data, item, 0, active_data, active_name, index, 0)

    def operator(self, idname: Any, **rest: Any) -> Any:
        group, name = idname.split(".")
        if not hasattr(getattr(bpy.ops, group), name) or name not in dir(getattr(bpy.ops, group)):
            self._notes.faults.append(f"no operator {idname}")
        self._call("operator", rest)
        return SimpleNamespace()

    def menu(self, idname: str, **rest: Any) -> None:
        kind = getattr(bpy.types, idname, None)
        if kind is None:
            self._notes.faults.append(f"no menu {idname}")
        else:
            kind.draw(SimpleNamespace(layout=self), None)
        self._call("menu", rest)

    def __getattr__(self, name: Any) -> Any:
        def call(**rest: Any) -> Any:
            self._call(name, rest)
            return Layout(self._notes)

        return call

    def _call(self, name: Any, rest: Any) -> None:
        if name == "label":
            self._notes.labels.append(rest["text"])
        if rest.get("heading"):
            self._notes.headings.append(rest["heading"])
            self._notes.beside.append(rest["heading"])
        function = _RNA.functions.get(name)
        if function is None:
            self._notes.faults.append(f"layout.{name} does not exist")
            return
        self._notes.faults.extend(f"layout.{name} takes no {key}" for key in rest if key not in function.parameters)
        if rest.get("icon", 'NONE') not in _ICONS:
            self._notes.faults.append(f"no icon {rest['icon']}")


def notes() -> Any:
    """What a layout notes. `beside`: labels in the narrow column at the left."""
    return SimpleNamespace(faults=[], labels=[], properties=[], texts=[], headings=[], beside=[])


def drawn() -> Any:
    """Draw every panel and the preferences; returns what is wrong with them, and the texts of all labels."""
    found = noted()
    return found.faults, found.labels


def noted() -> Any:
    """Draw every panel and the preferences; returns `faults`, `labels`, `headings`, `properties` and their `texts`."""
    found = notes()
    context = SimpleNamespace(
        space_data=SimpleNamespace(shading=SimpleNamespace(type='SOLID')),
        scene=bpy.context.scene,
        window_manager=bpy.context.window_manager,
        region=SimpleNamespace(width=280),
        preferences=SimpleNamespace(system=SimpleNamespace(ui_scale=1.0), ui_styles=bpy.context.preferences.ui_styles),
    )
    panels = (bpy.types.SMALTI_PT_main, bpy.types.SMALTI_PT_jobs, bpy.types.SMALTI_PT_result)
    for panel in panels:
        inside.module("jobs").write_list()
        panel.draw(SimpleNamespace(layout=Layout(found)), context)
    preferences = bpy.context.preferences.addons[inside.MODULE].preferences
    type(preferences).draw(
        SimpleNamespace(layout=Layout(found), bl_rna=preferences.bl_rna, engine_python=preferences.engine_python),
        context,
    )
    return found
