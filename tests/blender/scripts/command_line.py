# SPDX-License-Identifier: GPL-3.0-or-later
"""Run commands of the extension's command line; say with which exit status they ended. What they print goes out."""

import os

import bpy
import inside

given = inside.arguments()
inside.enable("")
command_line = inside.module("command_line")
result = {"without an engine": command_line.run(["doctor"])}
bpy.context.preferences.addons[inside.MODULE].preferences.engine_python = os.environ["SMALTI_PYTHON"]
for name, arguments in given["commands"].items():
    print(f"BEGIN {name}", flush=True)
    result[name] = command_line.run(arguments)
bpy.context.preferences.addons[inside.MODULE].preferences.engine_python = "/no/such/python"
result["wrong python"] = command_line.run(["doctor"])
bpy.ops.preferences.addon_disable(module=inside.MODULE)
inside.finish(**result, left=len(command_line._commands))
