# SPDX-License-Identifier: GPL-3.0-or-later
"""Scraps: pieces with torn edges, cut out of larger bitmaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from jobs import save, small_job
from runs import refused, same_result, stopped

from smalti.engine.job.run import resume_job, run_job
from smalti.engine.templates import Template
from smalti.engine.templates.scraps import scraps


def photograph(width: int, height: int, red: int = 200) -> Template:
    """An opaque bitmap, redder to the right."""
    rgba = np.zeros((height + 2, width + 2, 4), np.uint8)
    rgba[1:-1, 1:-1] = (red, 40, 30, 255)
    rgba[1:-1, 1:-1, 1] = np.linspace(0, 120, width)
    return Template("photograph", rgba)


def test_scraps_are_smaller_pieces_of_several_sizes_with_rough_edges() -> None:
    pieces = scraps([photograph(400, 300)], 40, 3)
    assert len({piece.name for piece in pieces}) == 40
    sizes = np.array([(piece.width - 2, piece.height - 2) for piece in pieces])
    assert sizes.min() >= 24
    assert sizes.max() <= 0.45 * 300 * np.exp(0.2) + 1
    assert len(np.unique(sizes, axis=0)) > 20
    for piece in pieces:
        alpha = piece.rgba[..., 3]
        assert not alpha[[0, -1]].any()
        assert 0.7 < piece.coverage < 1
        assert (alpha == 255).sum() > 0.6 * alpha.size
        assert tuple(piece.rgba[piece.height // 2, piece.width // 2, [0, 2, 3]]) == (200, 30, 255)
    paper = np.concatenate([p.rgba[(p.rgba[..., 3] > 200) & (p.rgba[..., 2] > 200)] for p in pieces])
    assert len(paper) > 100


def test_larger_bitmaps_give_more_scraps_and_small_ones_none() -> None:
    pieces = scraps([photograph(400, 300, 200), photograph(200, 150, 100), photograph(40, 40, 50)], 50, 0)
    red = [int(piece.rgba[piece.height // 2, piece.width // 2, 0]) for piece in pieces]
    assert red.count(200) == pytest.approx(40, abs=1)
    assert red.count(100) == pytest.approx(10, abs=1)


def test_a_seed_gives_the_same_scraps() -> None:
    first, again, other = (scraps([photograph(300, 200)], 5, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a.rgba, b.rgba) for a, b in zip(first, again))
    assert not all(np.array_equal(a.rgba, b.rgba) for a, b in zip(first, other))


def test_a_job_builds_with_scraps_and_can_be_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    save(folder / "a.png", photograph(200, 160).rgba[1:-1, 1:-1])
    job = small_job(tmp_path, primitives=str(folder), scraps=9, mirror=True, colour_mix=0.5, max_uses=4)
    assert run_job(job, tmp_path / "whole").report["templates"] == 18
    stopped(job, tmp_path / "half", 5)
    resume_job(tmp_path / "half")
    assert same_result(tmp_path / "half", tmp_path / "whole")


def test_scraps_of_small_bitmaps_are_refused(tmp_path: Path) -> None:
    fault = refused(lambda: run_job(small_job(tmp_path, scraps=5), tmp_path / "job"))
    assert str(fault).startswith("No bitmap is large enough to cut scraps out of it: that takes 54 pixels a side.")
