# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates: bitmaps and drawings with their alpha, trimmed, with a transparent margin on all sides."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import Mask

from ..arrays import UInt8Array
from ..bitmaps import bled
from ..files.atomic import write_all_atomic
from ..files.images import (
    MAX_PIXELS,
    premultiply,
    quiet,
    read_image,
    read_size,
    straight_from_premultiplied,
    write_png_to,
)
from ..thread_count import map_on_threads
from .margin import with_margin
from .matte import border_color, dark_as_opaque, ink, without_background
from .sources import BitmapFiles, bitmap_files
from .svg import Drawing, is_drawing, read_drawing
from .tile import cropped, side_for

logger = logging.getLogger(__name__)

MAX_SIDE = 4096
"""Longest side of a template, texels; larger bitmaps are reduced."""
MAX_TEXELS = 64_000_000
"""Largest number of texels of all templates together; with more, the limit on the longer side falls for all."""
NEARLY_OPAQUE = 250
"""A file whose lowest alpha (of 255) is not below this counts as opaque: lossy formats leave such noise."""

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, eq=False)
class Template:
    """A bitmap that sprites are made of.

    Attributes:
        name: unique among the templates of a job, ignoring case.
        rgba: [height, width, 4], straight alpha, sRGB-encoded, with a transparent margin of one texel on every side.
            Transparent texels have the color of their neighbors, so that interpolation in other programs shows no dark
            halo.
        weight: how often sprites are made of it, against the others; above 0.
        letter: the character that it shows; empty where it shows none.
    """

    name: str
    rgba: UInt8Array
    weight: float = 1.0
    letter: str = ""

    @property
    def width(self) -> int:
        """Texels, margin included."""
        return int(self.rgba.shape[1])

    @property
    def height(self) -> int:
        """Texels, margin included."""
        return int(self.rgba.shape[0])

    def cropped(self, width: int, height: int) -> Template:
        """Its middle at this size, in texels without the margin (see `smalti.engine.templates.tile`)."""
        return replace(self, rgba=bled(with_margin(cropped(self.rgba[1:-1, 1:-1], width, height))))

    def mirrored(self) -> Template:
        """Its mirror image, left for right."""
        return replace(self, name=f"{self.name} mirrored", rgba=np.ascontiguousarray(self.rgba[:, ::-1]))

    @cached_property
    def coverage(self) -> float:
        """Mean alpha, 0 to 1, margin included."""
        return float(self.rgba[..., 3].mean()) / 255

    @cached_property
    def mean_colour(self) -> tuple[float, float, float]:
        """Mean color weighted by alpha, sRGB-encoded, 0 to 1."""
        mean = premultiply(self.rgba).reshape(-1, 4).mean(axis=0, dtype=np.float64)
        red, green, blue = (mean[:3] / max(mean[3], 1e-9)).tolist()
        return red, green, blue


def load_templates(path: Path | str, *, mask: Mask = "auto") -> list[Template]:
    """Make templates of one bitmap, or of all bitmaps in a folder or of a pattern (in natural order of their names).

    SVG drawings count as bitmaps with transparency, whatever the mask. The drawing without the empty page around it is
    rendered with `smalti.engine.templates.svg.SIDE` texels on the longer side.

    Args:
        path: a folder, a file, or a pattern (see `smalti.engine.templates.sources.bitmap_files`).
        mask: where alpha comes from.
            ``"auto"``: the file's alpha if it has transparency. Otherwise, if the border is plain, the background is
            keyed out: everywhere if the picture is one ink on paper, else only where it is connected to the border.
            Otherwise the bitmap is an opaque rectangle (a photograph as a tile).
            ``"alpha"``: the file's alpha; opaque if it has none.
            ``"background"``: the border's prevailing color is keyed out where it is connected to the border.
            ``"luminance"``: black is opaque, white transparent, times the file's alpha.
            ``"none"``: an opaque rectangle; transparent parts of the file are laid on white.

    Returns:
        At least one template. Bitmaps larger than `MAX_SIDE` are reduced, and all are reduced further if together
        they have more than `MAX_TEXELS` texels.

    Raises:
        SmaltiError: `path` is missing, an empty folder, a folder without pictures, or a pattern that nothing fits; a
            single bitmap is unusable (codes of `read_image` and `read_drawing`, or ``"bitmap_transparent"``); or no
            bitmap of the folder or pattern is usable (``"no_usable_bitmap"``). Other broken bitmaps there are left out
            with one warning each.
    """
    (loaded,) = load_sources([path], mask=mask)
    return uniquely_named(loaded)


def load_sources(
    paths: Iterable[Path | str], *, mask: Mask = "auto", tile: tuple[int, int] | None = None
) -> list[list[Template]]:
    """Make templates of several files, folders and patterns.

    Together they have at most `MAX_TEXELS` texels. Names may repeat.

    Args:
        paths: each as `load_templates` takes one.
        mask: see `load_templates`.
        tile: width and height, texels, to which the middle of each is cropped; plain backgrounds then stay. None leaves
            bitmaps whole.

    Returns:
        The templates of each path, at least one.

    Raises:
        SmaltiError: as `load_templates`.
    """
    files = [bitmap_files(Path(path)) for path in paths]
    opened: dict[Path, tuple[Path | Drawing, tuple[int, int]] | SmaltiError] = {}
    for file in dict.fromkeys(file for found in files for file in found.files):
        try:
            opened[file] = (source := _opened(file), _size(source))
        except SmaltiError as fault:
            opened[file] = fault
    readable, _ = _usable(opened.values())
    prepared = iter(_prepared_on_all_cores(dict(readable), mask, tile))
    results = {file: one if isinstance(one, SmaltiError) else next(prepared) for file, one in opened.items()}
    return [_templates_of(found, [results[file] for file in found.files]) for found in files]


def _templates_of(found: BitmapFiles, results: Sequence[Template | SmaltiError]) -> list[Template]:
    """The good ones of the results for the files that one path stands for. Raises SmaltiError where there is none."""
    loaded, faults = _usable(results)
    if found.is_one and faults:
        raise faults[0]
    for fault in faults:
        logger.warning("Left out: %s", fault.message)
    if not loaded:
        reason = f" First reason: {faults[0].message}" if faults else ""
        raise SmaltiError(
            f"{found.path}: holds no usable bitmap.{reason}",
            "Choose a folder with at least one good picture.",
            "no_usable_bitmap",
        )
    return loaded


def _usable(results: Iterable[ResultT | SmaltiError]) -> tuple[list[ResultT], list[SmaltiError]]:
    """Results and faults apart."""
    good, faults = [], []
    for result in results:
        if isinstance(result, SmaltiError):
            faults.append(result)
        else:
            good.append(result)
    return good, faults


def _prepared_on_all_cores(
    sizes: Mapping[Path | Drawing, tuple[int, int]], mask: Mask, tile: tuple[int, int] | None
) -> Iterator[Template | SmaltiError]:
    """The template of each bitmap or drawing, given its width and height, or what is wrong with it."""
    limit = _side_limit(list(sizes.values())) if tile is None else MAX_SIDE

    def prepared(source: Path | Drawing) -> Template | SmaltiError:
        try:
            if tile is not None:
                return Template(_path(source).stem, _tile(source, mask, sizes[source], tile))
            return Template(_path(source).stem, _prepared(source, mask, limit))
        except SmaltiError as fault:
            return fault

    largest = max((width * height for width, height in sizes.values()), default=1)
    with quiet():
        yield from map_on_threads(prepared, sizes, most=max(1, MAX_PIXELS // (4 * largest)))  # memory must suffice


def uniquely_named(templates: Iterable[Template]) -> list[Template]:
    """The templates, with ``_2``, ``_3`` ... added to names that repeat, ignoring case and Unicode composition."""
    templates = list(templates)
    names = _unique(template.name for template in templates)
    return [t if t.name == name else replace(t, name=name) for t, name in zip(templates, names)]


def save_templates(templates: Iterable[Template], paths: Iterable[Path]) -> None:
    """Write templates as PNG, margin included, each in one step.

    Raises:
        SmaltiError: code ``"cannot_write"``.
    """
    write_all_atomic({path: partial(write_png_to, rgba=template.rgba) for path, template in zip(paths, templates)})


def read_template(path: Path, name: str) -> Template:
    """Read what `save_templates` wrote, texel for texel.

    Raises:
        SmaltiError: as `read_image`.
    """
    return Template(name, read_image(path))


def _side_limit(sizes: list[tuple[int, int]]) -> int:
    """The largest limit on the longer side, up to `MAX_SIDE`, with which all bitmaps stay within `MAX_TEXELS`.

    Args:
        sizes: width and height of each bitmap, texels.
    """
    full = np.array(sizes, np.float64).reshape(-1, 2)
    longer = full.max(axis=1)

    def texels(limit: int) -> float:
        return float((full.prod(axis=1) * np.minimum(1, limit / longer) ** 2).sum())

    low, high = 1, MAX_SIDE
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if texels(middle) <= MAX_TEXELS else (low, middle - 1)
    reduced = int((longer > low).sum())
    if reduced:
        logger.info("%d of %d bitmaps are reduced to %d pixels on the longer side.", reduced, len(sizes), low)
    return low


def _opened(path: Path) -> Path | Drawing:
    """What a template is made from: the path of a bitmap, or a drawing that is read already."""
    return read_drawing(path) if is_drawing(path) and not path.is_dir() else path


def _path(source: Path | Drawing) -> Path:
    return source.path if isinstance(source, Drawing) else source


def _size(source: Path | Drawing) -> tuple[int, int]:
    return source.size if isinstance(source, Drawing) else read_size(source)


def _prepared(source: Path | Drawing, mask: Mask, limit: int) -> UInt8Array:
    """`Template.rgba` of a bitmap or drawing, at most `limit` texels on the longer side before the margin."""
    if isinstance(source, Drawing):
        rgba = source.pixels(limit)
    else:  # where bitmaps are reduced since there are too many of them, time counts
        rgba = _cut_out(read_image(source, limit, rough=limit < MAX_SIDE), mask, source)
    return bled(with_margin(_trimmed(rgba)))


def _tile(source: Path | Drawing, mask: Mask, size: tuple[int, int], tile: tuple[int, int]) -> UInt8Array:
    """`Template.rgba` of a bitmap or drawing of this size, cropped to a tile, without the margin of this size."""
    limit = min(MAX_SIDE, side_for(size, *tile))
    if isinstance(source, Drawing):
        rgba = source.pixels(limit)
    else:  # a photograph with a plain border stays whole
        rgba = _cut_out(read_image(source, limit), "alpha" if mask == "auto" else mask, source)
    return bled(with_margin(cropped(rgba, *tile)))


def _cut_out(rgba: UInt8Array, mask: Mask, path: Path) -> UInt8Array:
    """The bitmap [H, W, 4] with the alpha that `mask` stands for (see `load_templates`)."""
    alpha = rgba[..., 3]
    if not alpha.any():
        raise SmaltiError(f"{path}: is fully transparent.", "Leave it out, or export it again.", "bitmap_transparent")
    if mask == "alpha" or (mask == "auto" and alpha.min() < NEARLY_OPAQUE):
        return rgba
    if mask == "none":
        return _on_white(rgba)
    if mask == "luminance":
        result = dark_as_opaque(rgba)
    else:
        color, plain = border_color(rgba)
        if mask == "background":
            result = without_background(rgba, color)
        elif plain:
            as_ink = ink(rgba, color)
            result = without_background(rgba, color) if as_ink is None else as_ink
            if not result[..., 3].any():
                return rgba  # one plain color everywhere: a tile
        else:
            return rgba
    if not result[..., 3].any():
        raise SmaltiError(
            f"{path}: nothing is left of it with the mask {mask!r}.", "Choose another mask.", "bitmap_transparent"
        )
    return result


def _on_white(rgba: UInt8Array) -> UInt8Array:
    """The bitmap [H, W, 4] laid on white: opaque."""
    flat = premultiply(rgba)
    flat += 1 - flat[..., 3:]
    return straight_from_premultiplied(flat)


def _trimmed(rgba: UInt8Array) -> UInt8Array:
    """The smallest rectangle of the bitmap [H, W, 4] with all texels that are not fully transparent."""
    rows = np.flatnonzero(rgba[..., 3].any(axis=1))
    columns = np.flatnonzero(rgba[..., 3].any(axis=0))
    return rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _unique(names: Iterable[str]) -> list[str]:
    """The names, with ``_2``, ``_3`` ... added to those that repeat, ignoring case and Unicode composition."""

    def key(name: str) -> str:
        return unicodedata.normalize("NFC", name).casefold()

    names = list(names)
    taken = {key(name) for name in names}
    used: set[str] = set()
    result = []
    for name in names:
        unique, number = name, 2
        while key(unique) in used or (unique != name and key(unique) in taken):
            unique, number = f"{name}_{number}", number + 1
        used.add(key(unique))
        result.append(unique)
    return result
