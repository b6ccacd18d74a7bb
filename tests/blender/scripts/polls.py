# SPDX-License-Identifier: GPL-3.0-or-later
"""Press buttons that cannot work, one after the other; say what each says."""

from typing import Any

import bpy
import inside


def said(name: Any) -> Any:
    try:
        getattr(bpy.ops.smalti, name)()
    except RuntimeError as fault:
        return str(fault).strip().split(".poll() ")[-1]
    return ""


inside.enable("")
settings = bpy.context.scene.smalti
result = {
    "new scene": {
        name: said(name)
        for name in (
            "fit",
            "cancel",
            "resume",
            "export_psd",
            "match_colours",
            "restore_settings",
            "check_engine",
            "remove_region",
            "move_region",
        )
    }
}
folder = inside.arguments()["folder"]
settings.target = folder
result["nothing to build with"] = said("fit")
settings.text = "Smalti"
result["letters"] = said("fit")
settings.text, settings.primitives = "", folder
result["bitmaps"] = said("fit")
settings.output = folder
result["no engine"] = said("fit")
bpy.context.preferences.addons[inside.MODULE].preferences.engine_python = "/some/python"
result["export without a job"] = said("export_psd")
settings.output = "//job"
result["relative path in an unsaved file"] = said("fit")
settings.output, settings.size = folder, 5
result["setting out of range"] = said("fit")
settings.size, settings.count = 512, 0
result["no sprites"] = said("fit")
inside.add_regions([{"mask": folder}, {"primitives": folder}])
result["region without a mask"] = said("fit")
region = settings.regions[1]
region.mask = "//face.png"
result["relative mask in an unsaved file"] = said("fit")
region.mask, region.min_size, region.max_size = folder, 50, 20
result["sizes of a region the wrong way round"] = said("fit")
settings.primitives = ""
result["bitmaps for one of two regions"] = said("fit")
settings.regions[0].primitives = folder
result["bitmaps for both regions"] = said("fit")
inside.finish(**result)
