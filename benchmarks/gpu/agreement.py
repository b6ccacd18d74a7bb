# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts that check: the GPU's results are those of the reference and of the CPU, and its memory is used rightly."""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from table import ROOT, Line, finished, number

if TYPE_CHECKING:
    from torch import Tensor

    from smalti.engine.raster import Scene

SANITIZERS = ("memcheck", "racecheck", "synccheck", "initcheck")
SANITIZER_SECONDS = 100


def relative(found: torch.Tensor, true: torch.Tensor) -> float:
    """Norm of the difference over the norm of the truth."""
    return float((found.double() - true.double()).norm() / true.double().norm().clamp(min=1e-12))


def machine(options: argparse.Namespace) -> list[Line]:
    """The card, its software, and the state of the sources."""
    from smalti.engine.cli.doctor import checks

    for check in checks():
        print(f"  {check.name}: {check.found} {check.hint}")
    card = torch.cuda.get_device_properties(0)
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    return [
        Line("card", f"{card.name}, {card.total_memory / 2**30:.0f} GiB, {card.multi_processor_count} SMs", "", None),
        Line("software", f"torch {torch.__version__}, Python {platform.python_version()}, commit {commit}", "", None),
    ]


def parity(options: argparse.Namespace) -> list[Line]:
    """Pictures and gradients against the reference, on the random scenes of the tests and on fresh ones."""
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
    ]
    image_off, grad_off = 0.0, 0.0
    for scene in scenes:
        for stop in (0.0, 1e-4):
            image, grads = with_gradients(replace(scene, stop=stop), "cuda")
            true, true_grads = with_gradients(replace(scene, stop=stop), "reference")
            image_off = max(image_off, float((image - true).abs().max()))
            for found, expected in zip(grads, true_grads):
                if expected.abs().max() > 0:
                    grad_off = max(grad_off, relative(found, expected))
    again = [with_gradients(replace(scenes[1], stop=1e-4), "cuda") for _ in range(5)]
    same = all(torch.equal(a[0], again[0][0]) for a in again) and all(
        torch.equal(x, y) for a in again for x, y in zip(a[1], again[0][1])
    )
    candidate_off = max(candidates_off(scene) for scene in scenes[:8])
    return [
        Line(
            "removal errors and candidates, against the CPU, relative",
            number(candidate_off),
            "1e-3",
            candidate_off < 1e-3,
        ),
        Line("picture against the reference, largest difference", number(image_off), "1e-4", image_off < 1e-4),
        Line("gradients against the reference, relative", number(grad_off), "1e-3", grad_off < 1e-3),
        Line("five runs, the same bits", str(same), "yes", same),
    ]


def candidates_off(scene: Scene[Tensor]) -> float:
    """Largest difference of errors and coefficients from the CPU's, over the largest number of the kind."""
    from scenes import random_candidates
    from smalti.engine.raster import evaluate_candidates

    goal = torch.rand(*scene.size, 4, generator=torch.Generator().manual_seed(1))
    candidates = random_candidates(9, scene, 200)
    found, true = (
        evaluate_candidates(replace(scene, stop=1e-4), goal, candidates, back_end) for back_end in ("cuda", "cpu")
    )
    pairs = [(found.removal_errors, true.removal_errors), *zip(found.coefficients.T, true.coefficients.T)]
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in pairs)


def step_parity(options: argparse.Namespace) -> list[Line]:
    """Whole steps, captured and played again, against the CPU's from the same state; and through a checkpoint."""
    from optimisers import optimiser, settings

    worst = 0.0
    for background in (True, False):
        for changes in ({}, {"colour_mix": 0.5}, {"blend_space": "linear"}):
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
    return [
        Line("loss of steps against the CPU, relative", number(worst), "1e-4", worst < 1e-4),
        Line("40 steps are 20 and 20 through a checkpoint", str(same), "yes", same),
    ]


def sanitized(options: argparse.Namespace) -> list[Line]:
    """A small scene and a few steps under each of compute-sanitizer's tools."""
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
        code = finished(command, log, SANITIZER_SECONDS)
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

    from scenes import random_scene, with_gradients
    from smalti.engine.raster import removal_errors

    scene = replace(random_scene(1, n=80, size=(45, 61), mix=0.5), stop=1e-4)
    with_gradients(scene, "cuda")
    goal = torch.rand(45, 61, 4)
    for mix in (0.0, 0.5):
        removal_errors(replace(scene, background=None, mix=mix), goal, "cuda")
        candidates_off(replace(scene, mix=mix))
        fitting = optimiser(False, settings(back_end="cuda", colour_mix=mix))
        for _ in range(3):
            float(fitting.step())
    return []
