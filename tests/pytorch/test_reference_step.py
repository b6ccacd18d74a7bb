# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference's step, and the kernels', are steps of torch's own Adam on what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from optimisers import optimiser, settings
from torch import Tensor

from smalti.engine.fitting.optimiser import Optimiser
from smalti.engine.pytorch import draw, image_loss
from smalti.engine.raster import Scene

RATES = {"x": 0.7, "y": 0.5, "log_scale": 0.03, "theta": 0.02, "opacity": 0.05, "tint": 0.04}
BETAS = (0.8, 0.95)


def drawn(fitting: Optimiser, leaves: dict[str, Tensor]) -> Scene[Tensor]:
    """The optimizer's scene, written out in torch."""
    parameters = fitting.parameters
    extent = torch.from_numpy(parameters.extent)
    half_width, half_height = (leaves["log_scale"].exp() * extent[:, axis] for axis in (0, 1))
    cos, sin = leaves["theta"].cos(), leaves["theta"].sin()
    a, b, d, e = cos / half_width, sin / half_width, -sin / half_height, cos / half_height
    x, y = leaves["x"], leaves["y"]
    affine = torch.stack([a, b, -(a * x + b * y), d, e, -(d * x + e * y)], dim=1)
    scene = fitting.scene()
    background = fitting.objective.canvas.background
    return Scene(
        affine,
        fitting.settings.alpha_max * leaves["opacity"].sigmoid(),
        leaves["tint"].sigmoid(),
        torch.from_numpy(parameters.template),
        scene.atlas,
        scene.size,
        None if background is None else torch.from_numpy(background),
        lod_bias=1.0,
    )


@pytest.mark.parametrize("back_end", ["cpu", "reference"])
def test_steps_are_those_of_torchs_adam(back_end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fitting = optimiser(True, settings(back_end=back_end))
    schedule = type(fitting.settings.schedule)
    monkeypatch.setattr(schedule, "learning_rates_at", lambda *_: RATES)
    monkeypatch.setattr(schedule, "lod_bias_at", lambda *_: 1.0)
    goal = fitting.objective.canvas.goal
    assert goal is not None
    leaves = {name: torch.from_numpy(v.copy()).requires_grad_() for name, v in fitting.parameters.values.items()}
    groups = [{"params": [leaves[name]], "lr": rate} for name, rate in RATES.items()]
    adam = torch.optim.Adam(groups, betas=BETAS, eps=0.0)
    assert fitting.settings.schedule.betas == BETAS
    low, high = (float(np.log(0.5 * bound)) for bound in fitting.settings.size_range)
    for _ in range(4):
        adam.zero_grad()
        loss = image_loss(drawn(fitting, leaves), torch.from_numpy(goal), "reference")
        loss.backward()
        adam.step()
        with torch.no_grad():
            leaves["log_scale"].clamp_(low, high)
        assert float(fitting.step()) == pytest.approx(float(loss.detach()), rel=1e-4)
    state = fitting.state()
    for name, leaf in leaves.items():
        moments = adam.state[leaf]
        # Single precision here and there decides on the way of a sprite whose slope is nearly 0.
        close = 1e-9 if back_end == "reference" else 2e-2
        for kind, of_torch in (("mean", "exp_avg"), ("square", "exp_avg_sq")):
            expected = moments[of_torch].numpy()
            assert np.linalg.norm(state[f"adam.{kind}.{name}"] - expected) <= close * np.linalg.norm(expected), name
        inside = leaf.detach().numpy()
        moved = np.linalg.norm(inside - optimiser(True, settings()).parameters.values[name])
        assert np.linalg.norm(state[f"parameter.{name}"] - inside) <= close * moved, name


def test_a_picture_by_torch_is_the_optimizers() -> None:
    fitting = optimiser(True, settings())
    leaves = {name: torch.from_numpy(values) for name, values in fitting.parameters.values.items()}
    scene = drawn(fitting, leaves)
    np.testing.assert_allclose(scene.affine.numpy(), fitting.scene().affine, rtol=1e-12, atol=1e-12)
    assert draw(scene, "cpu").shape == (*fitting.size, 4)


@pytest.mark.parametrize("back_end", ["cpu", "reference"])
def test_a_slope_of_0_moves_nothing(back_end: str) -> None:
    """Not by a division of 0 by 0 either: a sprite far off the canvas has no gradient, and stays."""
    fitting = optimiser(True, settings(back_end=back_end))
    fitting.parameters.array("log_scale")[3] = np.log(2.0)
    fitting.parameters.array("x")[3] = fitting.parameters.array("y")[3] = -1.9
    fitting.parameters.array("theta")[3] = 0.25 * np.pi
    fitting.parameters.changed()
    alone = {name: values[3].copy() for name, values in fitting.parameters.values.items()}
    fitting.step()
    for name in ("theta", "opacity", "tint"):
        np.testing.assert_array_equal(fitting.parameters.array(name)[3], alone[name])
    assert all(np.isfinite(values).all() for values in fitting.state().values())
