# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures from and to files: whatever Pillow opens, as sRGB-encoded RGBA arrays.

Two conventions, always stated: *straight* alpha as uint8 (files, templates) and *premultiplied* alpha as float32 from
0 to 1 (everything that resamples or composites). Both hold sRGB-encoded numbers.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from smalti.bridge.errors import SmaltiError

from ..arrays import Float32Array, Float64Array, FloatArray, UInt8Array
from ..errors import unreadable
from .atomic import write_atomic

logger = logging.getLogger("smalti")

MAX_PIXELS = 400_000_000
"""A picture whose header declares more pixels than this is refused before anything is decoded."""

DEFAULT_LONGER_SIDE = 1024

# Kinds that Pillow recognises but hands to other programs, or does not decode at all.
_NOT_DECODED = {"EPS", "WMF", "MPEG", "GRIB", "BUFR", "HDF5"}

# Pillow keeps its limit in a module variable; ours holds only while a header is read.
_guard = threading.Lock()


def _formats() -> list[str]:
    Image.init()
    return [kind for kind in Image.ID if kind not in _NOT_DECODED]


def _too_large(path: Path, what: str) -> SmaltiError:
    return SmaltiError(
        f"{path}: is too large ({what}); at most {MAX_PIXELS:,} pixels can be read.",
        "Reduce it in an image editor first.",
        "picture_too_large",
    )


def _open(path: Path) -> Image.Image:
    """Read the header of a picture; the caller closes it. Raises SmaltiError as `read_image` says."""
    if path.is_dir():
        raise SmaltiError(f"{path}: is a folder, not a picture.", "Choose one picture.", "picture_is_folder")
    try:
        if path.stat().st_size == 0:
            raise SmaltiError(f"{path}: is empty (0 bytes).", "Export or copy it again.", "picture_empty")
        with _guard:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
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
            raise _damaged(path, fault) from fault
        raise unreadable(path, fault, "picture_unreadable") from fault
    except Exception as fault:  # Pillow's readers raise nearly anything on a damaged header.
        raise _damaged(path, fault) from fault
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise _too_large(path, f"{image.width:,} x {image.height:,} pixels")
    return image


def _damaged(path: Path, fault: Exception) -> SmaltiError:
    reason = str(fault).strip() or type(fault).__name__
    return SmaltiError(f"{path}: is damaged or incomplete ({reason}).", "Export or copy it again.", "picture_damaged")


def _levels(values: Float64Array, top: float) -> UInt8Array:
    return np.asarray(np.clip(np.rint(values * (255.0 / top)), 0, 255), dtype=np.uint8)


def _grey_8bit(image: Image.Image) -> Image.Image:
    """A deep grey picture (16-bit, 32-bit, float) as L, or LA where the file names a transparent level.

    Integers of 16 bits have 65535 as white. For the wider types the file does not say where white is. It is 1 for
    floats that stay below 16 (highlights above white are cut), else 255 or 65535, the first that no value passes, else
    the largest value.
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
    grey = Image.fromarray(_levels(values.astype(np.float64), top))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    grey.info = {k: v for k, v in image.info.items() if k == "icc_profile"}
    return grey


def _to_srgb(image: Image.Image, path: Path) -> Image.Image:
    """Any 8-bit mode as RGB or RGBA in sRGB, through the embedded profile where there is one."""
    icc = image.info.get("icc_profile")
    if image.mode in ("P", "PA", "1", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB"):
        image = image.convert("RGB")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours = image.convert({"LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode))
    converted = None
    if icc or colours.mode == "LAB":
        converted = _through_profile(colours, icc, path)
    if converted is None:
        converted = colours.convert("RGB")
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _through_profile(image: Image.Image, icc: bytes | None, path: Path) -> Image.Image | None:
    """`image` in sRGB, or None where its profile changes nothing or cannot be used."""
    try:
        if icc is None or image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            space = source.profile.xcolor_space.strip()
            if space == "RGB" and image.mode == "L":
                image = image.convert("RGB")
            if {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space) != image.mode:
                logger.warning("%s: its colour profile is for %s, and is ignored.", path, space)
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
        logger.warning("%s: its colour profile cannot be used (%s), and is ignored.", path, fault)
        return None


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels that the file's header declares, before any EXIF rotation.

    Raises:
        SmaltiError: as `read_image`, except for damage that only decoding would show.
    """
    with _open(path) as image:
        return image.size


def read_image(path: Path, max_side: int | None = None) -> UInt8Array:
    """Read a picture (of an animation, the first frame).

    Turned as its EXIF orientation says, and converted to sRGB where it carries another colour profile. Grey, palette,
    16-bit, float and CMYK pictures become 8-bit RGBA.

    Args:
        max_side: reduce, while reading, to at most this many pixels on the longer side (area average).

    Returns:
        [H, W, 4] uint8, straight alpha, sRGB-encoded.

    Raises:
        SmaltiError: code ``"picture_missing"``, ``"picture_is_folder"``, ``"picture_unreadable"`` (permission),
            ``"picture_empty"`` (zero bytes), ``"not_a_picture"``, ``"picture_damaged"`` (truncated or corrupt), or
            ``"picture_too_large"`` (more than `MAX_PIXELS` declared).
    """
    with _open(path) as image:
        width, height = image.size
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns of odd metadata; the pixels are what counts here.
                if max_side is not None:
                    image.draft(None, (max_side, max_side))
                image.load()
                with contextlib.suppress(Exception):  # a damaged EXIF block must not cost the picture
                    ImageOps.exif_transpose(image, in_place=True)
                deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
                result = _to_srgb(_grey_8bit(image) if deep else image, path)
        except (MemoryError, Image.DecompressionBombError) as fault:
            raise _too_large(path, f"{width:,} x {height:,} pixels") from fault
        except Exception as fault:  # Pillow's readers raise nearly anything on a damaged file.
            raise _damaged(path, fault) from fault
    if max_side is not None and max(width, height) > max_side:
        if (result.width > result.height) != (width > height):
            width, height = height, width
        result = result.resize(canvas_size(width, height, max_side), Image.Resampling.BOX)
    return np.array(result.convert("RGBA"))


def canvas_size(width: int, height: int, longer_side: int | None) -> tuple[int, int]:
    """The size, in pixels, of a canvas with the proportions of a picture of `width` x `height`.

    Args:
        longer_side: the canvas's longer side; None takes the picture's own, at most 1024.
    """
    own = max(width, height)
    factor = (min(own, DEFAULT_LONGER_SIDE) if longer_side is None else longer_side) / own
    return max(1, int(width * factor + 0.5)), max(1, int(height * factor + 0.5))


def premultiply(rgba: UInt8Array) -> Float32Array:
    """Straight uint8 [..., 4] to premultiplied float32 [..., 4], 0 to 1."""
    result = rgba.astype(np.float32)
    result *= np.float32(1 / 255)
    result[..., :3] *= result[..., 3:]
    return result


def straight_from_premultiplied(rgba: FloatArray) -> UInt8Array:
    """Premultiplied float [..., 4], 0 to 1, to straight uint8 [..., 4], rounded; no colour where alpha rounds to 0."""
    alpha = np.clip(rgba[..., 3:], 0, 1)
    levels = np.rint(alpha * 255)
    colour = np.divide(rgba[..., :3], alpha, out=np.zeros_like(rgba[..., :3]), where=levels > 0)
    result = np.empty(rgba.shape, np.uint8)
    result[..., :3] = np.rint(np.clip(colour, 0, 1) * 255)
    result[..., 3:] = levels
    return result


def resize(rgba: UInt8Array | FloatArray, width: int, height: int) -> Float32Array:
    """Resample a picture (Lanczos, on premultiplied colours).

    Args:
        rgba: [H, W, 4], straight alpha, sRGB-encoded; uint8 from 0 to 255 or float from 0 to 1.

    Returns:
        [height, width, 4] float32 from 0 to 1, premultiplied, no colour above its alpha.
    """
    if rgba.dtype == np.uint8:
        source = premultiply(rgba.astype(np.uint8, copy=False))
    else:
        source = rgba.astype(np.float32)
        source[..., :3] *= source[..., 3:]
    if source.shape[:2] == (height, width):
        return source
    result = np.empty((height, width, 4), np.float32)
    for channel in range(4):
        plane = Image.fromarray(np.ascontiguousarray(source[..., channel]))
        result[..., channel] = np.asarray(plane.resize((width, height), Image.Resampling.LANCZOS))
    np.clip(result, 0, 1, out=result)
    # The filter's weights sum to 1 only within rounding: an opaque picture stays exactly opaque.
    if np.all(rgba[..., 3] == (255 if rgba.dtype == np.uint8 else 1)):
        result[..., 3] = 1
    np.minimum(result[..., :3], result[..., 3:], out=result[..., :3])
    return result


def write_png(path: Path, rgba: UInt8Array) -> None:
    """Write [H, W, 4] uint8, straight alpha, sRGB-encoded, in one step (see `write_atomic`).

    Raises:
        SmaltiError: code ``"cannot_write"``, naming the file and the reason.
    """
    image = Image.fromarray(np.ascontiguousarray(rgba))
    write_atomic(path, lambda file: image.save(file, "PNG"))


def _natural(name: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.casefold())]


def list_images(folder: Path, *, more: frozenset[str] = frozenset()) -> list[Path]:
    """The files of a folder whose names end as pictures' do, in natural order of their names ("2" before "10").

    Hidden files and sub-folders are left out.

    Args:
        more: endings that count besides those of the pictures that `read_image` reads, in lower case: ``".svg"``.

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
    kinds = set(_formats())
    endings = {ending for ending, kind in Image.registered_extensions().items() if kind in kinds & set(Image.OPEN)}
    pictures = [e for e in entries if e.suffix.lower() in endings | more and not e.name.startswith(".") and e.is_file()]
    if not pictures:
        usual = ["PNG", "JPEG", "WebP", "TIFF", "GIF"] + ["SVG"] * (".svg" in more)
        hint = f"Choose a folder of {', '.join(usual[:-1])} or {usual[-1]} files."
        raise SmaltiError(f"{folder}: holds no pictures.", hint, "no_pictures")
    return sorted(pictures, key=lambda entry: (_natural(entry.name), entry.name))
