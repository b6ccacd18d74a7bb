# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses as text: a weighted sum of terms such as ``mse+0.3*ms_ssim``.

A term is a name, or a factor, an asterisk and a name; blanks are ignored. `TERMS` lists the names; the same names in
`smalti.engine.fitting.objective.losses` say how each is computed, and scale it so that a factor of 1 pulls about as
hard as mse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class TermInfo(NamedTuple):
    """What an artist needs to know of a loss term.

    Attributes:
        help: what it compares, in one line.
        needs_weights_file: whether it needs the weights of a network, `JobSpec.loss_weights_file`.
    """

    help: str
    needs_weights_file: bool = False


TERMS: Mapping[str, TermInfo] = {
    "mse": TermInfo("squared difference of colors: the default, and the fastest"),
    "l1": TermInfo("absolute difference of colors: outliers in the target (grain, scratches) count less"),
    "huber": TermInfo("mse for small differences, l1 for large ones"),
    "ssim": TermInfo("local contrast and structure at one scale"),
    "ms_ssim": TermInfo("local contrast and structure at up to five scales: `mse+ms_ssim`"),
    "edges": TermInfo("gradients, not levels: alone it leaves colors to chance, so best beside another: `mse+edges`"),
    "oklab": TermInfo("colors as the eye perceives them: squared distance in Oklab"),
    "alpha": TermInfo("opacity, for a cut-out with a firmer outline: `mse+alpha`"),
    "vgg": TermInfo(
        "features of the network VGG16; needs its weights (`--vgg-weights`) and PyTorch, and is slow", True
    ),
}
MAX_FACTOR = 1000.0

Terms = tuple[tuple[str, float], ...]
"""Names with their factors, each name once."""


def parse_loss(text: str) -> Terms:
    """The terms of a loss, in the order of the text. Raises ValueError with what is wrong with it."""
    if not text.strip():
        raise ValueError("it is empty")
    terms: dict[str, float] = {}
    for part in text.split("+"):
        factor, asterisk, name = part.rpartition("*")
        name = name.strip()
        if not name:
            raise ValueError("a term is missing beside a sign")
        if name not in TERMS:
            raise ValueError(f"there is no term {name!r}, only {', '.join(TERMS)}")
        if name in terms:
            raise ValueError(f"{name} is there twice")
        terms[name] = _factor(factor.strip(), name) if asterisk else 1.0
    return tuple(terms.items())


def needs_weights_file(terms: Terms) -> bool:
    """Whether one of the terms needs the weights of a network."""
    return any(TERMS[name].needs_weights_file for name, _ in terms)


def _factor(text: str, name: str) -> float:
    if not re.fullmatch(r"-?(\d+\.?\d*|\.\d+)([eE]-?\d+)?", text, re.ASCII):
        raise ValueError(f"the factor of {name} is {text!r}, which is no number")
    factor = float(text)
    if not 0 < factor <= MAX_FACTOR:
        raise ValueError(f"the factor of {name} is {text}, but must be more than 0 and at most {MAX_FACTOR:g}")
    return factor
