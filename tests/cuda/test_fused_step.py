# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole steps by the CUDA kernels, recorded and replayed on the host, are those of the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_host import HostGpu
from jobs import bitmaps, pixels_of, ramp, save
from optimisers import optimiser, settings, too_little_room

from smalti.bridge.errors import SmaltiError
from smalti.engine import cuda
from smalti.engine.api import fit
from smalti.engine.arrays import AnyArray, Float32Array, Float64Array
from smalti.engine.composition.render import picture
from smalti.engine.cuda import binning
from smalti.engine.fitting.constraints import Constraints
from smalti.engine.job import inputs
from smalti.engine.raster import Scene
from smalti.engine.templates import load_templates

pytestmark = pytest.mark.usefixtures("gpu")


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
        (True, {"shade": 1.0}),
        (False, {"shade": 0.6, "colour_mix": 0.4, "blend_space": "linear"}),
        (True, {"shade": 0.6, "colour_mix": 1.0}),
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
            moved, off = (
                np.linalg.norm(np.subtract(true[name], other[name], dtype=float)) for other in (before, found)
            )
            assert off <= close * moved + 1e-6 * np.linalg.norm(true[name]), (step, name)


def test_a_step_is_six_launches(gpu: HostGpu) -> None:
    fitting = optimiser(True, settings(back_end="cuda"))
    float(fitting.step())
    before = len(gpu.launched)
    float(fitting.step())
    names = ["place_parameters", "scan_pairs", "list_pairs", "order_pairs", "step_tint", "update_parameters"]
    assert gpu.launched[before:] == names


class FixedPenalty(Constraints):
    """A penalty whose gradient is the same in every step, or one of another factor from the second step on."""

    def __init__(self, count: int, factor: float) -> None:
        super().__init__([])
        rng = np.random.default_rng(3)
        scale = np.array([1e-3, 1e-3, 1e-5, 1e-3, 1e-3, 1e-5])
        self.penalized = True
        self._gradient = rng.normal(0, 1, (count, 6)) * scale, rng.normal(0, 1e-3, count)
        self._factor = factor

    def penalty_gradient(
        self, scene: Scene[AnyArray], cover: Float32Array, memory: Float64Array | None
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        steps = np.zeros((len(scene), 1)) if memory is None else memory
        factor = 1.0 if not steps.any() else self._factor
        return factor * self._gradient[0], factor * self._gradient[1], steps + 1


@pytest.mark.parametrize("shade", [0.0, 0.7])
def test_a_step_with_a_penalty_is_that_of_the_cpu(shade: float) -> None:
    ours, cpu, without = (
        optimiser(True, settings(back_end=back_end, shade=shade)) for back_end in ("cuda", "cpu", "cpu")
    )
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


def test_gated_steps_are_those_of_the_cpu() -> None:
    ours, cpu = (optimiser(True, settings(back_end=back_end)) for back_end in ("cuda", "cpu"))
    gates = np.random.default_rng(2).uniform(0, 1, len(ours.parameters))
    gates[::2] = 0
    before = ours.state()
    for fitting in (ours, cpu):
        fitting.restore(before)
        fitting.parameters.gate(gates)
        fitting.step()
    found, true = ours.state(), cpu.state()
    for name in ("parameter.x", "parameter.log_scale", "parameter.tint"):
        moved = np.linalg.norm(true[name] - before[name])
        assert np.linalg.norm(found[name] - true[name]) < 3e-2 * moved, name
        still = np.asarray(before[name], np.float32)[gates == 0]
        np.testing.assert_array_equal(np.asarray(found[name], np.float32)[gates == 0], still, name)


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
    # For the first steps, and once more when they are played again.
    made = too_little_room(monkeypatch, lambda call: call in (2, 4))
    found, found_loss = state_after(7, {}, True, "cuda")
    assert len(made) > 4
    assert found_loss == loss
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


@pytest.mark.slow
def test_steps_that_are_made_again_have_their_own_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.FusedStep, "SECONDS", 1e9)
    looked = optimiser(True, settings(back_end="cuda"))
    expected = [float(looked.step()) for _ in range(7)]
    made = too_little_room(monkeypatch, lambda call: call == 2)
    unseen = optimiser(True, settings(back_end="cuda"))
    monkeypatch.setattr(unseen._fused, "_ahead", 64)
    later = [unseen.step() for _ in range(7)]
    assert [float(loss) for loss in later] == expected
    assert len(made) > 2


def test_steps_stop_where_pairs_were_listed_that_were_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.FusedStep, "SECONDS", 1e9)
    fitting = optimiser(True, settings(back_end="cuda"))
    float(fitting.step())
    before = fitting.state()
    assert isinstance(fitting._fused, cuda.FusedStep)
    fitting._fused._bins.status.copy_from(np.array([0, 0, 0, 1], np.int32))
    for read in (lambda: float(fitting.step()), fitting.state):
        with pytest.raises(SmaltiError, match="listed other pairs"):
            read()
    np.testing.assert_array_equal(fitting._fused._values[0].numpy(), before["parameter.x"].astype(np.float32))


def test_the_loss_of_a_step_that_was_never_made_is_not_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.FusedStep, "SECONDS", 1e9)
    fitting = optimiser(True, settings(back_end="cuda"))
    first = float(fitting.step())
    monkeypatch.setattr(fitting._fused, "_ahead", 64)
    monkeypatch.setattr(fitting._fused, "_replay", lambda: None)
    assert isinstance(fitting._fused, cuda.FusedStep)
    fitting._fused._bins.status.copy_from(np.array([0, 1, 1, 0], np.int32))  # as if the step had found no room
    monkeypatch.setattr(binning.Bins, "needed", lambda *given: (_ for _ in ()).throw(ValueError("too many")))
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
def test_a_whole_fit_runs_on_the_kernels(gpu: HostGpu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With relocation, a growing canvas and frames; as close as the CPU comes."""
    monkeypatch.setattr(inputs, "resolve_device", lambda requested: requested)
    templates = load_templates(bitmaps(tmp_path / "bitmaps"))
    target = save(tmp_path / "ramp.png", ramp(48, 32))
    quality = {}
    for device in ("cuda", "cpu"):
        composition = fit(target, templates, count=12, steps=60, device=device)
        shown = picture(composition)[..., :3] / 255
        quality[device] = -10 * np.log10(np.mean((shown - pixels_of(target)[..., :3]) ** 2))
    assert {"update_parameters", "removal_tint", "candidates_tint"} <= set(gpu.launched)
    assert quality["cuda"] > quality["cpu"] - 1
