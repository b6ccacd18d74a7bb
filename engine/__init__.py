# SPDX-License-Identifier: GPL-3.0-or-later
"""Smalti's engine: the renderer, the optimiser and the exporters.

from smalti.engine import fit, load_composition, load_templates, render

templates = load_templates("leaves")
composition = fit("portrait.jpg", templates, count=1500, size=768)
composition.save("portrait-job")
image = render(load_composition("portrait-job"), size=4096)   # float32, premultiplied, in the blend space
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import fit
    from .composition import Composition, load_composition
    from .composition.render import picture, render
    from .job.run import resume_job, run_job
    from .templates import Template, load_templates
    from .templates.text import text_templates

__all__ = [
    "Composition",
    "Template",
    "fit",
    "load_composition",
    "load_templates",
    "picture",
    "render",
    "resume_job",
    "run_job",
    "text_templates",
]

_HOME = {
    "Composition": "composition",
    "Template": "templates",
    "fit": "api",
    "load_composition": "composition",
    "load_templates": "templates",
    "picture": "composition.render",
    "render": "composition.render",
    "resume_job": "job.run",
    "run_job": "job.run",
    "text_templates": "templates.text",
}


def __getattr__(name: str) -> Any:
    """Import on first use: the worker says hello before torch is loaded."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
