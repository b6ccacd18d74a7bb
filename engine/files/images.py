# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures from and to files: everything that Pillow reads, as sRGB-encoded RGBA arrays.

There are two conventions: *straight* alpha as uint8 (files, templates) and *premultiplied* alpha as float32 from 0 to 1
(for resampling and compositing). Both hold sRGB-encoded values.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from smalti.bridge.errors import SmaltiError

from ..arrays import Float32Array, Float64Array, FloatArray, UInt8Array
from ..errors import unreadable
from .atomic import write_atomic
from .png import PngWriter
from .strips import Strips, strips_of

logger = logging.getLogger(__name__)

MAX_PIXELS = 400_000_000
"""Largest number of pixels of a picture; one whose header declares more is refused before it is decoded."""

DEFAULT_LONGER_SIDE = 1024
"""Longest side of a canvas, pixels, where no size is given."""

_NOT_DECODED = {"EPS", "WMF", "MPEG", "GRIB", "BUFR", "HDF5"}
"""Formats that Pillow recognizes but hands to other programs, or does not decode at all."""

ANIMATIONS = {"GIF", "PNG", "WEBP", "AVIF", "FLI"}
"""Pillow's names of the formats whose further pictures are frames, not pages or previews."""

_limit_lock = threading.Lock()
"""Held while Pillow's own limit, a module variable, is switched off to read a header."""
_quiet_lock = threading.Lock()
_quiet_filters = contextlib.ExitStack()
_quiet_depth = 0


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within it, in any thread, no warning is shown: Pillow warns of odd metadata, which do not matter here.

    Python's own `warnings.catch_warnings` puts back what it found, and threads would put back what others had set.
    """
    global _quiet_depth
    with _quiet_lock:
        if _quiet_depth == 0:
            _quiet_filters.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                _quiet_filters.close()


def _formats() -> list[str]:
    """Pillow's names of the formats that are read."""
    Image.init()
    return [name for name in Image.ID if name not in _NOT_DECODED]


def too_large(path: Path, what: str) -> SmaltiError:
    """An error for a picture that has more pixels than can be read; `what` says how many."""
    return SmaltiError(
        f"{path}: is too large ({what}); at most {MAX_PIXELS:,} pixels can be read.",
        "Reduce it in an image editor first.",
        "picture_too_large",
    )


def open_picture(path: Path) -> Image.Image:
    """Open a picture and read its header; the caller closes it. Raises SmaltiError as `read_image`."""
    if path.is_dir():
        raise SmaltiError(f"{path}: is a folder, not a picture.", "Choose one picture.", "picture_is_folder")
    try:
        if path.stat().st_size == 0:
            raise SmaltiError(f"{path}: is empty (0 bytes).", "Export or copy it again.", "picture_empty")
        with _limit_lock:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                with quiet():
                    image = Image.open(path, formats=_formats())
            finally:
                Image.MAX_IMAGE_PIXELS = limit
    except SmaltiError:
        raise
    except FileNotFoundError as fault:
        raise SmaltiError(f"{path}: does not exist.", "Check the path.", "picture_missing") from fault
    except UnidentifiedImageError as fault:
        raise SmaltiError(
            f"{path}: is not a picture, is damaged, or is of a kind that cannot be read.",
            "Use PNG, JPEG, WebP, TIFF or GIF.",
            "not_a_picture",
        ) from fault
    except OSError as fault:
        if fault.strerror is None:
            raise damaged(path, fault) from fault
        raise unreadable(path, fault, "picture_unreadable") from fault
    except Exception as fault:  # Pillow's readers raise nearly anything on a damaged header.
        raise damaged(path, fault) from fault
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise too_large(path, f"{image.width:,} x {image.height:,} pixels")
    return image


def damaged(path: Path | str, fault: Exception) -> SmaltiError:
    """An error for a picture (or what it is called) that its reader cannot make sense of."""
    reason = str(fault).strip() or type(fault).__name__
    return SmaltiError(f"{path}: is damaged or incomplete ({reason}).", "Export or copy it again.", "picture_damaged")


def _levels(values: Float64Array, top: float) -> UInt8Array:
    """Values from 0 to `top`, any shape, as 0 to 255, rounded and clipped."""
    return np.asarray(np.clip(np.rint(values * (255.0 / top)), 0, 255), dtype=np.uint8)


def _gray_8bit(image: Image.Image) -> Image.Image:
    """A deep gray picture (16-bit, 32-bit, float) in mode L, or LA if the file declares a transparent level.

    White is 65535 in 16-bit integers. For wider types the file does not tell: white is 1 for floats below 16
    (highlights above white are clipped), otherwise the smallest of 255, 65535 and the largest value that no value
    exceeds.
    """
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        top = 65535.0
    else:
        values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        largest = float(values.max())
        top = next((t for t in (255.0, 65535.0) if largest <= t), largest)
        if image.mode == "F" and largest < 16:
            top = 1.0
    gray = Image.fromarray(_levels(values.astype(np.float64), top))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    gray.info = {k: v for k, v in image.info.items() if k == "icc_profile"}
    return gray


def in_srgb(image: Image.Image, path: Path) -> Image.Image:
    """A picture of any mode, loaded, as RGB or RGBA of 8 bits in sRGB."""
    deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    return _to_srgb(_gray_8bit(image) if deep else image, path)


def _to_srgb(image: Image.Image, path: Path) -> Image.Image:
    """An 8-bit picture of any mode as RGB or RGBA in sRGB, converted from its embedded profile if it has one."""
    icc = image.info.get("icc_profile")
    if image.mode == "RGBA" and not icc and "transparency" not in image.info:
        return image  # what most bitmaps are
    if image.mode in ("P", "PA", "1", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB"):
        image = image.convert("RGB")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colors = image.convert({"LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode))
    converted = None
    if icc or colors.mode == "LAB":
        converted = _through_profile(colors, icc, path)
    if converted is None:
        converted = colors.convert("RGB")
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _through_profile(image: Image.Image, icc: bytes | None, path: Path) -> Image.Image | None:
    """`image` in sRGB; None if its profile is sRGB already or cannot be used, which is logged."""
    try:
        if icc is None or image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            space = source.profile.xcolor_space.strip()
            if space == "RGB" and image.mode == "L":
                image = image.convert("RGB")
            if {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space) != image.mode:
                logger.warning("%s: its color profile is for %s, and is ignored.", path, space)
                return None
            if space == "RGB" and "sRGB" in (source.profile.profile_description or ""):
                return None
        return ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as fault:
        logger.warning("%s: its color profile cannot be used (%s), and is ignored.", path, fault)
        return None


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels that the file's header declares, before any EXIF rotation.

    Raises:
        SmaltiError: as `read_image`, except for damage that only decoding would show.
    """
    with open_picture(path) as image:
        return image.size


def frames_in(path: Path) -> int:
    """The number of frames of an animation; 1 for every other picture. Raises SmaltiError as `read_image`."""
    with open_picture(path) as image:
        if image.format not in ANIMATIONS:
            return 1
        try:
            with quiet():
                return int(getattr(image, "n_frames", 1))
        except Exception as fault:  # Pillow's readers raise nearly anything on a damaged file.
            raise damaged(path, fault) from fault


def read_image(path: Path, max_side: int | None = None, frame: int = 0, rough: bool = False) -> UInt8Array:
    """Read a picture (of an animation, one frame).

    It is rotated according to its EXIF orientation, and converted to sRGB if it has another color profile. Gray,
    palette, 16-bit, float and CMYK pictures become 8-bit RGBA.

    Args:
        max_side: reduce to at most this many pixels on the longer side while reading (area average); None keeps all.
        frame: which one of an animation, from 0.
        rough: a JPEG may be decoded at hardly more than the reduced size, which takes less time.

    Returns:
        [H, W, 4], straight alpha, sRGB-encoded.

    Raises:
        SmaltiError: code ``"picture_missing"``, ``"picture_is_folder"``, ``"picture_unreadable"`` (permission),
            ``"picture_empty"`` (zero bytes), ``"not_a_picture"``, ``"picture_damaged"`` (truncated or corrupt), or
            ``"picture_too_large"`` (more than `MAX_PIXELS` declared).
    """
    with open_picture(path) as image:
        width, height = image.size
        try:
            with quiet():
                if max_side is not None:
                    image.draft(None, canvas_size(width, height, max_side) if rough else (max_side, max_side))
                if frame:
                    image.seek(frame)
                image.load()
                with contextlib.suppress(Exception):  # a picture with a damaged EXIF block is read all the same
                    ImageOps.exif_transpose(image, in_place=True)
                result = in_srgb(image, path)
        except (MemoryError, Image.DecompressionBombError) as fault:
            raise too_large(path, f"{width:,} x {height:,} pixels") from fault
        except Exception as fault:  # Pillow's readers raise nearly anything on a damaged file.
            raise damaged(path, fault) from fault
    if max_side is not None and max(width, height) > max_side:
        if (result.width > result.height) != (width > height):
            width, height = height, width
        result = result.resize(canvas_size(width, height, max_side), Image.Resampling.BOX)
    return np.array(result.convert("RGBA"))


def canvas_size(width: int, height: int, longer_side: int | None) -> tuple[int, int]:
    """Width and height, pixels, of a canvas with the proportions of a picture of `width` x `height`.

    Args:
        longer_side: the canvas's longer side; None takes that of the picture, at most `DEFAULT_LONGER_SIDE`.
    """
    longer = max(width, height)
    factor = (min(longer, DEFAULT_LONGER_SIDE) if longer_side is None else longer_side) / longer
    return max(1, int(width * factor + 0.5)), max(1, int(height * factor + 0.5))


def premultiply(rgba: UInt8Array) -> Float32Array:
    """Premultiplied [..., 4], 0 to 1, of straight [..., 4]."""
    result = rgba.astype(np.float32)
    result *= np.float32(1 / 255)
    for channel in range(3):  # in one go, loops over three numbers would take most of the time
        result[..., channel] *= result[..., 3]
    return result


def straight_from_premultiplied(rgba: FloatArray) -> UInt8Array:
    """Straight [..., 4] of premultiplied [..., 4], 0 to 1, rounded; black where alpha rounds to 0."""
    alpha = np.clip(rgba[..., 3:], 0, 1)
    levels = np.rint(alpha * 255)
    color = np.divide(rgba[..., :3], alpha, out=np.zeros_like(rgba[..., :3]), where=levels > 0)
    result = np.empty(rgba.shape, np.uint8)
    result[..., :3] = np.rint(np.clip(color, 0, 1) * 255)
    result[..., 3:] = levels
    return result


def write_png(path: Path, rgba: UInt8Array | Strips[np.uint8]) -> None:
    """Write [H, W, 4], straight alpha, sRGB-encoded, in one step (see `write_atomic`).

    Raises:
        SmaltiError: code ``"cannot_write"``, naming the file and the reason.
    """
    write_atomic(path, partial(write_png_to, rgba=rgba))


def write_png_to(file: BinaryIO, rgba: UInt8Array | Strips[np.uint8]) -> None:
    """`write_png` into a file that is open for writing."""
    height, width, _ = rgba.shape
    writer = PngWriter(file, width, height)
    for strip in strips_of(rgba):
        writer.write(strip)


def natural_order(name: str) -> tuple[list[str | int], str]:
    """A key that sorts names in natural order ("2" before "10")."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.casefold())], name


def list_images(folder: Path, *, more: frozenset[str] = frozenset()) -> list[Path]:
    """The pictures in a folder, by their endings, in natural order of their names ("2" before "10").

    Hidden files and sub-folders are left out.

    Args:
        folder: the folder.
        more: endings in lower case, such as ``".svg"``, that count beside those that `read_image` reads.

    Raises:
        SmaltiError: code ``"folder_missing"``, ``"not_a_folder"``, ``"folder_unreadable"``, ``"folder_empty"``, or
            ``"no_pictures"``.
    """
    try:
        entries = list(folder.iterdir())
    except FileNotFoundError as fault:
        raise SmaltiError(f"{folder}: does not exist.", "Check the path.", "folder_missing") from fault
    except NotADirectoryError as fault:
        raise SmaltiError(f"{folder}: is not a folder.", "Choose a folder of pictures.", "not_a_folder") from fault
    except OSError as fault:
        raise unreadable(folder, fault, "folder_unreadable") from fault
    if not entries:
        raise SmaltiError(f"{folder}: is empty.", "Choose a folder that holds pictures.", "folder_empty")
    formats = set(_formats()) & set(Image.OPEN)
    endings = {ending for ending, name in Image.registered_extensions().items() if name in formats}
    pictures = [e for e in entries if e.suffix.lower() in endings | more and not e.name.startswith(".") and e.is_file()]
    if not pictures:
        usual = ["PNG", "JPEG", "WebP", "TIFF", "GIF"] + ["SVG"] * (".svg" in more)
        hint = f"Choose a folder of {', '.join(usual[:-1])} or {usual[-1]} files."
        raise SmaltiError(f"{folder}: holds no pictures.", hint, "no_pictures")
    return sorted(pictures, key=lambda entry: natural_order(entry.name))
