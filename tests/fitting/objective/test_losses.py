# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses: how they are written, and the table of terms, to which one written in Python may be added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from picture_pairs import alike

from smalti.bridge import loss as bridge_loss
from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec
from smalti.bridge.loss import needs_weights_file, parse_loss
from smalti.engine.arrays import Float32Array
from smalti.engine.fitting.objective.losses import TERMS, Comparison, Loss, Needs, Objective, PictureTerm, Term
from smalti.engine.raster.loss import KERNEL_TERMS

# The text.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mse", (("mse", 1.0),)),
        ("mse+0.3*ms_ssim", (("mse", 1.0), ("ms_ssim", 0.3))),
        (" l1 + .1 * edges+5e-2*vgg ", (("l1", 1.0), ("edges", 0.1), ("vgg", 0.05))),
        ("1000*alpha", (("alpha", 1000.0),)),
    ],
)
def test_a_loss_is_read_as_a_sum(text: str, expected: object) -> None:
    assert parse_loss(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("psnr", "there is no term 'psnr', only mse, l1, huber"),
        ("MSE", "there is no term 'MSE'"),
        ("mse+", "a term is missing"),
        ("mse++l1", "a term is missing"),
        ("2*", "a term is missing"),
        ("mse-l1", "there is no term 'mse-l1'"),
        ("mse+x*l1", "the factor of l1 is 'x', which is no number"),
        ("*l1", "the factor of l1 is '', which is no number"),
        ("2*3*l1", "the factor of l1 is '2*3', which is no number"),
        ("nan*l1", "the factor of l1 is 'nan', which is no number"),
        ("inf*l1", "the factor of l1 is 'inf', which is no number"),
        ("1_0*l1", "the factor of l1 is '1_0', which is no number"),
        ("mse+-0.5*l1", "the factor of l1 is -0.5, but must be more than 0"),
        ("0*mse", "the factor of mse is 0, but must be more than 0"),
        ("1e9*mse", "the factor of mse is 1e9, but must be more than 0 and at most 1000"),
        ("mse+l1+0.5*mse", "mse is there twice"),
    ],
)
def test_what_is_wrong_with_a_loss_is_named(text: str, why: str) -> None:
    with pytest.raises(SmaltiError) as caught:
        JobSpec("cat.jpg", "leaves", loss=text).checked()
    assert caught.value.code == "bad_setting"
    assert caught.value.message.startswith(f"loss is {text!r}, but must be a sum of terms")
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"loss": "mse+vgg"}, "loss_weights_file is missing, but must be the path of VGG16's weights"),
        ({"loss": "vgg", "loss_weights_file": ""}, "loss_weights_file is '', but must be"),
        ({"loss_weights_file": "vgg16.pth"}, "loss_weights_file is 'vgg16.pth', but must be left out"),
        ({"detail_weight": -0.1}, "detail_weight is -0.1, but must be from 0"),
        ({"detail_weight": 1.1}, "detail_weight is 1.1, but must be from 0"),
        ({"detail_weight": float("nan")}, "detail_weight is nan, but must be from 0"),
    ],
)
def test_invalid_settings_of_the_loss_are_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SmaltiError) as caught:
        JobSpec("cat.jpg", "leaves", **changes).checked()
    assert caught.value.code == "bad_setting"
    assert caught.value.message.startswith(named)


# The table.


def test_every_term_has_a_row_in_both_tables() -> None:
    assert list(TERMS) == list(bridge_loss.TERMS)
    for name, term in TERMS.items():
        assert needs_weights_file(((name, 1.0),)) == (Needs.NETWORK in term.needs)


def test_every_term_is_the_kernels_or_says_how_it_is_made() -> None:
    assert {name for name, term in TERMS.items() if term.create is None} == set(KERNEL_TERMS)


def test_the_kernels_are_given_the_factors_of_their_terms() -> None:
    loss = Loss(Objective(parse_loss("l1+0.5*ssim+2*alpha")))
    assert loss.factors == {
        "l1": TERMS["l1"].scale,
        "ssim": 0.5 * TERMS["ssim"].scale,
        "alpha": 2 * TERMS["alpha"].scale,
    }
    assert loss.needs == Needs.NOTHING
    assert not loss.has_others


def pictures(previous: Comparison | None = None) -> Comparison:
    rendered, goal = (picture.astype(np.float32) for picture in alike())
    return Comparison(rendered, goal, None, previous)


def test_a_new_term_takes_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def cubed(compared: Comparison) -> tuple[float, Float32Array]:
        difference = compared.rendered - compared.goal
        slope = 3 * difference * abs(difference) / difference.size
        return float((abs(difference) ** 3).mean()), slope.astype(np.float32)

    monkeypatch.setitem(TERMS, "cubed", Term(0.5, per_pixel=True, create=lambda objective: cubed))
    objective = Objective((("cubed", 2.0), ("l1", 0.1)))
    loss, compared = Loss(objective), pictures()
    value, gradient = loss.others(compared)
    expected, slope = cubed(compared)
    assert loss.has_others
    assert value == pytest.approx(expected)
    np.testing.assert_allclose(gradient, slope, rtol=1e-6)
    assert set(loss.factors) == {"l1"}
    assert objective.is_per_pixel


def test_terms_written_in_python_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def constant(level: float) -> PictureTerm:
        return lambda compared: (level, np.full_like(compared.rendered, level))

    monkeypatch.setitem(TERMS, "one", Term(10.0, create=lambda objective: constant(1.0)))
    monkeypatch.setitem(TERMS, "two", Term(1.0, create=lambda objective: constant(2.0)))
    value, gradient = Loss(Objective((("one", 3.0), ("two", 0.5)))).others(pictures())
    assert value == 31
    assert (gradient == 31).all()
    assert gradient.dtype == np.float32


def test_a_term_may_compare_with_the_frame_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class Flicker:
        """Changes from frame to frame that the target does not have."""

        def __init__(self, objective: Objective) -> None:
            self.made_for = objective

        def __call__(self, compared: Comparison) -> tuple[float, Float32Array]:
            before = compared.previous
            if before is None:
                return 0.0, np.zeros_like(compared.rendered)
            off = compared.rendered - before.rendered - (compared.goal - before.goal)
            return float((off**2).mean()), (2 * off / off.size).astype(np.float32)

    monkeypatch.setitem(TERMS, "flicker", Term(1.0, needs=Needs.PREVIOUS, create=Flicker))
    loss = Loss(Objective((("l1", 1.0), ("flicker", 1.0))))
    assert loss.needs == Needs.PREVIOUS
    before = pictures()
    moved = Comparison(before.rendered + np.float32(0.5), before.goal)
    assert loss.others(pictures())[0] == 0
    assert loss.others(pictures(before))[0] == 0
    assert loss.others(pictures(moved))[0] == pytest.approx(0.25)


def test_without_a_network_there_is_no_term_vgg() -> None:
    with pytest.raises(ValueError, match="needs the weights of VGG16"):
        Loss(Objective((("vgg", 1.0),)))
