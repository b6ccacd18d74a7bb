# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine, with previews and checkpoints all the time, and a pause in every step: long at work, and hardly busy."""

import sys
import time
from typing import Any

from smalti.engine import worker
from smalti.engine.job import run

PAUSE = 0.01  # seconds in every step

_step = run._Run._step


def _slow_step(self: Any) -> Any:
    time.sleep(PAUSE)
    return _step(self)


run._Run._step = _slow_step  # type: ignore[method-assign]
run.CHECKPOINT_SECONDS = run.PREVIEW_SECONDS = 0.1

sys.exit(worker.main())
