# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a film goes on with another scene."""

from __future__ import annotations

import numpy as np

from smalti.bridge.job import BlendSpace

from ..arrays import Float32Array
from .objective.canvas import display_encode
from .strategy import FrameSettings


def is_new_scene(
    before: Float32Array, now: Float32Array, space: BlendSpace, settings: FrameSettings = FrameSettings()
) -> bool:
    """Whether what suited one frame is of no use in the next.

    So it is after a cut, and when a picture appears out of a single color, as in a fade from black.

    Args:
        before, now: [H, W, 4] premultiplied, in `space`.
        space: their blend space.
        settings: thresholds.
    """
    a, b = (display_encode(frame, space).astype(np.float64) for frame in (before, now))
    changed = float(((a - b) ** 2).mean()) > settings.cut
    a, b = (frame - frame.mean(axis=(0, 1)) for frame in (a, b))
    was, now_is, both = (float((one * other).mean()) for one, other in ((a, a), (b, b), (a, b)))
    if min(was, now_is) < settings.flat:
        return changed or was < settings.flat <= now_is
    return changed and both < settings.alike * (was * now_is) ** 0.5
