# SPDX-License-Identifier: GPL-3.0-or-later
"""No two threads of a block race for memory: ThreadSanitizer watches every kernel.

Only __syncthreads orders the threads of a block there, whatever order they really run in: any run finds a missing one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import optimisers
import pytest
from cuda_host import KERNELS, ROOT, SOURCES, HostGpu, compiled, compiler, flavor

from scenes import random_candidates, random_goal, random_scene, with_gradients
from smalti.engine.fitting.objective.losses import MSE, Objective
from smalti.engine.raster import evaluate_candidates, image_loss, removal_errors
from smalti.engine.raster.loss import KERNEL_TERMS

pytestmark = [pytest.mark.slow, pytest.mark.skipif(flavor() != "plain", reason="has a build of its own")]

FILES = ["host.cpp", "replay.cpp"]
FLAGS = ["-O1", "-g", "-fsanitize=thread"]
SIZE = 30, 22
EVERY_TERM = Objective(tuple((name, 1.0) for name in KERNEL_TERMS))


def replayed(program: Path, record: Path) -> str:
    """What the launches of a record say under ThreadSanitizer."""
    options = f"suppressions={SOURCES / 'threads.supp'} history_size=2"
    without_random_addresses = [shutil.which("setarch") or pytest.skip("needs setarch"), "-R"]
    done = subprocess.run(
        [*without_random_addresses, str(program), str(record)],
        env={**os.environ, "TSAN_OPTIONS": options},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.timeout(1200)
def test_no_kernel_has_a_race(gpu: HostGpu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(optimisers, "SIZE", SIZE)
    record = tmp_path / "launches"
    gpu.library.shim_record(str(record).encode())
    for mix, shade in ((0.0, 0.0), (0.5, 0.0), (0.5, 0.8)):
        scene = replace(random_scene(1, n=45, size=SIZE, mix=mix, half_size=(4, 20), shade=shade), stop=1e-4)
        goal = random_goal(*SIZE)
        with_gradients(scene, "cuda")
        image_loss(scene, goal, "cuda")
        removal_errors(scene, goal, "cuda")
        evaluate_candidates(scene, goal, random_candidates(2, scene, 10), "cuda")
        for objective in (MSE, EVERY_TERM):
            chosen = optimisers.settings(back_end="cuda", colour_mix=mix, shade=shade, objective=objective)
            float(optimisers.optimiser(False, chosen).step())
    gpu.library.shim_record(None)
    said = replayed(compiled("replay", FILES, FLAGS), record)
    assert "WARNING: ThreadSanitizer" not in said, said[-6000:]
    assert set(said.split()) == set(KERNELS)


@pytest.mark.timeout(1200)
def test_a_missing_barrier_would_be_found(gpu: HostGpu, tmp_path: Path) -> None:
    record = tmp_path / "launches"
    gpu.library.shim_record(str(record).encode())
    scene = random_scene(1, n=45, size=(16, 16), half_size=(8, 20))
    with_gradients(scene, "cuda")
    gpu.library.shim_record(None)
    for folder in ("engine/cuda", "engine/kernels", "tests/cuda_host"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    source = tmp_path / "engine" / "cuda" / "tile_sample.cuh"
    staging, after = source.read_text().split("// Writes 0 for the pairs")
    before, barrier, end = staging.rpartition("    __syncthreads();\n")
    assert barrier
    source.write_text(f"{before}{end}// Writes 0 for the pairs{after}")
    program = tmp_path / "replay"
    files = [str(tmp_path / "tests" / "cuda_host" / file) for file in FILES]
    subprocess.run([compiler(), "-std=c++17", "-Wno-unknown-pragmas", *FLAGS, *files, "-o", str(program)], check=True)
    said = replayed(program, record)
    assert said.count("WARNING: ThreadSanitizer: data race") > 5
    assert "engine/cuda/tile_" in said
