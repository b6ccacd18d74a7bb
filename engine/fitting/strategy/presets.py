# SPDX-License-Identifier: GPL-3.0-or-later
"""The strategy of each preset of `smalti.bridge.job.JobSpec`."""

from __future__ import annotations

from collections.abc import Mapping

from smalti.bridge.job import Preset

from . import Adaptive, Strategy
from .diffbmp import DiffBMP
from .proposals import ProposalSettings

STRATEGIES: Mapping[Preset, Strategy] = {
    "draft": Adaptive(steps_factor=0.3, proposals=ProposalSettings(candidates=2, interval=5)),
    "balanced": Adaptive(),
    "best": Adaptive(steps_factor=2.0, proposals=ProposalSettings(candidates=4, interval=3, rounds=300)),
    "published": DiffBMP(),
}
