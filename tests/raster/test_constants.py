# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that stand in C++ and in Python are the same ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for ending in ("h", "cuh", "cpp", "cu") for path in (ROOT / "engine").rglob(f"*.{ending}")]
MIRRORED = re.compile(r'static_assert\([^;]*?"(?P<file>engine/[\w/]+\.py): (?P<line>\w+ = (?:[^"\\]|\\.)*)"\);')


def mirrored() -> list[tuple[str, str]]:
    """The lines of Python that assertions of the kernels name, and the files they are in."""
    found = [match for path in SOURCES for match in MIRRORED.finditer(path.read_text(encoding="utf-8"))]
    return [(match["line"].replace('\\"', '"'), match["file"]) for match in found]


@pytest.mark.parametrize(("line", "file"), mirrored())
def test_a_line_that_the_kernels_name_is_in_python(line: str, file: str) -> None:
    lines = [each.split("#")[0].strip() for each in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    assert line in lines


def test_the_assertions_are_found() -> None:
    names = {line.split()[0] for line, _ in mirrored()}
    assert {"TILE", "MARGIN", "COEFFICIENTS", "SPRITE_WORDS", "GRADIENT_SUMS", "CONTROL", "TOP"} <= names
