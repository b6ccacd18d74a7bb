# SPDX-License-Identifier: GPL-3.0-or-later
"""Variants of a preset: its strategy without some of its parts, and with other hyperparameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from smalti.engine.fitting.strategy import Adaptive, Strategy
from smalti.engine.fitting.strategy.diffbmp import DiffBMP
from smalti.engine.fitting.strategy.presets import STRATEGIES

PARTS = ("relocation", "choice", "order", "pruning")
"""What can be switched off; choice is that of bitmaps and poses, order that in the stack."""

FACTORS = (
    "learning_rates", "sizes", "angles", "opacity_and_tint", "overdraw", "flat_density", "lod_bias", "lod_bias_until",
    "final_fraction", "moves", "relocated_size",
)  # fmt: skip
"""What can be multiplied: learning rates (all, and some once more), and other hyperparameters."""


def preset_without(preset: str, parts: Collection[str]) -> Strategy:
    """The strategy of a preset without some of `PARTS`; the DiffBMP baseline is always the paper's."""
    strategy = {str(name): each for name, each in STRATEGIES.items()}[preset]
    if isinstance(strategy, DiffBMP):
        # The paper does not prune; with it, the baseline would end as a bare canvas where it fails.
        return replace(strategy, pruning_rounds=0)
    assert isinstance(strategy, Adaptive)
    relocation, proposals = strategy.relocation, strategy.proposals
    if "relocation" in parts:
        relocation = replace(relocation, first=1.0, last=1.0)
    if "choice" in parts and "order" in parts:
        proposals = replace(proposals, candidates=0)
    elif "choice" in parts:
        proposals = replace(proposals, to_top=0.5, to_bottom=0.5, unchanged=1.0)
    elif "order" in parts:
        proposals = replace(proposals, to_top=0.0, to_bottom=0.0)
    return replace(
        strategy,
        relocation=relocation,
        proposals=proposals,
        pruning_rounds=strategy.pruning_rounds if "pruning" not in parts else 0,
    )


def changed(by: Mapping[str, float]) -> Adaptive:
    """The usual strategy with hyperparameters multiplied, each by its one of `FACTORS`."""
    usual = Adaptive()
    schedule, initialisation = usual.schedule, usual.initialisation
    of = {"log_scale": "sizes", "theta": "angles", "opacity": "opacity_and_tint", "tint": "opacity_and_tint"}
    rates = {
        name: rate * by["learning_rates"] * (by[of[name]] if name in of else 1.0)
        for name, rate in schedule.learning_rates.items()
    }
    return replace(
        usual,
        schedule=replace(
            schedule,
            learning_rates=rates,
            final_fraction=schedule.final_fraction * by["final_fraction"],
            lod_bias=schedule.lod_bias * by["lod_bias"],
            lod_bias_until=min(1.0, (schedule.lod_bias_until or 1) * by["lod_bias_until"]),
        ),
        initialisation=replace(
            initialisation,
            flat_density=min(1.0, initialisation.flat_density * by["flat_density"]),
            overdraw=initialisation.overdraw * by["overdraw"],
        ),
        relocation=replace(
            usual.relocation,
            threshold=usual.relocation.threshold * by["moves"],
            size_quantile=min(0.9, usual.relocation.size_quantile * by["relocated_size"]),
        ),
        proposals=replace(usual.proposals, spacing=usual.proposals.spacing * by["moves"]),
    )
