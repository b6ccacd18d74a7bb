# SPDX-License-Identifier: GPL-3.0-or-later
"""The term vgg: its weights from a file, and jobs with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jobs import Floats, bitmaps, pixels_of, ramp, save, small_job
from picture_pairs import alike
from runs import same_result, stopped
from torch import Tensor
from vgg import random_weights

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job_file import read_job
from smalti.engine.api import fit
from smalti.engine.arrays import Float32Array
from smalti.engine.composition.render import render
from smalti.engine.devices import Unavailable
from smalti.engine.job import vgg_weights
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.job.vgg_weights import read_features
from smalti.engine.pytorch.vgg import FeatureDistance, Features
from smalti.engine.templates import load_templates


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return random_weights()


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Tensor]) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(state, path)
    return path


# The weights.


def test_the_weights_come_from_a_state_dict(weights_file: Path, state: dict[str, Tensor]) -> None:
    rendered, goal = (picture.astype(np.float32) for picture in alike(20, 24))
    found, gradient = read_features(weights_file)(rendered, goal, None)
    expected, slope = FeatureDistance(Features(state))(rendered, goal, None)
    assert found == expected > 0
    np.testing.assert_array_equal(gradient, slope)


def test_without_torch_a_sentence_says_how_to_install_it(weights_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Unavailable("PyTorch is not installed.", 'Install it: pip install "smalti[torch]"', False)
    monkeypatch.setattr(vgg_weights, "torch_unavailable", lambda: missing)
    with pytest.raises(SmaltiError, match=r"The loss vgg needs PyTorch, which is not installed\.") as caught:
        read_features(weights_file)
    assert caught.value.code == "torch_missing"
    assert 'pip install "smalti[torch]"' in caught.value.hint


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


def planes(picture: Floats) -> Float32Array:
    """[h, w, 4] -> [3, h, w]."""
    return np.ascontiguousarray(picture[..., :3].transpose(2, 0, 1), np.float32)


@pytest.mark.slow
def test_a_fit_with_features_brings_them_closer_than_one_with_mse(tmp_path: Path, weights_file: Path) -> None:
    pixels = ramp(64, 64) // 3
    pixels[np.random.default_rng(0).uniform(size=(64, 64)) < 0.15] = 255
    target = save(tmp_path / "salted.png", pixels)
    templates = load_templates(bitmaps(tmp_path / "bitmaps"))
    distance, goal = read_features(weights_file), planes(pixels_of(target))
    distances = []
    for term, file in (("vgg", weights_file), ("mse", None)):
        result = fit(target, templates, count=30, steps=20, max_size=40, loss=term, loss_weights_file=file)
        distances.append(distance(planes(render(result)), goal, None)[0])
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
