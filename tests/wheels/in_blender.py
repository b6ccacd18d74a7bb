# SPDX-License-Identifier: GPL-3.0-or-later
"""What the installed extension must be able to do in a Blender without a window: fit, import, and go.

blender --command extension install-file --repo user_default --enable smalti-VERSION-PLATFORM.zip
blender --background --python-exit-code 1 --python tests/wheels/in_blender.py
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import time
from pathlib import Path

import bpy

MODULE = "bl_ext.user_default.smalti"
LIMIT = 300.0  # seconds
SPRITES = 60
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def fit(folder: Path) -> None:
    """Press Fit, and wait for the end; without a window nobody else steps the timer."""
    session = importlib.import_module(f"{MODULE}.session")
    settings = bpy.context.scene.smalti
    settings.target = str(EXAMPLES / "target" / "lighthouse.png")
    settings.primitives, settings.output = str(EXAMPLES / "primitives"), str(folder)
    settings.count, settings.size, settings.steps = SPRITES, 96, 40
    assert bpy.ops.smalti.fit() == {'FINISHED'}
    until = time.monotonic() + LIMIT
    while session.task is not None:
        assert time.monotonic() < until, session.task
        session.tick()
        time.sleep(0.05)
    assert not session.outcome.failed, session.outcome
    print(session.outcome.text)


def main() -> None:
    """Raises whatever is wrong."""
    with tempfile.TemporaryDirectory(prefix="schön, ") as parent:
        folder = Path(parent) / "job"
        fit(folder)
        assert bpy.ops.smalti.import_layers() == {'FINISHED'}
        collection = next(each for each in bpy.data.collections if each.name.startswith("job"))
        layers = [item for item in collection.all_objects if item.type == 'MESH']
        assert len(layers) >= SPRITES // 2, len(layers)
        bpy.ops.preferences.addon_disable(module=MODULE)
        assert not hasattr(bpy.types, "SMALTI_PT_main")
    print(f"Blender {bpy.app.version_string}, Python {sys.version.split()[0]}: {len(layers)} layers")


main()
