# SPDX-License-Identifier: GPL-3.0-or-later
"""Optical flow between two frames, both ways, and pictures that are moved by it.

The method is Dense Inverse Search (Kroeger et al., ECCV 2016) of OpenCV, preset medium. Two flows agree where one
undoes the other (Sundaram et al., ECCV 2010); where they do not, something was covered or uncovered.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from smalti.bridge.errors import SmaltiError

from ..arrays import BoolArray, Float32Array, FloatArray, UInt8Array

MEDIUM = 2
"""OpenCV's preset; the names of its constants differ between versions 4 and 5."""
LEAST_SIDE = 24
"""Pixels of the shorter side below which flow is not looked for: the method's patches need room."""
MID_GREY = 0.5
"""What transparent parts are taken for."""


@dataclass(frozen=True, eq=False)
class Flow:
    """The motion between a frame and the next one, in pixels, x right, y down.

    Attributes:
        back: [H, W, 2] from a pixel of the later frame to where it was in the earlier one.
        ahead: [H, W, 2] from a pixel of the earlier frame to where it is in the later one.
        back_agrees, ahead_agrees: [H, W] where one flow undoes the other.
    """

    back: Float32Array
    ahead: Float32Array
    back_agrees: BoolArray
    ahead_agrees: BoolArray


def can_see() -> bool:
    """Whether OpenCV is installed."""
    return find_spec("cv2") is not None


def vision() -> Any:
    """OpenCV. Raises SmaltiError, code ``"no_opencv"``, where it is not installed."""
    try:
        import cv2
    except ImportError as fault:
        raise SmaltiError(
            f"Films need OpenCV, which cannot be loaded ({fault}).",
            'Install it: pip install "smalti[film]". Without it, choose a coherence of 0.',
            "no_opencv",
        ) from fault
    return cv2


def grey(picture: FloatArray) -> UInt8Array:
    """[H, W] of 0 to 255: a picture as flow looks at it, over mid-grey where it is transparent.

    Args:
        picture: [H, W, 4] premultiplied, display-encoded, 0 to 1.
    """
    over = picture[..., :3] + (1 - picture[..., 3:]) * MID_GREY
    luma = over @ np.array([0.299, 0.587, 0.114], over.dtype)  # as OpenCV's own conversion
    return np.asarray(np.clip(np.rint(255 * luma), 0, 255), np.uint8)


def flow_between(before: UInt8Array, now: UInt8Array) -> Flow:
    """The flow from one frame to the next.

    Args:
        before, now: [H, W] as `grey` returns them.

    Raises:
        SmaltiError: code ``"no_opencv"``.
    """
    height, width = now.shape
    if np.array_equal(before, now) or min(height, width) < LEAST_SIDE:
        still, everywhere = np.zeros((height, width, 2), np.float32), np.ones((height, width), np.bool_)
        return Flow(still, still, everywhere, everywhere)
    method = vision().DISOpticalFlow_create(MEDIUM)
    back = method.calc(now, before, None)
    ahead = method.calc(before, now, None)
    return Flow(back, ahead, _agrees(back, ahead), _agrees(ahead, back))


def moved(picture: FloatArray, by: Float32Array, smooth: bool = True) -> Float32Array:
    """A picture whose value at each pixel p is that of the given one at p + by(p).

    Args:
        picture: [H, W] or [H, W, channels].
        by: [H, W, 2] in pixels.
        smooth: sample by cubic instead of linear interpolation, which blurs less and may overshoot.
    """
    cv2 = vision()
    height, width = picture.shape[:2]
    x = np.arange(width, dtype=np.float32) + by[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + by[..., 1]
    method = cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR
    plain = np.ascontiguousarray(picture, np.float32)
    return np.asarray(cv2.remap(plain, x, y, method, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _agrees(one: Float32Array, other: Float32Array) -> BoolArray:
    """Where `one` is undone by `other`, within what UnFlow (Meister et al., AAAI 2018) allows."""
    undone = moved(other, one, smooth=False)
    squares = (one**2).sum(axis=-1), (undone**2).sum(axis=-1), ((one + undone) ** 2).sum(axis=-1)
    return np.asarray(squares[2] <= 0.01 * (squares[0] + squares[1]) + 0.5)
