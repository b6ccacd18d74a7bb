# SPDX-License-Identifier: GPL-3.0-or-later
"""Show jobs in the panel, one after another, and read them from there; name the settings that it cannot show."""

import dataclasses
import os
from typing import Any

import bpy
import inside

folder = inside.arguments()["folder"]
inside.enable("")
values, schema = inside.module("values"), inside.module("bridge.schema")
spec, region = inside.module("bridge.job").JobSpec, inside.module("bridge.region").RegionSpec
settings = bpy.context.scene.smalti
picture, bitmaps = os.path.join(folder, "a.png"), os.path.join(folder, "bitmaps")
plain = spec(picture, bitmaps)
changed = dataclasses.replace(
    plain,
    count=7,
    size=100,
    preset="best",
    look="collage",
    steps=12,
    shade=0.75,
    min_size=5.0,
    max_overlap=1.5,
    lock_scale=True,
    background="#336699",
    palette=("#ff0000", "#00ff00"),
    loss="mse+ms_ssim",
    target_mask=picture,
    text="abc",
    font=picture,
    text_split="words",
    regions=(region(picture, 30, max_size=9.0, confine=True), region(picture, 40, primitives=bitmaps)),
)
jobs = {
    "changed": changed,
    "plain": plain,
    "picture behind": dataclasses.replace(plain, background=picture, look="paper", colour_mix=0.25),
    "plain again": plain,
}
result: dict[str, Any] = {}
for name, job in jobs.items():
    assert values.set_values(settings, job) == []
    result[name] = [schema.to_mapping(job), schema.to_mapping(spec(**values.values_of(settings, spec)))]
beyond = dataclasses.replace(
    plain, primitives=(bitmaps, picture), min_size="5mm", print_width="20cm", until=30.0, loss="l1", preset="published"
)
not_taken = {one.name for one in values.set_values(settings, beyond)}
expected = ("primitives", "min_size", "until", "loss", "preset")
inside.finish(jobs=result, **{"not taken": [n for n in expected if n in not_taken] + sorted(not_taken - {*expected})})
