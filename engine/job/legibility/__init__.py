# SPDX-License-Identifier: GPL-3.0-or-later
"""Legibility: how much of each bitmap is still there in the finished picture (definitions: docs/legibility.md)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import BoolArray, Float32Array, Float64Array, Int64Array, UInt8Array
from ...colour import into_space
from ...composition import Composition
from ...composition.render import pixel_boxes, scene_of
from ...files.images import read_image
from ...files.resampling import resize
from ...fitting.constraints.visible_fraction import FinishedCanvas
from ...raster import FINISHED_BACK_END, Scene, draw
from ...raster.atlas import area_resample
from ...sprites import Sprites
from .cuts import cuts_at
from .recognition import Lineup, Regression, recognized, templates_to_compare
from .sheets import drawn_apart
from .stack import HALF, Stack

SAMPLE = 200
"""Sprites, at most, that are looked for in the picture."""
SMALLEST = 12.0
"""Longer side of the smallest of them, pixels of the canvas as it is measured."""
SEED = 0
"""Of what is chosen by chance: the sample and the candidates."""
MOST_PIXELS = 2**20
"""A larger canvas is measured at this size, which bounds time and memory."""
SHOWN = 0.5 / 255
"""Opacity of the faintest sprite that counts: a PSD has no layer for a fainter one."""


@dataclass(frozen=True)
class Legibility:
    """How legible the bitmaps of a picture are. Shares are 0 to 1; nan where there is nothing to measure.

    Attributes:
        visible: median over sprites of what is seen of them, over what they would show alone at full opacity.
        opacity: median over sprites.
        opacity_95, opacity_99: share of the sprites whose opacity is at least 0.95, 0.99.
        owned, mixed, bare, layers: see `StackFigures`.
        recognized: share of a sample of sprites whose template, of several, explains best what the picture shows
            where they lie.
        control: the same share where the target shows: what they owe to it.
        legibility: by how much `recognized` is above `control`, over what it could be; below 0 where it is less.
        sample: number of sprites in the sample.
    """

    visible: float
    opacity: float
    opacity_95: float
    opacity_99: float
    owned: float
    mixed: float
    bare: float
    layers: float
    recognized: float
    control: float
    legibility: float
    sample: int

    def as_json(self) -> dict[str, float | int | None]:
        """The figures by name, rounded; None where there is nothing to measure."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value if isinstance(value, int) else round(value, 3) if np.isfinite(value) else None
            for name, value in values.items()
        }


def measure_legibility(composition: Composition, target: Path | str | UInt8Array, frame: int = 0) -> Legibility:
    """Measure how legible the bitmaps of a finished composition are.

    Args:
        composition: what to measure.
        target: the picture that it shows, stretched over its canvas: a file, or [h, w, 4] with straight alpha,
            sRGB-encoded.
        frame: 0 to frames - 1.

    Raises:
        SmaltiError: the file cannot be read.
        IndexError: there is no such frame.
    """
    pixels = target if isinstance(target, np.ndarray) else read_image(Path(target))
    _, (height, width) = _measured_size(composition)
    return legibility_of(composition, into_space(resize(pixels, width, height), composition.header.blend_space), frame)


def legibility_of(composition: Composition, target: Float32Array, frame: int = 0) -> Legibility:
    """`measure_legibility` with a target [height, width, 4], at least as large as the canvas that is measured.

    Args:
        target: premultiplied, in the blend space.
    """
    zoom, size = _measured_size(composition)
    sprites = composition.sprites(frame).double().zoomed(zoom)
    scene = _measured_scene(composition, frame, sprites, size)
    for axis, side in enumerate(scene.size):
        if target.shape[axis] != side:
            target = np.asarray(area_resample(target, side, axis), np.float32)
    shown, stack = _stacked(composition, sprites, scene)
    figures = stack.figures(may_be_empty=target[..., 3] < HALF)
    opacity = sprites.opacity[shown].astype(np.float64)
    which = _sampled(sprites, shown, scene.size)
    in_picture, in_target = _recognized(composition, frame, scene, which, target)
    return Legibility(
        visible=_mid(_visible_fraction(composition, sprites, scene)[shown]),
        opacity=_mid(opacity),
        opacity_95=share_above(opacity, 0.95),
        opacity_99=share_above(opacity, 0.99),
        owned=figures.owned,
        mixed=figures.mixed,
        bare=figures.bare,
        layers=figures.layers,
        recognized=in_picture,
        control=in_target,
        legibility=0.0 if in_target >= 1 else (in_picture - in_target) / (1 - in_target),
        sample=len(which),
    )


def _measured_size(composition: Composition) -> tuple[float, tuple[int, int]]:
    """How much larger a side the measured canvas is than that of the fit, and its height and width in pixels."""
    header = composition.header
    zoom = min(1.0, (MOST_PIXELS / (header.width * header.height)) ** 0.5)
    return zoom, (max(1, round(zoom * header.height)), max(1, round(zoom * header.width)))


def _measured_scene(
    composition: Composition, frame: int, sprites: Sprites, size: tuple[int, int]
) -> Scene[NDArray[Any]]:
    """A frame over its background, on a canvas of `size` (height, width), with its sprites as they are there."""
    height, width = size
    background = composition.background(width, height)
    return replace(
        # The atlas is that of the canvas's own size, which exists already.
        scene_of(composition, frame, 1.0, size),
        affine=sprites.affine(composition.shapes),
        background=None if background is None else background.make(range(height)),
    )


def share_above(opacity: Float64Array, least: float) -> float:
    """Share of opacities [N] that are at least as large, to within half a step of 8 bits; nan of none."""
    return float((opacity >= least - SHOWN).mean()) if len(opacity) else np.nan


def _mid(values: Float64Array) -> float:
    """The median; nan of none."""
    return float(np.median(values)) if len(values) else np.nan


def _stacked(composition: Composition, sprites: Sprites, scene: Scene[NDArray[Any]]) -> tuple[BoolArray, Stack]:
    """[N]: which sprites have something to show on the canvas, hidden or not; and the stack of them."""
    alone = replace(scene, background=None)
    start, extent = pixel_boxes(sprites, composition.shapes)
    on_canvas = ((start < scene.size[::-1]) & (start + extent > 0)).all(axis=1)
    from_the_top = np.flatnonzero(on_canvas & (sprites.opacity >= SHOWN))[::-1]
    shown = np.zeros(len(sprites), bool)
    stack = Stack(*scene.size)
    for drawn in drawn_apart(alone, start, extent, from_the_top):
        opacity = float(sprites.opacity[drawn.index])
        shown[drawn.index] = stack.add(drawn.left, drawn.top, drawn.rgba[..., 3], opacity) is not None
    return shown, stack


def _visible_fraction(composition: Composition, sprites: Sprites, scene: Scene[NDArray[Any]]) -> Float64Array:
    """[N]: see `FinishedCanvas.visible_fraction`."""
    coverage = np.ones(len(composition.templates))
    for index in np.unique(sprites.template).tolist():
        coverage[index] = composition.templates[index].coverage
    canvas = FinishedCanvas(scene.size, lambda _: scene.atlas, composition.shapes, coverage, FINISHED_BACK_END)
    return canvas.visible_fraction(sprites)


def _sampled(sprites: Sprites, shown: BoolArray, size: tuple[int, int]) -> Int64Array:
    """[M]: the sprites that are looked for: of those large enough, with their center on the canvas, a sample."""
    inside = (sprites.x > 0) & (sprites.x < size[1]) & (sprites.y > 0) & (sprites.y < size[0])
    large = np.flatnonzero(shown & inside & (2 * sprites.scale >= SMALLEST))
    return np.sort(np.random.default_rng(SEED).permutation(large)[:SAMPLE])


def _recognized(
    composition: Composition,
    frame: int,
    scene: Scene[NDArray[Any]],
    which: Int64Array,
    target: Float32Array,
) -> tuple[float, float]:
    """Which share of the sprites `which` is recognized in the picture, and in the target; nan without any.

    Args:
        scene: all sprites, and the background.
        target: [height, width, 4] premultiplied, in the blend space.
    """
    if not len(which):
        return np.nan, np.nan
    rng = np.random.default_rng(SEED)
    template = scene.template[which]
    compared = templates_to_compare(template, len(composition.templates), rng)
    atlas = composition.atlas_showing(composition.sprites(frame).double(), compared)
    lineup = Lineup.of(atlas, compared, scene.mix, scene.shade)
    own = (template[:, None] == compared).argmax(axis=1)
    candidates = lineup.candidates(own, rng)
    regression: Regression | None = None

    def share(picture: Float32Array) -> float:
        nonlocal regression
        cuts = cuts_at(picture, scene.affine[which])
        if regression is None:  # the weights of all cuts are those of the first
            regression = lineup.regression(cuts.weight)
        return float(recognized(regression, cuts, own, candidates).mean())

    # One after the other, for the sake of memory.
    in_picture = share(draw(scene, FINISHED_BACK_END))
    if scene.background is not None:
        target = target + (1 - target[..., 3:]) * scene.background
    return in_picture, share(target)
