# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks: what of the bitmaps a picture shows, in one word.

A look is nothing but settings, each of which can be seen and changed. Where a job says which look it wants, the look's
settings stand in for those that are not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .choices import READING, Choice

Look = Literal["painterly", "collage", "paper", "photomosaic", "confetti"]

PAINTERLY: Look = "painterly"
"""The look of every setting's own default."""


@dataclass(frozen=True)
class LookChoice(Choice):
    """A look. `settings`: by their keys in job.json, what it sets."""

    settings: Mapping[str, Any] = field(default_factory=dict)


LOOKS: dict[Look, LookChoice] = {
    "painterly": LookChoice("Painterly", "Brushwork: as close to the target as bitmaps can come, in tints that blend"),
    "collage": LookChoice(
        "Collage",
        "Things that stay things: opaque, with their own light and shade, each of them to be seen",
        settings={
            "shade": 0.25,
            "alpha_min": 1.0,
            "cover": 0.1,
            "preferred_visibility": 0.8,
            "min_visibility": 0.15,
            "text_cards": True,
        },
    ),
    "paper": LookChoice(
        "Paper",
        "Ink on white paper: bitmaps in their own colors, and more than half of the paper bare",
        settings={"colour_mix": 1.0, "alpha_min": 1.0, "background": "#ffffff", "max_overlap": 0.6, "lighten": 0.4},
    ),
    "photomosaic": LookChoice(
        "Photomosaic",
        "Photographs side by side in a grid, each moved by a fifth toward the colors of the target",
        settings={"grid": "40x30", "colour_mix": 0.8, "alpha_min": 1.0},
    ),
    "confetti": LookChoice(
        "Confetti",
        "Scattered: opaque bitmaps side by side, hardly one over another",
        settings={
            "shade": 0.5,
            "alpha_min": 1.0,
            "cover": 0.2,
            "min_visibility": 0.9,
            "even_coverage": 0.3,
            "text_cards": True,
        },
    ),
}


def in_look(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their keys, with those of their look where they are not given. An unknown look adds nothing."""
    name = given.get("look")
    look = LOOKS.get(name) if isinstance(name, str) else None  # type: ignore[call-overload]
    if look is None:
        return dict(given)
    # A text that can be read says where its letters are: for visibility none is moved or dropped.
    out = {"min_visibility"} if given.get("text_order") == READING else ()
    return {**{key: value for key, value in look.settings.items() if key not in out}, **given}


def changed_by_looks() -> tuple[str, ...]:
    """The keys of all settings that any look sets, in alphabetical order."""
    return tuple(sorted({key for look in LOOKS.values() for key in look.settings}))
