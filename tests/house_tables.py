# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of test_house_rules.py: exceptions with their reasons, and words that are not written any more."""

from __future__ import annotations

from house_rules import Word

LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS = {
    "examples/draw_primitives.py:maple": "the outline of a leaf: a list of points",
}
LONG_PARAMETER_LISTS = {
    "addon/job_list.py:SMALTI_UL_jobs.draw_item": "Blender's signature",
    "addon/regions.py:SMALTI_UL_regions.draw_item": "Blender's signature",
    "engine/pytorch/autograd.py:composite": "the documented function with plain keywords; the engine passes a Scene",
    "tests/blender/synthetic.py:write_job": "a made-up job in keywords, each of which a test varies",
    "tests/scenes.py:random_scene": "a random scene in keywords, each of which a test varies",
}
"""Path, or ``path:function`` -> why it may be longer than the rest."""

CHOICES = ("draft", "balanced", "best", "published", "cuda", "cpu", "reference", "psd")
"""Names of presets, devices and formats, which only their tables know."""
CHOICES_COMPARED: dict[str, str] = {}
"""``path:choice`` -> why it is compared with a literal outside its table."""

FRONT_DOORS = ("engine/cli", "engine/worker.py", "engine/api.py", "addon")
DRAWING_ORDER = "addon/pages.py"
"""The one front door whose errand is to name settings; those that it does not name are drawn after the others."""
SETTINGS_NAMED = {
    "addon/fit.py:target": "a job folder that nobody chose is named after it",
    "addon/list_messages.py:text": "an argument of Blender's layouts, no setting",
    "addon/look.py:background": "three properties",
    "addon/palettes.py:palette": "drawn beside Blender's own palettes",
    "addon/presets.py:background": "two properties",
    "addon/presets.py:frames": "of one picture",
    "addon/presets.py:look": "changes other properties",
    "addon/presets.py:palette": "may be one of Blender's palettes",
    "addon/presets.py:regions": "of one picture",
    "addon/presets.py:seed": "of one picture",
    "addon/presets.py:target_frame": "of one picture",
    "addon/presets.py:text": "of one picture",
    "addon/properties.py:background": "three properties",
    "addon/properties.py:loss": "a short list of likenesses",
    "addon/properties.py:look": "changes other properties",
    "addon/properties.py:mask": "a region's, which names the region",
    "addon/properties.py:palette": "may be one of Blender's palettes",
    "addon/properties.py:regions": "a list of property groups",
    "addon/materials.py:size": "an attribute of instances, no setting",
    "addon/properties.py:size": "starts from another value in the panel",
    "addon/regions.py:regions": "the panel's list of them",
    "addon/ways_in.py:frame_rate": "is of the target before",
    "addon/ways_in.py:frames": "is of the target before; and a kind of thumbnails",
    "addon/ways_in.py:primitives": "what this module is about",
    "addon/ways_in.py:target": "what this module is about",
    "addon/ways_in.py:target_frame": "is of the target before",
    "addon/values.py:background": "made of three properties",
    "addon/values.py:font": "left out without a text",
    "addon/values.py:look": "changes other properties",
    "addon/values.py:loss": "made of a short list of likenesses",
    "addon/values.py:palette": "may be one of Blender's palettes",
    "addon/values.py:regions": "made of a list of property groups",
    "addon/session.py:frames": "how many frames a job has, no setting",
    "addon/view.py:look": "a property of Blender's scene, no setting",
    "engine/cli/bench.py:size": "an option of smalti bench, no setting",
    "engine/cli/fit.py:preset": "an estimate is for each preset where none is given",
    "engine/cli/fit.py:steps": "a key of the report, no setting",
    "engine/cli/options.py:bitmap_weights": "numbers with commas between",
    "engine/cli/options.py:count": "part of the help of --region; is refused where it follows from something else",
    "engine/cli/options.py:grid": "the count follows from it",
    "engine/cli/options.py:palette": "may be a file here",
    "engine/cli/options.py:primitives": "the hint where there is nothing to build with",
    "engine/cli/options.py:regions": "one option for each region",
    "engine/cli/options.py:start": "the count follows from it",
    "engine/cli/options.py:target": "the positional argument",
    "engine/cli/options.py:text": "the hint where there is nothing to build with",
    "engine/cli/options.py:text_file": "is a text too",
    "engine/cli/options.py:text_order": "the count follows from it",
    "engine/cli/options.py:text_split": "is refused without a text, although it has a default",
    "engine/cli/palette_argument.py:palette": "the reader of this option",
    "engine/cli/region_argument.py:regions": "the reader of this option",
}
"""``path:setting`` -> why a front door names this setting instead of looping over the table."""

NUMBERS: dict[str, str] = {
    "engine/fitting/constraints/overflow.py:FINER": "the size at which confinement is promised, which masks share",
    "engine/fitting/constraints/palette.py:SATURATED": "where a sigmoid is exactly 0 or 1 in single precision",
}
"""``path:NAME`` -> why this number of engine/fitting is no field of a settings class."""

CODE = ("addon/", "bridge/", "engine/", "benchmarks/")
FITTING = ("engine/fitting/", "engine/job/", "engine/bench/", "benchmarks/")
PIXELS = ("engine/fitting/", "engine/raster/", "engine/kernels/", "engine/cpu/", "engine/cuda/")

GLOSSARY = (
    Word(r"(?<![A-Za-z])[Gg]rounds?(?![a-z])", "background"),
    Word(r"\b(?:is|are|was|were|be)\s+worth\b(?! (?:reading|saying))", "importance, or: gains"),
    Word(r"(?<![A-Za-z])worth(?![a-z])", "importance", PIXELS),
    Word(r"removal_costs?\b", "removal_errors"),
    Word(r"\bcontributions\b|\b_amounts\b", "blending weights", PIXELS),
    Word(r"[Rr]ecycl\w*", "relocate"),
    Word(r"(?<![A-Za-z])(?:[Rr]eviv\w*|REVIVE)", "relocate occluded"),
    Word(r"\bEffort\b", "ProposalBudget"),
    Word(r"\b(?:RAISED|LOWERED|AT_BOTTOM|ON_TOP|IN_STACK)\b", "StackPosition"),
    Word(r"\b(?:[Rr]aising|[Ll]owering)\b", "moving to the top, to the bottom", ("engine/", "docs/")),
    Word(r"\bCULLS\b|\bsprites_to_show\b", "prune"),
    Word(r"\b(?:do|does) harm\b", "raise the error", (*CODE, "docs/")),
    Word(r"(?<![A-Za-z])(?:[Tt]rials?|TRIALS?)(?![a-z])|\b[Tt]ry_out\b", "candidates", (*CODE, "docs/", "tests/")),
    Word(r"[Aa]pprais\w*", "evaluate_candidates, CandidateScores"),
    Word(r"best_paint|(?<![A-Za-z])(?:[Pp]aint(?:s|ed)?|PAINT)(?![a-z])", "opacity and tint", PIXELS),
    Word(r"\bpublished\s+recipe\b|\bpublished\.py\b", "the DiffBMP baseline"),
    Word(r"(?<![A-Za-z])[Pp]lacers?(?![a-z])", "SpriteSampler"),
    Word(r"\b(?:Motion|MOTION)\b", "Schedule"),
    Word(r"(?<![A-Za-z])(?:BLUR|blur_until)(?![a-z])|\bblur=", "LOD bias", FITTING),
    Word(r"\bAim\b|\baimed\b", "Objective"),
    Word(r"\bwanted\b", "goal", PIXELS),
    Word(r"\bdef seen\b|\bimport seen\b", "display_encode"),
    Word(r"\bKeeper\b|(?<!_)\bLimits\b", "Constraints", ("engine/", "tests/")),
    Word(r"(?<![A-Za-z])(?:settled|admitted|lifted)\b", "feasible, repair_visibility", FITTING),
    Word(r"(?<![A-Za-z])[Mm]end(?:s|ed|ing)?(?![a-z])", "refine", CODE),
    Word(r"\bat_home\b|\bhomes?\b|\bHOMES\b", "anchor", ("engine/fitting/",)),
    Word(r"(?<![A-Za-z])(?:[Ss]pill\w*|SPILL)", "overflow", ("engine/fitting/", "tests/fitting/")),
    Word(r"\b(?:busy|BUSY|calm|CALM)\b", "saliency, local contrast", ("engine/fitting/",)),
    Word(r"\bLesson\b|\blearn(?:s|t|ed)?\b", "PixelGradient, gets gradient", CODE),
    Word(r"\bSight\b", "TexelFootprint"),
    Word(r"\bDrawables?\b|\bplace_maps\b", "projected sprite, preprocess"),
    Word(r"\bpair_numbers\b|\bPAIR_NUMBERS\b", "partial sums"),
    Word(r"\b_Resident\b|\b_Drawn\b", "DeviceAtlas, PreparedScene"),
    Word(r"\busable_device\b|(?<![A-Za-z])obstacles?(?![a-z])", "resolve_device, unavailable reason"),
    Word(r"\bexplained\(|\bimport explained\b", "to_user_error"),
    Word(r"\bprimitive\b", "template", ("addon/", "bridge/", "engine/")),
)
"""Words of the glossary's left column that a program can tell from plain English."""

DIALECT = (
    Word(r"\b[Ww]hoever\b", "the caller"),
    Word(r"\banew\b", "again, from the beginning, reset"),
    Word(r"\bto be had\b", "available"),
    Word(r"\bat hand\b", "current, available", (*CODE, "docs/")),
    Word(r"\btold\b", "reported", CODE),
    Word(r"\basked\b(?! for\b)", "requested", CODE),
    Word(r"\b[Nn]obody\b", "no caller, nothing", CODE),
    Word(r"\bled astray\b|\brules out\b", "a plain word", CODE),
    Word(r"\bthat of the last one\b", "a plain word", CODE),
    Word(r"\bso many\b(?! that\b)", "a number, or its name", CODE),
)
"""A private dialect, and what a native engineer would write."""

WORDS_ALLOWED: dict[str, str] = {"tests/window/walk.py:Limits": "a sub-panel, which the test reads off the window"}
"""``path:word as it stands`` -> why it may stand there."""
