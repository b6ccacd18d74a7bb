# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order the panel shows the settings. One that no column names comes at the end of its page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import palettes, ways_in
from .bridge.job import JobSpec, RegionSpec
from .bridge.settings import settings_of
from .optional import OPEN, check_box_of, kept_of


@dataclass(frozen=True)
class Item:
    """A property that is not always shown, or not as usual.

    Attributes:
        name: the property.
        when: whether it is shown, given the settings.
        expand: whether an enumeration is a row of buttons.
        draw: shows it, given a layout and the settings, where it is more than a property.
    """

    name: str
    when: Callable[[Any], bool] = lambda settings: True
    expand: bool = False
    draw: Callable[[Any, Any], None] | None = None


@dataclass(frozen=True)
class Column:
    """Properties below each other.

    Attributes:
        items: the properties, most of them by their names.
        heading: before the first; left out of the labels.
        align: without space between.
    """

    items: tuple[str | Item, ...]
    heading: str = ""
    align: bool = False


def _has_text(settings: Any) -> bool:
    return bool(settings.text or settings.text_file)


_PAGES: dict[str, tuple[Column, ...]] = {
    "main": (
        Column(
            (
                "look",
                Item("target", draw=ways_in.draw_target),
                Item("primitives", draw=ways_in.draw_bitmaps),
                "text",
                Item("font", _has_text),
                Item("text_split", _has_text, expand=True),
                Item("text_order", _has_text, expand=True),
                Item("text_cards", _has_text),
                "text_file",
            ),
        ),
        Column(
            (
                *("count", "size", "preset", "colour_mix", "shade", "background"),
                Item("background_colour", lambda settings: settings.background == 'COLOUR'),
                Item("background_image", lambda settings: settings.background == 'IMAGE'),
                "seed",
            )
        ),
        Column(("output",)),
    ),
    "advanced": (
        Column(("steps", "loss", "blend_space", "mask", "device")),
        Column(("lock_rotation", "lock_scale"), heading="Lock"),
        Column(("min_size", "max_size"), align=True),
        Column(("alpha_max", "alpha_min", "target_mask", "lighten", "weight_map", "detail_weight")),
        Column(("target_frame", "frames", "frame_rate", "frame_steps", "coherence"), align=True),
    ),
    "limits": (
        Column((Item("palette", draw=palettes.draw), "rotation_steps", "keep_in", "keep_out", "inside_outline")),
        Column(("min_visibility", "preferred_visibility", "max_overlap", "even_coverage", "cover")),
    ),
}
_REGION = (
    Column(("mask", "count", Item("primitives", draw=ways_in.draw_bitmaps_of_region))),
    Column(("min_size", "max_size"), align=True),
    Column(("confine",)),
)


def draw(layout: Any, settings: Any, page: str) -> None:
    """Show the settings of a page."""
    _draw(layout, settings, _PAGES[page], [name for name, one in settings_of(JobSpec).items() if one.page == page])


def draw_region(layout: Any, region: Any) -> None:
    """Show the settings of a region."""
    _draw(layout, region, _REGION, list(settings_of(RegionSpec)))


def _draw(layout: Any, owner: Any, columns: tuple[Column, ...], names: list[str]) -> None:
    placed = {item if isinstance(item, str) else item.name for column in columns for item in column.items}
    rest = tuple(name for name in names if name not in placed)
    for column in (*columns, Column(rest)) if rest else columns:
        drawn = layout.column(heading=column.heading, align=column.align)
        for item in column.items:
            one = Item(item) if isinstance(item, str) else item
            if one.when(owner):
                _draw_item(drawn, owner, one, column.heading)


def _draw_item(layout: Any, owner: Any, item: Item, heading: str) -> None:
    if item.draw is not None:
        item.draw(layout, owner)
        return
    if check_box_of(item.name) in owner.bl_rna.properties:
        _draw_open_number(layout, owner, item.name)
        return
    look: dict[str, Any] = {"expand": True} if item.expand else {}
    if heading:
        look["text"] = owner.bl_rna.properties[item.name].name.removeprefix(f"{heading} ")
    layout.prop(owner, item.name, **look)


def _draw_open_number(layout: Any, owner: Any, name: str) -> None:
    """A number behind its check box; while it is left open, in gray, what it would be."""
    row = layout.row(align=True, heading=owner.bl_rna.properties[name].name)
    row.prop(owner, check_box_of(name), text="")
    number = row.row(align=True)
    is_open = getattr(owner, name) == OPEN
    number.active = not is_open
    number.prop(owner, kept_of(name) if is_open else name, text="")
