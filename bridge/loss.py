# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fit minimises, as a text: a sum of terms such as ``mse+0.3*ms_ssim``.

A term is a name, or a factor, an asterisk and a name; blanks do not matter. What the terms are stands in
`smalti.engine.fitting.objective.losses`, which scales each so that a factor of 1 pulls about as hard as mse.
"""

from __future__ import annotations

import re

TERMS = ("mse", "l1", "huber", "ssim", "ms_ssim", "edges", "oklab", "alpha", "vgg")
MAX_FACTOR = 1000.0

Terms = tuple[tuple[str, float], ...]
"""Names with their factors, each name once."""


def parse_loss(text: str) -> Terms:
    """The terms of a loss, in the order of the text. Raises ValueError, which says what is wrong with it."""
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


def _factor(text: str, name: str) -> float:
    if not re.fullmatch(r"-?(\d+\.?\d*|\.\d+)([eE]-?\d+)?", text, re.ASCII):
        raise ValueError(f"the factor of {name} is {text!r}, which is no number")
    factor = float(text)
    if not 0 < factor <= MAX_FACTOR:
        raise ValueError(f"the factor of {name} is {text}, but must be more than 0 and at most {MAX_FACTOR:g}")
    return factor
