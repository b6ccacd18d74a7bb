# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that are one of a few names: the names, what the panel calls them, and what each is.

A table's keys are the arguments of the `Literal` above it, in the same order (`bridge.settings` sees to it). Blender
keeps the place of a name in its table: new ones go to the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

Name = TypeVar("Name", bound=str)

AUTO = "auto"
"""The device, mask or background that the engine chooses."""


@dataclass(frozen=True)
class Choice:
    """One name that a setting may have.

    Attributes:
        label: what the panel calls it.
        help: what it is.
        everyday: offered in the panel; the others are for measuring and checking, on the command line and in Python.
    """

    label: str
    help: str
    everyday: bool = True


@dataclass(frozen=True)
class PresetChoice(Choice):
    """A preset. `regions`: whether a job with it may have regions."""

    regions: bool = True


def everyday(table: Mapping[Name, Choice]) -> tuple[Name, ...]:
    """The names of a table that are offered in the panel."""
    return tuple(name for name, choice in table.items() if choice.everyday)


Preset = Literal["draft", "balanced", "best", "published"]
PRESETS: dict[Preset, PresetChoice] = {
    "draft": PresetChoice("Draft", "A first look, in about a third of the time"),
    "balanced": PresetChoice("Balanced", "The usual way"),
    "best": PresetChoice("Best", "A closer match, in about three times the time"),
    "published": PresetChoice(
        "Published", "The recipe of DiffBMP (arXiv 2602.22625), to measure against", everyday=False, regions=False
    ),
}

Mask = Literal["auto", "alpha", "background", "luminance", "none"]
MASKS: dict[Mask, Choice] = {
    "auto": Choice("Automatic", "The bitmap's own transparency where it has any, else a plain background is cut away"),
    "alpha": Choice("Alpha", "The bitmap's own transparency"),
    "background": Choice("Background", "Cut away the border's color"),
    "luminance": Choice("Luminance", "Black is opaque, white is transparent"),
    "none": Choice("None", "Bitmaps are opaque rectangles"),
}

BlendSpace = Literal["srgb", "linear"]
BLEND_SPACES: dict[BlendSpace, Choice] = {
    "srgb": Choice("sRGB", "As image editors do; Blender shows it with the Raw view"),
    "linear": Choice("Linear", "As renderers do; Blender shows it with the Standard view"),
}

TextSplit = Literal["glyphs", "words"]
TEXT_SPLITS: dict[TextSplit, Choice] = {
    "glyphs": Choice("Glyphs", "Each letter, digit or sign"),
    "words": Choice("Words", "Each word"),
}

READING = "reading"
"""The order of a text in which all of it is there to be read."""

TextOrder = Literal["free", "reading"]
TEXT_ORDERS: dict[TextOrder, Choice] = {
    "free": Choice("Free", "Each different letter or word is a bitmap, used as often and wherever it suits"),
    "reading": Choice(
        "Reading", "Every letter or word once, along lines over the canvas, as many sprites as there are"
    ),
}

Device = Literal["auto", "cpu", "cuda", "reference"]
DEVICES: dict[Device, Choice] = {
    "auto": Choice("Automatic", "The fastest that is present"),
    "cpu": Choice("CPU", "The processor"),
    "cuda": Choice("CUDA", "An NVIDIA graphics card"),
    "reference": Choice("Reference", "Plain PyTorch, slow: what the others are checked against", everyday=False),
}
