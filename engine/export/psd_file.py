# SPDX-License-Identifier: GPL-3.0-or-later
"""A writer of layered PSD files: 8-bit sRGB, as many pixel layers as the format carries, one merged picture.

It knows nothing of jobs and compositions. Header, resources and layer records are psd-tools' typed structures; pixels
pass through layer by layer, so that time grows linearly with the layers and memory hardly at all.
"""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import struct
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageCms
from psd_tools.constants import ChannelID, Compression, Resource, Tag
from psd_tools.psd.color_mode_data import ColorModeData
from psd_tools.psd.header import FileHeader
from psd_tools.psd.image_resources import (
    ImageResource,
    ImageResources,
    ResoulutionInfo,
    ThumbnailResource,
    VersionInfo,
)
from psd_tools.psd.layer_and_mask import ChannelInfo, LayerFlags, LayerRecord
from psd_tools.psd.tagged_blocks import TaggedBlocks

from smalti.bridge.errors import SmaltiError
from smalti.bridge.version import VERSION

from ..arrays import FloatArray, UInt8Array
from ..files.strips import Strips, strips_of
from .psd_planes import MergedPicture, PackedPlanes

MAX_LAYERS = 8_000
"""With more, Photoshop offers only the merged picture."""
SLOW_LAYERS = 2_000
"""With more, image editors take long to open and save the file."""
MAX_SIDE = 30_000
MAX_BYTES = 2_000_000_000

_MAX_NAME = 255  # UTF-16 units
_MAX_LEGACY_NAME = 31  # bytes
_RECORD_BYTES = 1_000  # upper bound of a layer record
_MEMORY_BYTES = 64 * 2**20  # of compressed pixels, before they go to a file

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layer:
    """One pixel layer in normal blend mode.

    Attributes:
        name: any text; the file holds it shortened to 255 UTF-16 units and made unique.
        left, top: canvas position of the top left pixel's corner, pixels; may lie off the canvas.
        rgba: [h, w, 4] uint8, straight alpha, sRGB-encoded; h or w may be 0. Strips where it is too large for memory.
        opacity: of the whole layer, 0 to 255.
        visible: whether the layer is switched on.
    """

    name: str
    left: int
    top: int
    rgba: UInt8Array | Strips[np.uint8]
    opacity: int = 255
    visible: bool = True


def write_psd(
    stream: IO[bytes],
    layers: Iterable[Layer],
    merged: FloatArray | Strips[np.float32],
    *,
    scratch: Path,
    name: str,
    dpi: float = 72.0,
) -> None:
    """Write a PSD file.

    The merged picture, which previews and programs without layers show, is stored blended on white, with its alpha
    beside it where it is not opaque. A file with more than 2,000 layers is warned of in the log.

    Args:
        stream: a binary file open for writing, empty.
        layers: from the bottom to the top, at most 8,000; taken one at a time.
        merged: [H, W, 4], premultiplied alpha, sRGB-encoded, 0 to 1: the picture of all visible layers. Its size, at
            most 30,000 pixels a side, is that of the canvas. Strips are taken once.
        scratch: folder for a nameless file that holds the compressed layers where they are too many for memory.
        name: how messages call the file.
        dpi: resolution in pixels per inch, which gives the size in print.

    Raises:
        SmaltiError: too many layers (code ``"too_many_layers"``); or canvas, layer or file larger than the format
            allows (code ``"too_large"``).
        OSError: stream or scratch file cannot be written.
    """
    height, width, channels = merged.shape
    if channels != 4:
        raise ValueError(f"merged must have shape [H, W, 4], not {merged.shape}")
    _check_side(f"{name}: the canvas", width, height)
    with contextlib.ExitStack() as files:
        picture = files.enter_context(MergedPicture(merged, scratch))
        pixels = files.enter_context(tempfile.SpooledTemporaryFile(_MEMORY_BYTES, dir=str(scratch)))
        resources = io.BytesIO()
        _resources(picture.thumbnail, dpi).write(resources)
        records, count = _pack_layers(layers, pixels, scratch, name, MAX_BYTES - picture.size - resources.tell())
        if count > SLOW_LAYERS:
            logger.warning("%s: has %s layers; image editors take long to open and save it.", name, f"{count:,}")
        FileHeader(channels=picture.channels, width=width, height=height, depth=8).write(stream)
        ColorModeData().write(stream)
        stream.write(resources.getbuffer())
        # A negative count says that the merged picture's fourth channel is its transparency.
        _write_layers(stream, -count if picture.channels == 4 else count, records, pixels)
        picture.write(stream)


def _pack_layers(
    layers: Iterable[Layer], pixels: IO[bytes], scratch: Path, name: str, max_bytes: int
) -> tuple[io.BytesIO, int]:
    """Compress layers into `pixels`. Returns their records, one after another, and how many they are.

    Args:
        scratch: folder for nameless files.
        name: how messages call the file.
        max_bytes: how large pixels and records may be together.

    Raises:
        SmaltiError: as `write_psd`.
    """
    records = io.BytesIO()
    names = _UniqueNames()
    count = 0
    for layer in layers:
        if count == MAX_LAYERS:
            raise SmaltiError(
                f"{name}: a PSD file holds at most {MAX_LAYERS:,} layers, and this one would have more.",
                "Fit with a smaller count.",
                "too_many_layers",
            )
        count += 1
        height, width = layer.rgba.shape[:2]
        _check_side(f"{name}: the layer {layer.name!r}", width, height)
        channels = _pack_pixels(layer.rgba, pixels, scratch)
        _record(layer, names.unique(layer.name), count, channels).write(records)
        if pixels.tell() + _RECORD_BYTES * count > max_bytes:
            raise SmaltiError(
                f"{name}: the layers take more than the 2 GB that a PSD file may have.",
                "Fit with a smaller size or count.",
                "too_large",
            )
    return records, count


def _check_side(what: str, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE:
        raise SmaltiError(
            f"{what} is {width:,} x {height:,} pixels, and a PSD file allows at most {MAX_SIDE:,} a side.",
            "Fit or export at a smaller size.",
            "too_large",
        )


def _pack_pixels(rgba: UInt8Array | Strips[np.uint8], pixels: IO[bytes], scratch: Path) -> list[ChannelInfo]:
    """Compress a layer's channels into `pixels`, each behind its compression method; an empty one is that alone."""
    numbers = [ChannelID(number) for number in (-1, 0, 1, 2)]
    if 0 in rgba.shape:
        pixels.write(len(numbers) * struct.pack(">H", Compression.RAW))
        return [ChannelInfo(number, 2) for number in numbers]
    with PackedPlanes(4, scratch) as packed:
        for strip in strips_of(rgba):
            packed.add([strip[..., plane] for plane in (3, 0, 1, 2)])
        for plane in range(4):
            pixels.write(struct.pack(">H", Compression.RLE))
            packed.write_lengths(plane, pixels)
            packed.write_rows(plane, pixels)
        return [ChannelInfo(number, 2 + packed.size(plane)) for plane, number in enumerate(numbers)]


def _resources(thumbnail: Image.Image, dpi: float) -> ImageResources:
    fixed = round(dpi * 65536)
    writer = f"Smalti {VERSION}"
    data: dict[Resource, Any] = {
        # Units: 1 is pixels per inch for the resolution, and inches for width and height.
        Resource.RESOLUTION_INFO: ResoulutionInfo(fixed, 1, 1, fixed, 1, 1),
        Resource.THUMBNAIL_RESOURCE: _thumbnail(thumbnail),
        Resource.ICC_PROFILE: _srgb_profile(),
        Resource.VERSION_INFO: VersionInfo(has_composite=True, writer=writer, reader=writer),
    }
    resources = ImageResources()
    for key, value in data.items():
        resources[key] = ImageResource(key=key, data=value)
    return resources


def _thumbnail(image: Image.Image) -> ThumbnailResource:
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=90)
    row = (image.width * 24 + 31) // 32 * 4
    return ThumbnailResource(1, image.width, image.height, row, row * image.height, 24, 1, jpeg.getvalue())


def _srgb_profile() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Bytes 24 to 36 are the time at which it was made. One date for all: the same layers give the same file.
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]


class _UniqueNames:
    """Names that no two layers share: repeated ones get a number."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._repeats: dict[str, int] = {}

    def unique(self, name: str) -> str:
        # File names may hold lone surrogates and control characters, which have no place in a list of layers.
        name = name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        name = "".join(c if c.isprintable() else " " for c in name)
        result = shortened = _shortened(name, _MAX_NAME)
        while result in self._taken:
            self._repeats[shortened] = self._repeats.get(shortened, 1) + 1
            number = f" {self._repeats[shortened]}"
            result = _shortened(shortened, _MAX_NAME - len(number)) + number
        self._taken.add(result)
        return result


def _shortened(name: str, units: int) -> str:
    """The name, cut to at most `units` UTF-16 units."""
    return name.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore")


def _record(layer: Layer, name: str, number: int, channels: list[ChannelInfo]) -> LayerRecord:
    """A layer's record. `number`: its ID, from 1; `channels`: lengths of its compressed channels."""
    h, w = layer.rgba.shape[:2]
    blocks = TaggedBlocks()
    blocks.set_data(Tag.UNICODE_LAYER_NAME, name)
    blocks.set_data(Tag.LAYER_ID, number)
    blocks.set_data(Tag.BLEND_FILL_OPACITY, 255)  # 0 would hide the layer in Photoshop, and only there
    return LayerRecord(
        top=layer.top,
        left=layer.left,
        bottom=layer.top + h,
        right=layer.left + w,
        channel_info=channels,
        opacity=layer.opacity,
        flags=LayerFlags(visible=layer.visible),
        name=name.encode("mac_roman", "replace")[:_MAX_LEGACY_NAME].decode("mac_roman"),
        tagged_blocks=blocks,
    )


def _write_layers(stream: IO[bytes], count: int, records: io.BytesIO, pixels: IO[bytes]) -> None:
    """The section of layers and masks: its length, the layers with theirs, and an empty global mask."""
    size = 2 + records.tell() + pixels.tell()
    padding = -size % 4
    stream.write(struct.pack(">IIh", 4 + size + padding + 4, size + padding, count))
    stream.write(records.getbuffer())
    pixels.seek(0)
    shutil.copyfileobj(pixels, stream, 2**20)
    stream.write(bytes(padding + 4))
