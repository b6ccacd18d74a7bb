# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done with the importance of sprites, apart from proposals and relocation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from optimisers import optimiser, settings

from smalti.engine.fitting.strategy.importance import retint, squared_error


def test_a_wrong_tint_is_put_right_at_once_and_a_good_one_is_left() -> None:
    fitting = optimiser(True, settings(alpha_max=1.0))
    top = int(np.argmax(fitting.sprites().scale))
    fitting.parameters.keep(np.array([top]))
    only = np.array([0])
    wrong = replace(fitting.parameters.placed(), opacity=np.array([0.99]), tint=np.array([[0.999, 0.001, 0.999]]))
    fitting.parameters.set(only, wrong)
    before = squared_error(fitting).mean()
    assert retint(fitting, 0.25) == 1
    assert squared_error(fitting).mean() < before
    right = fitting.parameters.placed()
    assert np.array_equal(right.x, wrong.x), "the tint alone changes"
    assert right.opacity[0] == np.float32(0.99)
    assert retint(fitting, 0.25) == 0
    assert np.array_equal(fitting.parameters.placed().tint, right.tint)
