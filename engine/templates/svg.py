# SPDX-License-Identifier: GPL-3.0-or-later
"""SVG files as bitmaps, rendered by resvg at any size, without opening the files that they refer to.

resvg opens every picture that an SVG refers to, wherever it lies. So the file is parsed here first, references to other
files are removed, and resvg gets a text that holds the drawing alone.
"""

from __future__ import annotations

import gzip
import io
import logging
import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image

from smalti.bridge.errors import SmaltiError

from ..arrays import BoolArray, UInt8Array
from ..errors import unreadable

logger = logging.getLogger(__name__)

ENDINGS = frozenset({".svg", ".svgz"})

SIDE = 1024
"""Longer side of a rendered drawing in texels, and so the length up to which a sprite of it stays crisp. Twice as much
would take four times as long to load."""
MAX_BYTES = 64 * 2**20
"""Largest size of a file's text, unpacked."""
MAX_PAGE = 1e7
"""Longest side of a page, pixels. The size of a page hardly matters otherwise: the drawing is scaled."""
MAX_PROPORTION = 1000
"""Largest ratio of a page's longer side to its shorter one."""

_PROBE = 512
"""Longer side, in pixels, of the picture in which the drawing's bounds on its page are found."""

_SVG = "http://www.w3.org/2000/svg"
_UNITS = {"": 1.0, "px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 4 / 3, "pc": 16.0}
_LENGTH = re.compile(rf"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*({'|'.join(_UNITS)})\s*")


@dataclass(frozen=True, eq=False)
class Drawing:
    """An SVG file that draws something.

    Attributes:
        path: the file.
        root: its outermost element, without references to other files.
        page: width and height of the page in CSS pixels, 1/96 inch.
        box: left, top, width and height of the visible drawing on the page, in CSS pixels, rounded outwards.
    """

    path: Path
    root: Element
    page: tuple[float, float]
    box: tuple[float, float, float, float]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in texels without a limit: `SIDE` on the longer side."""
        return _fitted(self.box[2], self.box[3], SIDE)

    def pixels(self, max_side: int) -> UInt8Array:
        """Render the box.

        Args:
            max_side: limit on the longer side, in texels, if below `SIDE`.

        Returns:
            [H, W, 4], straight alpha, sRGB-encoded; transparent where the file draws nothing.

        Raises:
            SmaltiError: as `read_drawing`.
        """
        width, height = _fitted(self.box[2], self.box[3], min(SIDE, max_side))
        rgba = _rendered(self.path, self.root, self.page, self.box, width, height)
        if not rgba[..., 3].any():  # too faint for so few texels
            raise _blank(self.path)
        return rgba


def is_drawing(path: Path) -> bool:
    """Whether the file's ending is one of an SVG file."""
    return path.suffix.lower() in ENDINGS


def read_drawing(path: Path) -> Drawing:
    """Read an SVG file, compressed with gzip or not.

    Embedded pictures are rendered; pictures in other files are left out with a warning. Text is set in the fonts of
    this machine, also with a warning. Scripts and animations are ignored.

    Raises:
        SmaltiError: code ``"picture_missing"``, ``"picture_unreadable"`` (permission), ``"picture_empty"`` (zero
            bytes), ``"picture_too_large"`` (more than `MAX_BYTES`), ``"picture_damaged"`` (broken XML or gzip, or what
            resvg refuses), ``"not_a_picture"`` (XML, but no SVG), ``"drawing_size"`` (no width, height or viewBox, or
            an invalid one), ``"drawing_empty"`` (nothing visible on its page), or ``"package_missing"``.
    """
    root = _parsed(path, _unpacked(path))
    _remove_references(root, path)
    if _has_text(root):
        logger.warning(
            "%s: holds text, which shows only where its font is installed; a drawing program can turn it into paths.",
            path,
        )
    page = _page(root, path)
    columns, rows = _fitted(*page, _PROBE)
    alpha = _rendered(path, root, page, (0, 0, *page), columns, rows)[..., 3]
    if not alpha.any():
        raise _blank(path)
    left, width = _extent(alpha.max(axis=0) > 0, page[0])
    top, height = _extent(alpha.max(axis=1) > 0, page[1])
    return Drawing(path, root, page, (left, top, width, height))


def _blank(path: Path) -> SmaltiError:
    return SmaltiError(
        f"{path}: draws nothing on its page.",
        "See in a drawing program whether its shapes have a color, its layers are shown and its fonts are installed.",
        "drawing_empty",
    )


def _unpacked(path: Path) -> bytes:
    """The text of an SVG file, decompressed. Raises SmaltiError as `read_drawing`."""
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except FileNotFoundError as fault:
        raise SmaltiError(f"{path}: does not exist.", "Check the path.", "picture_missing") from fault
    except OSError as fault:
        raise unreadable(path, fault, "picture_unreadable") from fault
    if data == b"":
        raise SmaltiError(f"{path}: is empty (0 bytes).", "Export or copy it again.", "picture_empty")
    if data is not None and data.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(io.BytesIO(data)) as packed:
                data = packed.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as fault:
            raise _damaged(path, fault) from fault
    if data is None or len(data) > MAX_BYTES:
        raise SmaltiError(
            f"{path}: is too large; at most {MAX_BYTES // 2**20} MB of SVG can be read.",
            "Simplify it in a drawing program, or export it as PNG.",
            "picture_too_large",
        )
    return data


def _damaged(path: Path, fault: Exception) -> SmaltiError:
    return SmaltiError(f"{path}: is damaged, or no SVG ({fault}).", "Export or copy it again.", "picture_damaged")


def _parsed(path: Path, data: bytes) -> Element:
    """The outermost element, without comments, processing instructions and document type, entities expanded."""
    try:
        # Expat itself refuses entities that grow without bounds, and opens no external ones.
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as fault:  # the latter two: an unknown encoding
        raise _damaged(path, fault) from fault
    namespace, _, name = root.tag.rpartition("}")
    if name != "svg" or namespace not in ("", "{" + _SVG):
        raise SmaltiError(
            f"{path}: is not an SVG drawing (its outermost element is <{name}>).",
            "Export it as SVG from a drawing program.",
            "not_a_picture",
        )
    if not namespace:  # written by hand, or cut out of a web page
        for element in root.iter():
            if not element.tag.startswith("{"):
                element.tag = f"{{{_SVG}}}{element.tag}"
    return root


def _local(name: str) -> str:
    """An XML name without its namespace."""
    return name.rpartition("}")[2]


def _remove_references(root: Element, path: Path) -> None:
    """Remove what refers to other files, with a warning."""
    count = 0
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if _local(key) == "href" and not value.startswith(("#", "data:")):
                del element.attrib[key]
                count += _local(element.tag) in ("image", "feImage", "use")
    if count:
        logger.warning("%s: names other files (%d), which are left out; embed them in a drawing program.", path, count)


def _has_text(root: Element) -> bool:
    return any(_local(element.tag) == "text" for element in root.iter())


def _page(root: Element, path: Path) -> tuple[float, float]:
    """Width and height of the page in CSS pixels. Raises SmaltiError, code ``"drawing_size"``."""
    width, height = _length(root.get("width")), _length(root.get("height"))
    view = _view_box(root, path)
    if view is not None:
        if width is None:
            width = view[0] if height is None else height * view[0] / view[1]
        if height is None:
            height = width * view[1] / view[0]
    if width is None or height is None:
        raise SmaltiError(
            f"{path}: has no viewBox, and no width and height either.",
            "Export it again from a drawing program.",
            "drawing_size",
        )
    if not _is_valid(width, height):
        raise _bad_page(path, f"a page of {width:g} x {height:g} pixels")
    return width, height


def _view_box(root: Element, path: Path) -> tuple[float, float] | None:
    """Width and height of the viewBox, None without one. Raises SmaltiError, code ``"drawing_size"``."""
    text = root.get("viewBox")
    if text is None:
        return None
    try:
        _, _, width, height = (float(number) for number in re.split(r"[\s,]+", text.strip()))
    except ValueError as fault:
        raise _bad_page(path, f"the viewBox {text[:80]!r}") from fault
    if not _is_valid(width, height):
        raise _bad_page(path, f"the viewBox {text[:80]!r}")
    return width, height


def _is_valid(width: float, height: float) -> bool:
    """Whether a page of this size, in CSS pixels, can be rendered."""
    return (
        math.isfinite(width + height)
        and min(width, height) > 0
        and max(width, height) <= min(MAX_PAGE, MAX_PROPORTION * min(width, height))
    )


def _bad_page(path: Path, what: str) -> SmaltiError:
    return SmaltiError(
        f"{path}: has {what}, on which nothing can be drawn.",
        "Set the size of its page in a drawing program.",
        "drawing_size",
    )


def _length(text: str | None) -> float | None:
    """CSS pixels; None for a relative length (50%, 2em) and for anything else, which SVG ignores."""
    match = _LENGTH.fullmatch(text or "")
    return float(match[1]) * _UNITS[match[2]] if match else None


def _fitted(width: float, height: float, longer: int) -> tuple[int, int]:
    """Whole pixels in the proportions of `width` x `height`, `longer` on the longer side and at least one."""
    factor = longer / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _extent(drawn: BoolArray, length: float) -> tuple[float, float]:
    """Start and length of the drawing along a side of the page, in CSS pixels, with a margin of one cell on both ends.

    Args:
        drawn: [cells], along that side: where something is drawn.
        length: of the side, CSS pixels.
    """
    cells = np.flatnonzero(drawn)
    first, last = max(0, int(cells[0]) - 1), min(len(drawn), int(cells[-1]) + 2)
    return first * length / len(drawn), (last - first) * length / len(drawn)


def _rendered(
    path: Path,
    root: Element,
    page: tuple[float, float],
    box: tuple[float, float, float, float],
    width: int,
    height: int,
) -> UInt8Array:
    """[height, width, 4], straight alpha: the part `box` of the page. Raises SmaltiError as `read_drawing`."""
    try:
        import resvg_py
    except ImportError as fault:
        raise SmaltiError(
            f"{path}: cannot be drawn, because the package resvg_py is missing.",
            "Install it (pip install resvg_py), or give PNG files.",
            "package_missing",
        ) from fault
    try:
        text = ElementTree.tostring(_framed(root, page, box, width, height), "unicode")
        # Looking for the machine's fonts takes longer than most drawings do.
        png = resvg_py.svg_to_bytes(svg_string=text, skip_system_fonts=not _has_text(root))
    except (ValueError, RecursionError) as fault:
        raise _damaged(path, fault) from fault
    except BaseException as fault:
        # A panic in Rust becomes something that is no Exception and whose class cannot be imported.
        if type(fault).__name__ != "PanicException":
            raise
        raise SmaltiError(
            f"{path}: cannot be drawn ({fault}).", "Simplify it in a drawing program, or give a PNG.", "picture_damaged"
        ) from fault
    with Image.open(io.BytesIO(png)) as image:
        return np.array(image.convert("RGBA"))


def _framed(
    root: Element, page: tuple[float, float], box: tuple[float, float, float, float], width: int, height: int
) -> Element:
    """An SVG of `width` x `height` pixels that shows the part `box` of the drawing's page."""
    frame = Element(f"{{{_SVG}}}svg", width=str(width), height=str(height), preserveAspectRatio="none")
    frame.set("viewBox", " ".join(f"{number:.9g}" for number in box))
    inner = Element(root.tag, {key: value for key, value in root.attrib.items() if key not in ("x", "y")})
    inner.set("width", f"{page[0]:.9g}")
    inner.set("height", f"{page[1]:.9g}")
    inner.extend(root)
    frame.append(inner)
    return frame
