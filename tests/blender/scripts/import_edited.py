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
    return {
        "summary": importing.changes_in(found()),
        "gold": [m.name for m in bpy.data.materials if "Gold" in m.node_tree.nodes],
        "rough": [round(g.nodes["Lit"].inputs["Roughness"].default_value, 3) for g in bpy.data.node_groups
                  if "Lit" in g.nodes],
        "counts": [len(bpy.data.materials), sum(imported.JOB in g for g in bpy.data.node_groups), len(bpy.data.images), len(bpy.data.meshes)],
        "earlier": [m.name for m in (*bpy.data.materials, *bpy.data.node_groups) if "earlier" in m.name],
    }  # fmt: skip


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
