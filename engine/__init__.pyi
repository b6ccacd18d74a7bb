# SPDX-License-Identifier: GPL-3.0-or-later
# The public names and where they are: the one list of them, which type checkers and __init__.py read.

from .api import fit as fit
from .composition import Composition as Composition
from .composition import load_composition as load_composition
from .composition.render import picture as picture
from .composition.render import render as render
from .export import export_job as export_job
from .job.legibility import Legibility as Legibility
from .job.legibility import measure_legibility as measure_legibility
from .job.run import resume_job as resume_job
from .job.run import run_job as run_job
from .templates import Template as Template
from .templates import load_templates as load_templates
from .templates.text import text_templates as text_templates
