# SPDX-License-Identifier: GPL-3.0-or-later
"""Variants of a preset: with parts switched off (`switched_off`), and with other settings (`changed`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from unittest.mock import patch

from smalti.engine.fitting import fit as sequence
from smalti.engine.fitting import optimiser
from smalti.engine.fitting.initialise import FLATNESS, OVERLAP, start
from smalti.engine.fitting.strategy import exchange
from smalti.engine.fitting.strategy import relocate as recycle
from smalti.engine.job import inputs

PARTS = ("relocation", "choice", "order", "pruning")
FACTORS = ("rate", "sizes", "turns", "paint", "overlap", "flatness", "blur", "blur_until", "end", "moved", "small")


@contextmanager
def switched_off(parts: list[str]) -> Iterator[None]:
    """Within, fits go without some of `PARTS`. Choice is that of bitmaps and poses, order that in the stack."""
    changes: dict[str, list[tuple[object, str, object]]] = {
        "relocation": [(recycle, "is_due", lambda done, steps: False)],
        "choice": [(exchange, "RAISED", 0.5), (exchange, "LOWERED", 0.5), (exchange, "PLAIN", 1.0)],
        "pruning": [(sequence, "sprites_to_show", lambda optimiser: optimiser.sprites())],
        "order": [(exchange, "RAISED", 0.0), (exchange, "LOWERED", 0.0)],
    }
    if "choice" in parts and "order" in parts:
        changes["order"] = [(exchange, "is_due", lambda done, steps, effort: False)]
    with ExitStack() as stack:
        for module, name, value in (change for part in parts for change in changes[part]):
            stack.enter_context(patch.object(module, name, value))
        yield


@contextmanager
def changed(by: dict[str, float]) -> Iterator[None]:
    """Within, fits take other settings: by `FACTORS`, what each is multiplied by."""
    usual = optimiser.MOTION
    rates = {name: rate * by["rate"] for name, rate in usual.rates.items()}
    rates |= {"log_scale": rates["log_scale"] * by["sizes"], "theta": rates["theta"] * by["turns"]}
    rates |= {"opacity": rates["opacity"] * by["paint"], "tint": rates["tint"] * by["paint"]}
    motion = replace(
        usual, rates=rates, end=usual.end * by["end"], blur_until=min(1.0, (usual.blur_until or 1) * by["blur_until"])
    )
    begin = partial(start, flatness=min(1.0, FLATNESS * by["flatness"]), overlap=OVERLAP * by["overlap"])
    new = [
        (inputs, "MOTION", motion),
        (inputs, "BLUR", inputs.BLUR * by["blur"]),
        (sequence, "start", begin),
        (recycle, "USELESS", recycle.USELESS * by["moved"]),
        (recycle, "SMALL", min(0.9, recycle.SMALL * by["small"])),
        (exchange, "REACH", exchange.REACH * by["moved"]),
    ]
    with ExitStack() as stack:
        for module, name, value in new:
            stack.enter_context(patch.object(module, name, value))
        yield
