# SPDX-License-Identifier: GPL-3.0-or-later
"""What the finished frames of a job at work have in common."""

from __future__ import annotations

from pathlib import Path

from smalti.bridge.folder import picture_file
from smalti.bridge.job import MAX_SIZE

from ..arrays import UInt8Array
from ..files.images import premultiply, read_image
from ..fitting.fit import Fit
from ..motion.flow import can_see
from ..motion.measures import FilmMeasures
from .inputs import Inputs


def measure(frame: int, rendered: UInt8Array, folder: Path, inputs: Inputs, fitting: Fit, film: FilmMeasures) -> None:
    """Take a finished frame into the measures, if there is OpenCV. Frames come in their order, each once.

    Args:
        frame: its index.
        rendered: [H, W, 4], straight alpha, sRGB-encoded.
        folder: the job folder, where the frame before has its picture.
        inputs, fitting: of the job.
        film: the measures.

    Raises:
        SmaltiError: the picture of the frame before, which a resumed job needs, cannot be read.
    """
    if not can_see():
        return
    if frame in fitting.cuts:
        film.cut()
    elif frame and not film.goes_on:
        before = read_image(folder / picture_file(frame - 1, fitting.frames), MAX_SIZE)
        film.begin(inputs.goal(frame - 1), premultiply(before), fitting.sprites(frame - 1))
    film.add(inputs.goal(frame), premultiply(rendered), fitting.sprites(frame))
