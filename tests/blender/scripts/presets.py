# SPDX-License-Identifier: GPL-3.0-or-later
"""Add a preset, change everything, apply it; apply one of another version, and one that is damaged; remove it."""

from pathlib import Path
from typing import Any

import bpy
import inside

folder = Path(inside.arguments()["folder"])
inside.enable("")
presets, palettes, values = (inside.module(name) for name in ("presets", "palettes", "values"))
settings = bpy.context.scene.smalti
result: dict[str, Any] = {}
settings.look, settings.count, settings.shade, settings.steps = 'CONFETTI', 77, 0.5, 12
settings.blender_palette = bpy.data.palettes.new("mine")
palettes.fill(settings.blender_palette, ("#ff0080", "#336699"))
settings.target, settings.seed = "/another/picture.png", 3
bpy.ops.smalti.add_preset(name="Mine")
(path,) = Path(bpy.utils.user_resource('SCRIPTS', path="presets/smalti")).glob("*.py")
said = presets.read(path.read_text())
result["saved"] = {name: said[name] for name in ("count", "shade", "look", "palette")}
result["left out"] = [name for name in ("target", "primitives", "output", "seed", "text", "font") if name in said]

settings.look, settings.count, settings.blender_palette, settings.steps = 'PAPER', 5, None, 0
settings.target, settings.primitives, settings.output, settings.seed = "/a/picture.png", "/a/folder", "/a/job", 5
bpy.ops.smalti.apply_preset(filepath=str(path))
rows = inside.module("bridge.settings").settings_of(inside.module("bridge.job").JobSpec)
codes = values.value_of(settings, rows["palette"])
result["applied"] = [settings.count, round(settings.shade, 6), settings.look, codes, settings.steps]
result["kept"] = [settings.target, settings.primitives, settings.output, settings.seed]

other = folder / "other.py"
other.write_text(
    "import bpy\nsettings = bpy.context.scene.smalti\nsettings.gone = 1\nsettings.look = 'NO_SUCH'\n"
    f"settings.count = 99\nsettings.preset = 'DRAFT'\nopen({str(folder / 'ran')!r}, 'w')\n"
)
bpy.ops.smalti.apply_preset(filepath=str(other))
result["from another version"] = [settings.count, settings.preset]
result["reset"] = settings.steps
result["nothing ran"] = not (folder / "ran").exists()
other.write_text("settings.count = = 3\n")
try:
    bpy.ops.smalti.apply_preset(filepath=str(other))
except RuntimeError as fault:
    result["damaged"] = str(fault)
bpy.ops.smalti.add_preset(name="Mine", remove_name=True)
result["removed"] = not path.exists()
inside.finish(**result)
