# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a job, edit one of its materials and the group that all share, and import it again: keeping both, then not."""

from pathlib import Path
from typing import Any

import bpy
import inside

given = inside.arguments()
inside.enable()
scene = bpy.context.scene
imported, importing = inside.module("imported"), inside.module("importing")
scene.smalti.output = given["job"]


def found() -> Any:
    return imported.find_collection(scene, Path(given["job"]))


def state() -> Any:
    groups = [group for group in bpy.data.node_groups if imported.JOB in group]
    rough = [group.nodes["Lit"].inputs["Roughness"].default_value for group in groups if "Lit" in group.nodes]
    return {
        "summary": importing.changes_in(found()),
        "gold": [m.name for m in bpy.data.materials if "Gold" in m.node_tree.nodes],
        "rough": [round(value, 3) for value in rough],
        "counts": [len(each) for each in (bpy.data.materials, groups, bpy.data.images, bpy.data.meshes)],
        "earlier": [item.name for item in (*bpy.data.materials, *groups) if "earlier" in item.name],
    }


bpy.ops.smalti.import_layers()
first = state()
found().smalti_surface = 'LIT'
lit = state()
found().smalti_surface = 'EXACT'
tree = bpy.data.materials["job leaf"].node_tree
bright = tree.nodes.new('ShaderNodeBrightContrast')
bright.name = "Gold"
sprite = tree.nodes["Sprite"]
tree.links.new(sprite.inputs["Color"].links[0].from_socket, bright.inputs["Color"])
tree.links.new(bright.outputs[0], sprite.inputs["Color"])
next(g for g in bpy.data.node_groups if "Lit" in g.nodes).nodes["Lit"].inputs["Roughness"].default_value = 0.25
edited = state()
bpy.ops.smalti.import_layers()
kept = state()
bpy.ops.smalti.import_layers(form='MOSAIC')
mosaic = state()
bpy.ops.smalti.import_layers(changes='REPLACE')
inside.finish(first=first, lit=lit, edited=edited, kept=kept, mosaic=mosaic, replaced=state())
