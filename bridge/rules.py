# SPDX-License-Identifier: GPL-3.0-or-later
"""What settings must be where no range says it.

The functions of a single setting name the rule that its value breaks, and return an empty text where it is good.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sized

from .loss import parse_loss

MAX_COLOURS = 1024
MAX_REGIONS = 64
MAX_TEXT = 10_000

LOSS = "a sum of terms, such as mse+0.3*ms_ssim"


def is_hex(colour: str) -> bool:
    """Whether a text is a color as #rrggbb."""
    return bool(re.fullmatch("#[0-9a-fA-F]{6}", colour))


def text_rule(text: str) -> str:
    """Of the letters that become bitmaps."""
    good = text.strip() and len(text) <= MAX_TEXT
    return "" if good else f"at most {MAX_TEXT:,} characters, not all of them blank"


def background_rule(background: str) -> str:
    """Of what lies behind the sprites."""
    good = is_hex(background) if background.startswith("#") else background
    return "" if good else "auto, transparent, a color as #rrggbb, or the path of an image"


def palette_rule(palette: tuple[str, ...]) -> str:
    """Of a list of colors."""
    if not all(map(is_hex, palette)):
        return "a list of colors as #rrggbb"
    return "" if 1 <= len(palette) <= MAX_COLOURS else f"of 1 to {MAX_COLOURS} colors"


def weights_rule(weights: tuple[float, ...]) -> str:
    """Of how often bitmaps are chosen."""
    return "" if weights and all(0 < weight < math.inf for weight in weights) else "a list of numbers above 0"


def loss_rule(loss: str) -> str:
    """Of what is minimized."""
    try:
        parse_loss(loss)
    except ValueError as fault:
        return f"{LOSS}: {fault}"
    return ""


def regions_rule(regions: Sized) -> str:
    """Of how many regions there are."""
    return "" if len(regions) <= MAX_REGIONS else f"at most {MAX_REGIONS} of them"
