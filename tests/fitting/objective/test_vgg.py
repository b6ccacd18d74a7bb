# SPDX-License-Identifier: GPL-3.0-or-later
"""The term vgg: the network's features, its weights from a file, and jobs with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jobs import bitmaps, pixels_of, ramp, save, small_job
from runs import same_result, stopped
from torch import Tensor
from vgg import random_weights

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import read_job
from smalti.engine.api import fit
from smalti.engine.composition.render import render
from smalti.engine.fitting.objective.losses import Loss, Objective
from smalti.engine.fitting.objective.vgg import Features
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.job.vgg_weights import read_features
from smalti.engine.templates import load_templates


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return random_weights()


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Tensor]) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(state, path)
    return path


def picture(seed: int) -> Tensor:
    """[20, 24, 4] float64."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 1, (20, 24, 4)))


def test_features_are_those_of_the_layers_one_after_another(state: dict[str, Tensor]) -> None:
    colors = picture(1)[..., :3].permute(2, 0, 1).unsqueeze(0)
    x = (colors.float() - torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).reshape(3, 1, 1)
    expected = []
    for layer in (0, 2, -1, 5, 7, -1, 10, 12, 14, -1, 17, 19, 21):
        if layer < 0:
            expected.append(x / x.norm(dim=1, keepdim=True))
            x = torch.nn.functional.max_pool2d(x, 2)
        else:
            weight, bias = state[f"features.{layer}.weight"], state[f"features.{layer}.bias"]
            x = torch.nn.functional.conv2d(x, weight, bias, padding=1).relu()
    expected.append(x / x.norm(dim=1, keepdim=True))
    features = Features(state)(colors)
    assert len(features) == len(expected) == 4
    for one, other in zip(features, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_features_of_a_goal_are_kept_only_for_that_goal(state: dict[str, Tensor]) -> None:
    one, other = picture(1), picture(2)
    loss = Loss(Objective((("vgg", 1.0),), Features(state)))
    first = float(loss(one, other))
    assert float(loss(one, other)) == first
    assert float(loss(one, one)) == pytest.approx(0, abs=1e-9)
    assert float(loss(one, other)) == first


def test_without_a_network_there_is_no_loss() -> None:
    with pytest.raises(ValueError, match="needs the weights of VGG16"):
        Loss(Objective((("vgg", 1.0),)))


# The weights.


def test_the_weights_come_from_a_state_dict(weights_file: Path, state: dict[str, Tensor]) -> None:
    features = read_features(weights_file)
    assert torch.equal(features.state_dict()["features.21.weight"], state["features.21.weight"])
    assert not any(weight.requires_grad for weight in features.parameters())


def holding(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path, dict[str, Tensor]], None]:
    """Writes what a function makes of the weights."""
    return lambda path, state: torch.save(change(state), path)


@pytest.mark.parametrize(
    ("write", "named"),
    [
        (lambda path, state: None, "does not exist"),
        (lambda path, state: path.mkdir(), "is a folder"),
        (lambda path, state: path.write_bytes(b""), "holds no weights, or is damaged"),
        (lambda path, state: path.write_text("no weights"), "holds no weights, or is damaged"),
        (lambda path, state: save(path.with_suffix(".png"), ramp()).rename(path), "holds no weights, or is damaged"),
        (holding(lambda state: torch.nn.ReLU()), "holds no weights, or is damaged"),
        (holding(lambda state: [torch.ones(3)]), "holds something else than a state dict"),
        (holding(lambda state: {}), "features.0.weight is missing"),
        (holding(lambda state: {n: w for n, w in state.items() if "14" not in n}), "features.14.weight is missing"),
        (holding(lambda state: {**state, "features.0.weight": 3}), "features.0.weight is missing"),
        (
            holding(lambda state: {**state, "features.5.weight": torch.ones(64, 128, 3, 3)}),
            "features.5.weight has shape (64, 128, 3, 3), not (128, 64, 3, 3)",
        ),
        (
            holding(lambda state: {**state, "features.2.bias": torch.full((64,), torch.nan)}),
            "features.2.bias holds values that are not finite",
        ),
    ],
)
def test_a_file_without_these_weights_is_named(
    tmp_path: Path, state: dict[str, Tensor], write: Callable[[Path, dict[str, Tensor]], None], named: str
) -> None:
    path = tmp_path / "vgg16.pth"
    write(path, state)
    with pytest.raises(SmaltiError) as caught:
        read_features(path)
    assert caught.value.code == "bad_weights"
    assert caught.value.message.startswith(f"{path}: ")
    assert named in caught.value.message
    assert "vgg16-397923af.pth" in caught.value.hint


def test_a_truncated_file_of_weights_is_named(tmp_path: Path, weights_file: Path) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(weights_file.read_bytes()[:100_000])
    with pytest.raises(SmaltiError, match=r"cut\.pth: holds no weights, or is damaged"):
        read_features(path)


@pytest.mark.slow
def test_a_fit_with_features_brings_them_closer_than_one_with_mse(tmp_path: Path, weights_file: Path) -> None:
    pixels = ramp(64, 64) // 3
    pixels[np.random.default_rng(0).uniform(size=(64, 64)) < 0.15] = 255
    target = save(tmp_path / "salted.png", pixels)
    goal, templates = torch.from_numpy(pixels_of(target)), load_templates(bitmaps(tmp_path / "bitmaps"))
    loss = Loss(Objective((("vgg", 1.0),), read_features(weights_file)))
    distances = []
    for term, file in (("vgg", weights_file), ("mse", None)):
        result = fit(target, templates, count=30, steps=20, max_size=40, loss=term, loss_weights_file=file)
        with torch.no_grad():
            distances.append(float(loss(torch.from_numpy(render(result).astype(np.float64)), goal)))
    assert distances[0] < distances[1]


def test_a_job_with_features_keeps_the_whole_path_and_can_be_resumed(
    tmp_path: Path, weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(weights_file.parent)
    job = small_job(tmp_path, size=24, steps=4, loss="mse+0.1*vgg", loss_weights_file=weights_file.name)
    run_job(job, tmp_path / "whole")
    assert read_job(tmp_path / "whole" / "job.json").loss_weights_file == str(weights_file)
    stopped(job, tmp_path / "part", after=2)
    assert not resume_job(tmp_path / "part").cancelled
    assert same_result(tmp_path / "whole", tmp_path / "part")
