# SPDX-License-Identifier: GPL-3.0-or-later
"""Save the file, import a job from a folder beside it, and say where its pictures are kept."""

import bpy
import inside

given = inside.arguments()
inside.enable()
bpy.ops.wm.save_as_mainfile(filepath=given["file"])
bpy.context.scene.smalti.output = given["output"]
bpy.ops.smalti.import_layers()
pictures = [image for image in bpy.data.images if image.source == 'FILE']
inside.finish(
    pictures=sorted(image.filepath.replace("\\", "/") for image in pictures),
    loaded=all(image.size[0] for image in pictures),
)
