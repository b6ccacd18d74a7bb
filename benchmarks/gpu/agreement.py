# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts that check: the GPU's results are those of the CPU, and its memory is used rightly."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from table import Line, commit, finished, multiprocessors, number

if TYPE_CHECKING:
    from smalti.engine.arrays import AnyArray
    from smalti.engine.raster import Scene

SANITIZERS = ("memcheck", "racecheck", "synccheck", "initcheck")
SANITIZER_SECONDS = 100


def relative(found: AnyArray, true: AnyArray) -> float:
    """Norm of the difference over the norm of the truth."""
    return float(np.linalg.norm(found - true)) / max(float(np.linalg.norm(true)), 1e-12)


def machine(options: argparse.Namespace) -> list[Line]:
    """The card, its software, and the state of the sources."""
    from smalti.engine.cli.doctor import checks
    from smalti.engine.cuda.launcher import kernels
    from smalti.engine.devices import Gpu, nvidia_gpu

    for check in checks():
        print(f"  {check.name}: {check.found} {check.hint}")
    card, image = nvidia_gpu(), kernels().image
    assert isinstance(card, Gpu)
    for name, taken in kernels().occupied().items():
        print(f"  {name}: {taken.registers} registers, {taken.shared} B shared, {taken.local} B local")
    driver = ".".join(map(str, card.driver))
    return [
        Line(
            "card",
            f"{card.name}, {card.memory / 2**30:.0f} GiB, {multiprocessors()} SMs, driver for {driver}",
            "",
            None,
        ),
        Line("software", f"Python {platform.python_version()}, commit {commit()}", "", None),
        Line("kernels", f"for {image.name}, {image.origin}", "", None),
    ]


def parity(options: argparse.Namespace) -> list[Line]:
    """Pictures and gradients against the CPU, on the random scenes of the tests and on fresh ones."""
    from scenes import random_scene, stacked_scene, with_gradients

    fresh = int(time.time())
    print(f"  the fresh scene has the seed {fresh}")
    scenes = [
        *(random_scene(seed, mix=mix, lod_bias=bias) for seed in (1, 2) for mix in (0.0, 0.5, 1.0) for bias in (0, 2)),
        random_scene(3, mix=0.3, background=False),
        random_scene(4, size=(40, 40), half_size=(60.0, 90.0)),
        random_scene(fresh, n=60, size=(90, 70), mix=0.5),
        stacked_scene(5),
        stacked_scene(6, mix=0.7),
        *(random_scene(1, mix=mix, lod_bias=bias, shade=0.8) for mix in (0.0, 0.5) for bias in (0, 2)),
        stacked_scene(6, mix=0.2, shade=0.8),
    ]
    image_off, grad_off = 0.0, 0.0
    for scene in scenes:
        for stop in (0.0, 1e-4):
            image, grads = with_gradients(replace(scene, stop=stop), "cuda")
            true, true_grads = with_gradients(replace(scene, stop=stop), "cpu")
            image_off = max(image_off, float(np.abs(image - true).max()))
            for found, expected in zip(grads, true_grads):
                if np.abs(expected).max() > 0:
                    grad_off = max(grad_off, relative(found, expected))
    first, *others = [with_gradients(replace(scenes[1], stop=1e-4), "cuda") for _ in range(5)]
    same = all(np.array_equal(a, b) for other in others for a, b in zip((other[0], *other[1]), (first[0], *first[1])))
    candidate_off = max(candidates_off(scene) for scene in (*scenes[:8], *scenes[-5:-1]))
    return [
        Line("removal errors and candidates, relative", number(candidate_off), "1e-3", candidate_off < 1e-3),
        Line("picture, largest difference", number(image_off), "1e-4", image_off < 1e-4),
        Line("gradients, relative", number(grad_off), "1e-3", grad_off < 1e-3),
        Line("five runs, the same bits", str(same), "yes", same),
    ]


def candidates_off(scene: Scene[AnyArray]) -> float:
    """Largest difference of errors and coefficients from the CPU's, over the largest number of the kind."""
    from scenes import random_candidates, random_goal
    from smalti.engine.raster import evaluate_candidates

    goal = random_goal(*scene.size)
    candidates = random_candidates(9, scene, 200)
    found, true = (
        evaluate_candidates(replace(scene, stop=1e-4), goal, candidates, back_end) for back_end in ("cuda", "cpu")
    )
    pairs = [(found.removal_errors, true.removal_errors), *zip(found.coefficients.T, true.coefficients.T)]
    return max(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-12)) for a, b in pairs)


def step_parity(options: argparse.Namespace) -> list[Line]:
    """Whole steps, captured and played again, against the CPU's from the same state; and through a checkpoint."""
    from optimisers import optimiser, settings

    worst = 0.0
    for background in (True, False):
        for changes in ({}, {"colour_mix": 0.5}, {"blend_space": "linear"}, {"shade": 0.8, "colour_mix": 0.2}):
            ours, cpu = (optimiser(background, settings(back_end=b, **changes)) for b in ("cuda", "cpu"))
            for _ in range(10):
                cpu.restore(ours.state())
                ours.restore(ours.state())
                worst = max(worst, abs(float(ours.step()) / float(cpu.step()) - 1))
    through, first, second = (optimiser(True, settings(back_end="cuda")) for _ in range(3))
    for _ in range(40):
        through.step()
    for _ in range(20):
        first.step()
    second.restore(first.state())
    for _ in range(20):
        second.step()
    expected, found = through.state(), second.state()
    same = all(np.array_equal(expected[name], found[name]) for name in expected)
    off = terms_off()
    return [
        Line("gradients of steps by every term, relative", number(off), "1e-3", off < 1e-3),
        Line("loss of steps against the CPU, relative", number(worst), "1e-4", worst < 1e-4),
        Line("40 steps are 20 and 20 through a checkpoint", str(same), "yes", same),
    ]


def terms_off() -> float:
    """Largest difference of a step's gradient from the CPU's, by every term and by their sum, over its norm."""
    from optimisers import optimiser, settings

    from smalti.engine.fitting.objective.losses import Objective
    from smalti.engine.raster.loss import KERNEL_TERMS

    worst = 0.0
    for factors in (*({name: 1.0} for name in KERNEL_TERMS), dict.fromkeys(KERNEL_TERMS, 0.5)):
        for background, space in ((True, "srgb"), (False, "linear")):
            chosen = {"objective": Objective(tuple(factors.items())), "blend_space": space}
            ours, cpu = (optimiser(background, settings(back_end=b, **chosen)) for b in ("cuda", "cpu"))
            ours.restore(ours.state())
            cpu.restore(ours.state())
            for fitting in (ours, cpu):
                float(fitting.step())
            found, true = ours.state(), cpu.state()
            off = max(relative(found[name], true[name]) for name in true if "mean" in name)
            print(f"  {' + '.join(factors)}, {space}: {off:.1e}")
            worst = max(worst, off)
    return worst


def sanitized(options: argparse.Namespace) -> list[Line]:
    """A small scene and a few steps under each of compute-sanitizer's tools."""
    from smalti.engine.cuda.device import PLAIN_MEMORY

    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return [Line("compute-sanitizer", "is not on this machine", "", None)]
    lines = []
    for name in SANITIZERS:
        command = [
            tool,
            "--tool",
            name,
            "--error-exitcode",
            "7",
            sys.executable,
            str(Path(__file__).with_name("run.py")),
            "--only",
            "small",
        ]
        began = time.monotonic()
        log = options.out / f"{name}.log"
        code = finished(command, log, SANITIZER_SECONDS, {**os.environ, PLAIN_MEMORY: "1"})
        said = log.read_text(errors="replace").splitlines()
        print("\n".join(said[-30:]))
        if code is None:
            lines.append(Line(name, f"not finished in {SANITIZER_SECONDS} s", "", False))
            continue
        summary = [line for line in said if "SUMMARY" in line] or said[-1:]
        found = f"{' '.join(summary).replace('=', '').strip()} ({time.monotonic() - began:.0f} s)"
        lines.append(Line(name, found, "0 errors", code == 0))
    return lines


def small(options: argparse.Namespace) -> list[Line]:
    """What the sanitizers watch."""
    from optimisers import optimiser, settings

    from scenes import random_goal, random_scene, with_gradients
    from smalti.engine.fitting.objective.losses import MSE, Objective
    from smalti.engine.raster import removal_errors
    from smalti.engine.raster.loss import KERNEL_TERMS

    scene = replace(random_scene(1, n=80, size=(45, 61), mix=0.5), stop=1e-4)
    with_gradients(scene, "cuda")
    goal = random_goal(*scene.size)
    for mix, shade in ((0.0, 0.0), (0.5, 0.0), (0.2, 0.8)):
        removal_errors(replace(scene, background=None, mix=mix, shade=shade), goal, "cuda")
        candidates_off(replace(scene, mix=mix, shade=shade))
        for objective in (MSE, Objective(tuple((name, 1.0) for name in KERNEL_TERMS))):
            fitting = optimiser(False, settings(back_end="cuda", colour_mix=mix, shade=shade, objective=objective))
            for _ in range(3):
                float(fitting.step())
    return []
