# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a picture on a screenshot, whatever its size, and saying how like it is in form and color."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matching import Searched, Values
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

COARSE = 4  # pixels to one, where the picture is looked for first
SIZES = np.geomspace(0.2, 1.0, 60)  # its width, of the screenshot's
NEAR = 3  # pixels about the place that was found first, and in its size


@dataclass(frozen=True)
class Found:
    """Where a picture is, in pixels of the screenshot; `error`: mean difference of a channel there, 0 to 255."""

    x: int
    y: int
    width: int
    height: int
    error: float


def found_in(screenshot: Pixels, picture: Pixels) -> Found:
    """Where `picture` (RGB) is most like a part of `screenshot`, upright and uncut."""
    shape = screenshot.shape[1] // COARSE, screenshot.shape[0] // COARSE
    coarse = Searched(_gray(_resized(screenshot, *shape)), shape[::-1])
    best = (-1.0, 0, 0, 0)
    for size in SIZES:
        width = round(size * shape[0])
        template = _gray(_resized(picture, width, max(2, round(width * picture.shape[0] / picture.shape[1]))))
        scores = coarse.scores(template)
        if scores.size:
            y, x = map(int, np.unravel_index(int(scores.argmax()), scores.shape))
            best = max(best, (float(scores[y, x]), y, x, width))
    _, y, x, width = best
    return min(_near(screenshot, picture, (x * COARSE, y * COARSE, width * COARSE)), key=lambda found: found.error)


def error_at(screenshot: Pixels, picture: Pixels, place: Found) -> float:
    """Mean difference of a channel between `picture` and what the screenshot has at a place, in levels of 255."""
    there = screenshot[place.y : place.y + place.height, place.x : place.x + place.width]
    return float(np.abs(there.astype(float) - _resized(picture, place.width, place.height)).mean())


def mistakes(picture: Pixels) -> dict[str, Pixels]:
    """The picture as it must not be shown: name -> what it would look like."""
    light = (picture / 255.0) ** 2.2
    return {
        "upside down": picture[::-1],
        "mirrored": picture[:, ::-1],
        "red for blue": picture[..., ::-1],
        "gray": np.repeat(picture.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2),
        "linear light as it is": (255 * light).astype(np.uint8),
    }


def _near(screenshot: Pixels, picture: Pixels, guess: tuple[int, int, int]) -> Iterator[Found]:
    """Places about a guess (x, y, width), in steps that become finer, each about the best one before."""
    for step in (2 * NEAR, NEAR, 1):
        tried = []
        for dw in (-2, -1, 0, 1, 2):
            width = guess[2] + dw * step
            height = round(width * picture.shape[0] / picture.shape[1])
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    x, y = guess[0] + dx * step - dw * step // 2, guess[1] + dy * step - dw * step // 2
                    place = Found(x, y, width, height, 0.0)
                    if 0 <= x <= screenshot.shape[1] - width and 0 <= y <= screenshot.shape[0] - height:
                        tried.append(Found(x, y, width, height, error_at(screenshot, picture, place)))
        best = min(tried, key=lambda found: found.error)
        guess = best.x, best.y, best.width
        yield best


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), Image.Resampling.BOX))


def _gray(pixels: Pixels) -> Values:
    found: Values = pixels.astype(np.float64).mean(axis=2)
    return found
