# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the zip as a user does from disk, enable it, and keep that in the preferences."""

import os
import sys
import time

import bpy

sys.path.insert(0, os.path.dirname(__file__))  # a whole Blender does not look there
import inside

began = time.monotonic()
bpy.ops.extensions.package_install_files(
    filepath=inside.arguments()["zip"], repo='user_default', enable_on_install=True
)
seconds = time.monotonic() - began
bpy.ops.wm.save_userpref()
enabled = inside.MODULE in bpy.context.preferences.addons
inside.finish(enabled=enabled, panel=hasattr(bpy.types, "SMALTI_PT_main"), seconds=seconds)
