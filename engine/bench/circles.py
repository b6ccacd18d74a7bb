# SPDX-License-Identifier: GPL-3.0-or-later
"""`smalti bench circles`: a published task, solved again.

The task: paint a picture of 256 x 256 pixels with 2,048 discs, each of one color, on white. The error is the mean
squared difference of values from -1 to 1, which is four times that of values from 0 to 1.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from smalti.bridge.errors import SmaltiError

from ..arrays import AnyArray, Float32Array, UInt8Array
from ..files.atomic import write_atomic
from ..files.images import premultiply, read_image, write_png
from ..fitting.groups import Group
from ..fitting.initialise import InitialiseSettings, SpriteSampler, initialise, measure_template
from ..fitting.objective import ImageObjective
from ..fitting.optimiser import Optimiser, OptimiserSettings
from ..fitting.schedule import Schedule
from ..fitting.strategy.relocate import RelocateSettings, relocate
from ..raster import Scene, build_atlas, draw
from ..sprites import Sprites
from ..thread_count import threads as thread_count
from .scene import TEXELS, disc, is_gpu

CIRCLES = 2048
SIDE = 256
MOST_STEPS = 4096
STEPS = 1000
"""More gain little: 1,500 lower the error by about 2 %."""

SOURCE = "conflictednerd/differentiable-renderer"
PUBLISHED = {
    "christ_desert": (0.014149, 0.015799),
    "girl_pearl_earing": (0.014140, 0.018814),
    "lunatic": (0.011778, 0.012052),
    "sea_of_fog": (0.013475, 0.020736),
    "starry": (0.032658, 0.036874),
    "american_gothic": (0.019800, 0.020764),
    "schiele": (0.029068, 0.021825),
}
"""Name of an image's file -> the final error that the README of `SOURCE` gives for JAX (45 s an image) and PyTorch
(281 s), both with 4,096 steps on its author's GPU."""

INITIALISATION = InitialiseSettings(flat_density=0.05, overdraw=3.0)
"""Closer to the salient parts than sprites usually begin."""
SCHEDULE = Schedule(lod_bias=1.0)
RELOCATION = RelocateSettings()

GAP = 8
"""Float32Array between the three panels of the picture."""


@dataclass(frozen=True)
class Outcome:
    """One image's figures.

    Attributes:
        image: the file.
        circles, steps, seed, device: as requested.
        threads: number of them.
        seconds: from the target to the last step.
        mse: of the final picture, on values from -1 to 1.
        jax, pytorch: the published figures; None for an image that is not among them.
        ratio: `mse` over the better published figure.
        picture: the file with start, target and result side by side.
    """

    image: str
    circles: int
    steps: int
    seed: int
    device: str
    threads: int
    seconds: float
    mse: float
    jax: float | None
    pytorch: float | None
    ratio: float | None
    picture: str


def run(
    images: Sequence[Path], folder: Path, steps: int, seed: int, json_file: Path | None, device: str = "cpu"
) -> list[Outcome]:
    """Paint one image after another; print a table as they come, and write pictures and figures.

    Args:
        images: files; an image is known by its name without the ending.
        folder: where the pictures go, `NAME-circles.png`; made where there is none.
        steps: 1 to `MOST_STEPS`.
        seed: of every random choice.
        json_file: where the figures go besides.
        device: a back end that this machine has (see `smalti.engine.devices`).

    Raises:
        SmaltiError: as `read_image`; code ``"bad_setting"``; code ``"cannot_write"``.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise SmaltiError(f"--steps is {steps}, but must be from 1 to {MOST_STEPS:,}.", code="bad_setting")
    if seed < 0:
        raise SmaltiError(f"--seed is {seed}, but must not be below 0.", code="bad_setting")
    names = [image.stem for image in images]
    for name in names:
        if names.count(name) > 1:
            raise SmaltiError(
                f"two images are named {name}: one's picture would replace the other's.", "Rename one.", "bad_setting"
            )
    targets = [read_target(image) for image in images]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise SmaltiError(
            f"{folder}: cannot be made ({fault.strerror}).", "Choose another folder.", "cannot_write"
        ) from fault
    where = "a GPU" if is_gpu(device) else f"{thread_count()} threads"
    print(f"{CIRCLES:,} circles, {SIDE} x {SIDE} pixels, {steps:,} steps on {where}.")
    print(f"Published: {SOURCE} (JAX 45 s, PyTorch 281 s an image, on a GPU).\n")
    width = max(5, *(len(name) for name in names))
    print(f"{'image':{width}}  seconds      MSE  published: JAX  PyTorch  ratio to the better one")
    outcomes = []
    for image, name, target in zip(images, names, targets):
        outcomes.append(_outcome(image, name, target, folder, steps, seed, device))
        print(_table_line(outcomes[-1], name, width), flush=True)
    print("\nStart, target and result side by side:", *(outcome.picture for outcome in outcomes), sep="\n  ")
    if json_file is not None:
        text = json.dumps([asdict(outcome) for outcome in outcomes], indent=1)
        write_atomic(json_file, lambda file: file.write(text.encode()))
    return outcomes


def read_target(image: Path) -> Float32Array:
    """[256, 256, 4] premultiplied: the image over white, reduced (or enlarged) by Lanczos whatever its proportions."""
    pixels = premultiply(read_image(image))
    over_white = np.rint(255 * (pixels[..., :3] + 1 - pixels[..., 3:])).astype(np.uint8)
    small = Image.fromarray(over_white).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    target = np.ones((SIDE, SIDE, 4), np.float32)
    target[..., :3] = np.asarray(small, np.float32) / 255
    return target


def fit(target: Float32Array, steps: int, seed: int, device: str = "cpu") -> tuple[Sprites, Sprites]:
    """Paint one target [256, 256, 4]; returns the circles as initialized, and after the last step."""
    template = disc()
    size_range = 2.0, float(SIDE)
    settings = OptimiserSettings(
        steps=steps,
        schedule=SCHEDULE,
        colour_mix=0.0,
        blend_space="srgb",
        alpha_max=1.0,
        lock_rotation=True,
        lock_scale=False,
        size_range=size_range,
        back_end=device,
    )
    group = Group(CIRCLES, range(1), size_range)
    measured = [measure_template(template)]
    sampler = SpriteSampler(target.astype(np.float64), measured, 0.0, group, True, INITIALISATION.sampler)
    sprites = initialise(sampler, CIRCLES, np.random.default_rng(seed), INITIALISATION)
    objective = ImageObjective(target, np.ones_like(target), settings.blend_space, settings.objective, seed)
    optimiser = Optimiser(objective, build_atlas([template]), np.full((1, 2), float(TEXELS)), sprites, settings)
    before = optimiser.sprites()
    while not optimiser.finished:
        if RELOCATION.is_due(optimiser.done, steps):
            relocate(optimiser, [sampler], RELOCATION, np.random.default_rng((seed, optimiser.done)))
        optimiser.step()
    return before, optimiser.sprites()


def picture(sprites: Sprites) -> Float32Array:
    """The circles over white, [256, 256, 4] float32, premultiplied, sRGB-encoded, 0 to 1."""
    affine = sprites.affine(np.full((1, 2), float(TEXELS)))
    exact, white = sprites.double(), np.ones((SIDE, SIDE, 4), np.float32)
    scene: Scene[AnyArray] = Scene(
        affine, exact.opacity, exact.tint, exact.template, build_atlas([disc()]), (SIDE, SIDE), white
    )
    return np.asarray(draw(scene, "cpu"), np.float32)


def error(rendered: Float32Array, target: Float32Array) -> float:
    """Mean squared error of values from -1 to 1, over the three channels of color."""
    return 4 * float(np.square(rendered[..., :3].astype(np.float64) - target[..., :3]).mean())


def _outcome(image: Path, name: str, target: Float32Array, folder: Path, steps: int, seed: int, device: str) -> Outcome:
    began = time.perf_counter()
    before, after = fit(target, steps, seed, device)
    seconds = time.perf_counter() - began
    result = picture(after)
    mse = error(result, target)
    path = folder / f"{name}-circles.png"
    write_png(path, _side_by_side([picture(before), target, result]))
    jax, pytorch = PUBLISHED.get(name, (None, None))
    return Outcome(
        image=str(image),
        circles=CIRCLES,
        steps=steps,
        seed=seed,
        device=device,
        threads=thread_count(),
        seconds=round(seconds, 2),
        mse=mse,
        jax=jax,
        pytorch=pytorch,
        ratio=None if jax is None or pytorch is None else mse / min(jax, pytorch),
        picture=str(path),
    )


def _side_by_side(panels: Sequence[Float32Array]) -> UInt8Array:
    sheet = np.full((SIDE, len(panels) * (SIDE + GAP) - GAP, 4), 255, np.uint8)
    for at, panel in enumerate(panels):
        left = at * (SIDE + GAP)
        sheet[:, left : left + SIDE] = np.rint(255 * np.clip(panel, 0, 1))
    return sheet


def _table_line(outcome: Outcome, name: str, width: int) -> str:
    line = f"{name:{width}}  {outcome.seconds:7.1f}  {outcome.mse:.5f}"
    if outcome.ratio is None:
        return f"{line}               -        -      -"
    return f"{line}         {outcome.jax:.5f}  {outcome.pytorch:.5f}  {outcome.ratio:5.3f}"
