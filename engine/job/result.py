# SPDX-License-Identifier: GPL-3.0-or-later
"""The composition that a fit has come to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from smalti.bridge.composition import Header, TemplateFile
from smalti.bridge.folder import template_file
from smalti.bridge.version import VERSION

from ..composition import Composition
from .inputs import Inputs


def compose(inputs: Inputs, arrays: Mapping[str, NDArray[Any]]) -> Composition:
    """The composition of fitted sprites. `arrays`: those of `smalti.bridge.composition` by name."""
    regions = {
        index: Path(region.mask).stem
        for region, group in zip(reversed(inputs.job.regions), reversed(inputs.groups))
        for index in group.templates
    }
    luma = inputs.atlases.luma if inputs.job.shade else [None] * len(inputs.templates)
    header = Header(
        width=inputs.width,
        height=inputs.height,
        sprites=len(arrays["template"]),
        frames=len(arrays["x"]),
        blend_space=inputs.job.blend_space,
        colour_mix=inputs.job.colour_mix,
        background=inputs.background,
        frame_rate=inputs.frames.rate,
        templates=tuple(
            TemplateFile(
                template.name,
                template_file(index),
                template.width,
                template.height,
                mean,
                regions.get(index, ""),
                template.letter,
            )
            for index, (template, mean) in enumerate(zip(inputs.templates, luma))
        ),
        engine_version=VERSION,
        shade=inputs.job.shade,
    )
    return Composition(
        header, inputs.templates, **arrays, background_image=inputs.background_image, atlases=inputs.atlases
    )
