# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's example for researchers runs, and learns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_training_loop_lowers_its_loss() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (block for block in blocks if "smalti.engine.pytorch" in block)
    names: dict[str, Any] = {}
    exec(code, names)
    assert float(names["loss"].detach()) < 0.01
