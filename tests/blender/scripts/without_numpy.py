# SPDX-License-Identifier: GPL-3.0-or-later
"""Enable the extension where numpy cannot be imported; say what is shown, and disable it."""

import sys
from types import SimpleNamespace
from typing import Any

import bpy
import drawing
import inside

bpy.ops.preferences.addon_disable(module=inside.MODULE)
for name in [each for each in sys.modules if each.split(".")[0] == "numpy" or each.startswith(inside.MODULE)]:
    del sys.modules[name]
blocked: Any = None
sys.modules["numpy"] = blocked
said = ""
try:
    bpy.ops.preferences.addon_enable(module=inside.MODULE)
except RuntimeError as fault:
    said = str(fault)
notes = drawing.notes()
without = inside.module("without_numpy")
for kind in (without.SMALTI_AP_without_numpy, without.SMALTI_PT_without_numpy):
    kind.draw(SimpleNamespace(layout=drawing.Layout(notes)), None)
bpy.ops.preferences.addon_disable(module=inside.MODULE)
inside.finish(said=said, labels=notes.labels, faults=notes.faults, left=hasattr(bpy.types, "SMALTI_PT_without_numpy"))
