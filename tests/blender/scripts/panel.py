# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel as it is at first: its job, the labels and tooltips of its properties, and those that are drawn."""

import importlib

import bpy
import drawing
import inside

inside.enable("")
settings = bpy.context.scene.smalti
inside.set_up(inside.arguments()["settings"])
bpy.ops.smalti.add_region()
settings.regions[0].mask = inside.arguments()["settings"]["target"]
job, schema = inside.module("job"), inside.module("bridge.schema")
notes = drawing.noted()
groups = {"settings": settings, "region": settings.regions[0]}
operators = [getattr(bpy.ops.smalti, name).get_rna_type() for name in dir(bpy.ops.smalti)]
blf = importlib.import_module("blf")  # there once bpy is
blf.size(0, bpy.context.preferences.ui_styles[0].widget.points)
inside.finish(
    widths={text: blf.dimensions(0, text)[0] for text in notes.beside},
    job=schema.to_mapping(job.job_of(settings)),
    faults=notes.faults,
    drawn=notes.properties,
    texts=notes.texts,
    headings=notes.headings,
    kinds={
        name: {p.identifier: [p.type, p.subtype.replace("_", "")] for p in group.bl_rna.properties}
        for name, group in groups.items()
    },
    said=[
        text
        for owner in (*(type(group).bl_rna for group in groups.values()), *operators)
        for p in owner.properties
        for text in (p.name, p.description, *(i.name + i.description for i in getattr(p, "enum_items", ())))
    ]
    + [text for operator in operators for text in (operator.name, operator.description)]
    + notes.labels,
)
