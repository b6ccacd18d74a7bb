# SPDX-License-Identifier: GPL-3.0-or-later
"""The CUDA kernels, run on the host, say what the reference says; the same bits whatever the order of their threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from cuda_host import SANITIZED, HostKernels, sanitized_environment
from jobs import bitmaps, pixels_of, ramp, save
from optimisers import optimiser, settings
from pairwise import pairwise
from torch import Tensor

from scenes import random_candidates, random_scene, stacked_scene, with_gradients
from smalti.bridge.errors import SmaltiError
from smalti.engine import cuda
from smalti.engine.api import fit
from smalti.engine.composition.render import picture
from smalti.engine.cuda import binning
from smalti.engine.fitting.constraints import Constraints
from smalti.engine.job import inputs
from smalti.engine.raster import Scene, draw, evaluate_candidates, image_loss, removal_errors
from smalti.engine.templates import load_templates


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch) -> HostKernels:
    """In place of a GPU's."""
    launcher = HostKernels()
    monkeypatch.setattr(binning, "current_launcher", lambda: launcher)
    return launcher


def relative(found: Tensor, true: Tensor) -> float:
    return float((found.double() - true.double()).norm() / true.double().norm().clamp(min=1e-12))


SCENES: dict[str, tuple[Callable[..., Scene[Tensor]], dict[str, Any]]] = {
    **{
        f"mixed bag, mix {mix}, bias {bias}": (random_scene, {"seed": 1, "mix": mix, "lod_bias": bias})
        for mix, bias in ((0.0, 0.0), (0.0, 2.0), (0.5, 2.0), (1.0, 0.0))
    },
    "transparent": (random_scene, {"seed": 2, "mix": 0.3, "background": False}),
    "one tile": (random_scene, {"seed": 3, "size": (7, 9)}),
    "larger than the canvas": (random_scene, {"seed": 4, "size": (40, 40), "half_size": (60.0, 90.0)}),
    "stacked": (stacked_scene, {"seed": 5, "depth": 150}),
    "stacked bitmaps": (stacked_scene, {"seed": 6, "depth": 150, "mix": 0.7}),
}


@pytest.mark.parametrize(("name", "stop"), [*((name, 1e-4) for name in SCENES), ("stacked", 0.0)])
def test_kernels_agree_with_the_reference(name: str, stop: float) -> None:
    make, arguments = SCENES[name]
    scene = make(**arguments)
    image, grads = with_gradients(replace(scene, stop=stop), "cuda")
    true, true_grads = with_gradients(replace(scene, stop=stop), "reference")
    assert (image - true).abs().max() < 1e-4
    for found, expected in zip(grads, true_grads):
        assert relative(found, expected) < 1e-3 or expected.abs().max() == found.abs().max() == 0


def test_the_order_of_threads_changes_nothing(kernels: HostKernels) -> None:
    scene = random_scene(7, n=60, mix=0.4, half_size=(2.0, 40.0))
    results = []
    for seed in range(4):
        kernels.seed = seed
        image, grads = with_gradients(replace(scene, stop=1e-4), "cuda")
        results.append((image, *grads))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


def test_a_canvas_without_sprites_is_its_background() -> None:
    scene = random_scene(8, n=0)
    image, _ = with_gradients(scene, "cuda")
    assert scene.background is not None
    assert torch.equal(image, scene.background)


def test_a_sprite_that_is_not_finite_is_not_drawn_and_spoils_nothing() -> None:
    scene = random_scene(23, n=12, mix=0.5)
    affine, opacity = scene.affine.clone(), scene.opacity.clone()
    affine[0] = float("nan")
    affine[1] = 0.0
    opacity[2] = float("inf")
    broken, grads = with_gradients(replace(scene, affine=affine, opacity=opacity), "cuda")
    names = ("affine", "opacity", "tint", "template")
    clean, clean_grads = with_gradients(replace(scene, **{n: getattr(scene, n)[3:] for n in names}), "cuda")
    assert torch.equal(broken, clean)
    for found, expected in zip(grads, clean_grads):
        assert (found[:3] == 0).all()
        assert torch.equal(found[3:], expected)


def test_a_tile_may_hold_more_sprites_than_are_brought_or_ordered_at_once() -> None:
    """Over 512 pairs in a tile, some of them behind what stops the light."""
    scene = random_scene(9, n=700, size=(16, 16), half_size=(10.0, 30.0))
    image, grads = with_gradients(replace(scene, stop=1e-4), "cuda")
    true, true_grads = with_gradients(replace(scene, stop=1e-4), "cpu")
    assert (image - true).abs().max() < 1e-4
    for found, expected in zip(grads, true_grads):
        assert relative(found, expected) < 1e-3


@pytest.mark.parametrize(("kind", "encoded", "mix"), pairwise(["mse", "l1"], [False, True], [0.0, 0.5]))
def test_the_loss_and_its_gradient_agree_with_the_cpu(kind: Literal["mse", "l1"], encoded: bool, mix: float) -> None:
    scene = random_scene(31, n=40, size=(35, 41), mix=mix, half_size=(2, 20))
    goal = torch.rand(35, 41, 4, generator=torch.Generator().manual_seed(0))
    results = {}
    for back_end in ("cuda", "cpu"):
        leaves = [t.detach().clone().requires_grad_() for t in (scene.affine, scene.opacity, scene.tint)]
        differentiated = replace(scene, affine=leaves[0], opacity=leaves[1], tint=leaves[2], stop=1e-4)
        loss = image_loss(differentiated, goal, back_end, kind=kind, encoded=encoded)
        loss.backward()
        results[back_end] = loss.detach(), [leaf.grad for leaf in leaves]
    assert float(results["cuda"][0]) == pytest.approx(float(results["cpu"][0]), rel=1e-5)
    for found, true in zip(results["cuda"][1], results["cpu"][1]):
        assert found is not None and true is not None  # noqa: PT018
        # Where a difference is nearly 0, rounding decides on the sign that L1 takes.
        assert relative(found, true) < (1e-3 if kind == "mse" else 2e-2)


@pytest.mark.parametrize("mix", [0.0, 0.5])
def test_removal_errors_agree_with_the_reference(mix: float) -> None:
    scene = random_scene(41, n=12, size=(21, 35), mix=mix, half_size=(2, 20))
    goal = torch.rand(21, 35, 4, generator=torch.Generator().manual_seed(1))
    found, true = (removal_errors(scene, goal, back_end) for back_end in ("cuda", "reference"))
    assert (found - true).abs().max() < 1e-4 * true.abs().max() + 1e-8


@pytest.mark.parametrize(("mix", "background"), [(0.0, True), (0.5, False), (1.0, True)])
def test_candidates_agree_with_the_cpu(mix: float, background: bool) -> None:
    scene = random_scene(43, n=20, size=(35, 50), mix=mix, half_size=(2, 30), background=background)
    goal = torch.rand(35, 50, 4, generator=torch.Generator().manual_seed(1))
    candidates = random_candidates(44, scene, 40)
    for stop in (0.0, 1e-4, 0.2):
        found, true = (
            evaluate_candidates(replace(scene, stop=stop), goal, candidates, name) for name in ("cuda", "cpu")
        )
        off = (found.removal_errors - true.removal_errors).abs().max()
        assert off < 1e-4 * true.removal_errors.abs().max() + 1e-8
        for column, expected in zip(found.coefficients.T, true.coefficients.T):
            assert (column - expected).abs().max() < 1e-4 * expected.abs().max() + 1e-8


# Whole steps.


def state_after(steps: int, changes: dict[str, Any], background: bool, back_end: str) -> tuple[dict[str, Any], float]:
    fitting = optimiser(background, settings(back_end=back_end, **changes))
    loss = 0.0
    for _ in range(steps):
        loss = float(fitting.step())
    return fitting.state(), loss


@pytest.mark.parametrize(
    ("background", "changes"),
    [
        (True, {}),
        (False, {"colour_mix": 0.4}),
        (True, {"colour_mix": 1.0, "blend_space": "linear"}),
        (True, {"lock_rotation": True, "lock_scale": True}),
        (False, {"pyramid": ((0.02, 4), (0.05, 3))}),
    ],
    ids=str,
)
def test_a_step_is_that_of_the_cpu(background: bool, changes: dict[str, Any]) -> None:
    ours, cpu = (optimiser(background, settings(back_end=back_end, **changes)) for back_end in ("cuda", "cpu"))
    for step in range(4):
        cpu.restore(ours.state())
        ours.restore(ours.state())  # both from the numbers that a checkpoint keeps
        before = cpu.state()
        assert float(ours.step()) == pytest.approx(float(cpu.step()), rel=1e-5)
        found, true = ours.state(), cpu.state()
        assert sorted(found) == sorted(true)
        for name in true:
            # Rounding decides on the sign of a slope that is nearly 0, which is as long a step as any other.
            close = 3e-2 if name.startswith("parameter.") else 2e-3
            moved, off = (np.linalg.norm(true[name] - other[name]) for other in (before, found))
            assert off <= close * moved + 1e-6 * np.linalg.norm(true[name]), (step, name)


class FixedPenalty(Constraints):
    """A penalty whose gradient is the same in every step, or one of another factor from the second step on."""

    def __init__(self, count: int, factor: float) -> None:
        super().__init__([])
        rng = np.random.default_rng(3)
        scale = torch.tensor([1e-3, 1e-3, 1e-5, 1e-3, 1e-3, 1e-5], dtype=torch.float64)
        self.penalized = True
        self._gradient = (
            torch.from_numpy(rng.normal(0, 1, (count, 6))) * scale,
            torch.from_numpy(rng.normal(0, 1e-3, count)),
        )
        self._factor = factor

    def penalty_gradient(
        self, scene: Scene[torch.Tensor], cover: torch.Tensor, memory: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        steps = torch.zeros(len(scene), dtype=torch.float64) if memory is None else memory
        factor = 1.0 if not steps.any() else self._factor
        return factor * self._gradient[0], factor * self._gradient[1], steps + 1


def test_a_step_with_a_penalty_is_that_of_the_cpu() -> None:
    ours, cpu, without = (optimiser(True, settings(back_end=back_end)) for back_end in ("cuda", "cpu", "cpu"))
    for fitting in (ours, cpu):
        fitting.constraints = FixedPenalty(len(ours.parameters), -2.0)
    for step in range(4):
        for other in (cpu, without):
            other.restore(ours.state())
        ours.restore(ours.state())
        before = ours.state()
        for fitting in (ours, cpu, without):
            fitting.step()
        found, true, free = ours.state(), cpu.state(), without.state()
        np.testing.assert_array_equal(found["memory"], step + 1)
        for name in ("parameter.x", "parameter.log_scale", "parameter.opacity"):
            moved = np.linalg.norm(true[name] - before[name])
            assert np.linalg.norm(found[name] - true[name]) < 3e-2 * moved, name
            assert np.linalg.norm(free[name] - true[name]) > 0.1 * moved, name


def test_steps_go_on_from_a_checkpoint_as_if_nothing_had_happened() -> None:
    through = optimiser(True, settings(back_end="cuda"))
    for _ in range(6):
        through.step()
    first = optimiser(True, settings(back_end="cuda"))
    for _ in range(3):
        first.step()
    second = optimiser(True, settings(back_end="cuda"))
    second.restore(first.state())
    for _ in range(3):
        second.step()
    expected, found = through.state(), second.state()
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_a_step_without_room_for_its_pairs_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, loss = state_after(7, {}, True, "cuda")
    made: list[int] = []
    reserve = binning.Bins.reserve

    def stingy(bins: binning.Bins, pairs: int) -> None:
        made.append(pairs)
        # Too little twice: for the first steps, and once more when they are played again.
        reserve(bins, pairs if len(made) % 2 or len(made) > 4 else 5)

    monkeypatch.setattr(binning.Bins, "reserve", stingy)
    found, found_loss = state_after(7, {}, True, "cuda")
    assert len(made) > 4
    assert found_loss == loss
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


@pytest.mark.slow
def test_steps_that_are_made_again_have_their_own_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.FusedStep, "SECONDS", 1e9)
    looked = optimiser(True, settings(back_end="cuda"))
    expected = [float(looked.step()) for _ in range(7)]
    made: list[int] = []
    reserve = binning.Bins.reserve

    def stingy(bins: binning.Bins, pairs: int) -> None:
        made.append(pairs)
        # Every other call empties the old memory; the first room that is made is too small.
        reserve(bins, 5 if len(made) == 2 else pairs)

    monkeypatch.setattr(binning.Bins, "reserve", stingy)
    unseen = optimiser(True, settings(back_end="cuda"))
    monkeypatch.setattr(unseen._fused, "_ahead", 64)
    later = [unseen.step() for _ in range(7)]
    assert [float(loss) for loss in later] == expected
    assert len(made) > 2


@pytest.mark.parametrize("off", [-1, 1])
def test_pairs_that_were_not_counted_are_not_written(
    off: int, kernels: HostKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the passes that count and list came to different tiles: nothing is drawn, and nothing else overwritten."""
    scan = kernels.launch

    def counted_otherwise(name: str, *arguments: Any, **more: Any) -> None:
        if name == "scan_pairs":
            sprites, tiles = arguments[3], arguments[6]
            sprites[20] += off
            tiles[6] += off
        scan(name, *arguments, **more)

    monkeypatch.setattr(kernels, "launch", counted_otherwise)
    with pytest.raises(SmaltiError, match="listed other pairs of sprite and tile than it had counted") as caught:
        draw(random_scene(1), "cuda")
    assert caught.value.code == "cuda_fault"
    fitting = optimiser(True, settings(back_end="cuda"))
    for read in (lambda: float(fitting.step()), fitting.state):
        with pytest.raises(SmaltiError, match="listed other pairs"):
            read()


def test_the_loss_of_a_step_that_was_never_made_is_not_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.FusedStep, "SECONDS", 1e9)
    fitting = optimiser(True, settings(back_end="cuda"))
    first = float(fitting.step())
    monkeypatch.setattr(fitting._fused, "_ahead", 64)
    monkeypatch.setattr(fitting._fused, "_replay", lambda: None)
    assert isinstance(fitting._fused, cuda.FusedStep)
    fitting._fused._bins.status[1:3] = torch.tensor([1, 1])  # as if the step had found no room
    monkeypatch.setattr(binning.Bins, "needed", lambda bins: (_ for _ in ()).throw(ValueError("too many")))
    lost = fitting.step()
    for _ in range(2):
        with pytest.raises(ValueError, match="too many"):
            float(lost)
    assert first > 0


def test_sprites_that_are_moved_from_outside_do_not_cost_a_new_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    prepare = cuda.FusedStep._prepare

    def counted(*arguments: Any) -> None:
        made.append(1)
        prepare(*arguments)

    monkeypatch.setattr(cuda.FusedStep, "_prepare", counted)
    fitting = optimiser(True, settings(back_end="cuda"))
    for _ in range(3):
        fitting.step()
        which = np.array([1, 7])
        others = replace(fitting.sprites().take(which).double(), x=np.full(2, 5.0), y=np.full(2, 6.0))
        fitting.parameters.move_to_top(which, others)
        fitting.step()
    assert len(made) == 1
    assert abs(fitting.sprites().x[-2:] - 5).max() < 10


def test_each_step_has_its_own_loss_whenever_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.FusedStep, "PATIENCE", 3)
    monkeypatch.setattr(cuda.FusedStep, "SECONDS", 1e9)
    looked, unseen = (optimiser(True, settings(back_end="cuda")) for _ in range(2))
    expected = [float(looked.step()) for _ in range(8)]
    later = [unseen.step() for _ in range(8)]
    assert len(set(expected)) == 8
    assert [float(loss) for loss in reversed(later)] == expected[::-1]
    assert all(np.array_equal(looked.state()[name], unseen.state()[name]) for name in looked.state())


@pytest.mark.slow
def test_a_whole_fit_runs_on_the_kernels(kernels: HostKernels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With relocation, a growing canvas and frames; as close as the CPU comes."""
    monkeypatch.setattr(inputs, "resolve_device", lambda requested: requested)
    templates = load_templates(bitmaps(tmp_path / "bitmaps"))
    target = save(tmp_path / "ramp.png", ramp(48, 32))
    quality = {}
    for device in ("cuda", "cpu"):
        composition = fit(target, templates, count=12, steps=60, device=device)
        shown = picture(composition)[..., :3] / 255
        quality[device] = -10 * np.log10(np.mean((shown - pixels_of(target)[..., :3]) ** 2))
    assert {"update_parameters", "removal_tint", "candidates_tint"} <= set(kernels.launched)
    assert quality["cuda"] > quality["cpu"] - 1


@pytest.mark.slow
@pytest.mark.timeout(1800)  # each of its tests has a limit of its own
@pytest.mark.skipif(SANITIZED in os.environ, reason="is run by itself")
def test_no_kernel_reads_or_writes_outside_its_arrays() -> None:
    """Those tests above that launch each kernel in each way once more, under AddressSanitizer and UBSan."""
    # Left out, as they launch no other kernels: they take half of the time.
    others = "not each_step_has and not moved_from_outside and not go_on_from_a_checkpoint"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        [*command, "-m", "not slow", "-k", others],
        env=sanitized_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.slow
@pytest.mark.skipif(SANITIZED in os.environ, reason="would end the process")
def test_the_sanitizers_would_find_such_a_write() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests'); from cuda_host import HostKernels; from scenes import random_scene\n"
        "from smalti.engine.cuda import binning; from smalti.engine.raster import draw\n"
        "launcher = HostKernels(); binning.current_launcher = lambda: launcher\n"
        "reserve = binning.Bins.reserve\n"
        "def short(bins, pairs):\n    reserve(bins, pairs // 2); bins.capacity = pairs\n"
        "binning.Bins.reserve = short; draw(random_scene(1), 'cuda')"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=sanitized_environment(), cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
