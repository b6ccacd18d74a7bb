# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a job as a mosaic, render a frame, convert it to layers, render, convert it back and render."""

import bpy
import inside

given = inside.arguments()
inside.enable()
bpy.context.scene.smalti.output = given["job"]
bpy.ops.smalti.import_layers(form='MOSAIC', camera=True, key_tolerance=0.0)
inside.render(given["pictures"][0], 2, samples=2)
bpy.ops.smalti.convert_to_layers()
inside.render(given["pictures"][1], 2, samples=2)
bpy.ops.smalti.convert_to_mosaic()
inside.render(given["pictures"][2], 2, samples=2)
inside.finish()
