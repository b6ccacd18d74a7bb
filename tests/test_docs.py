# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages' pictures: all there, none left over, small enough, and remade by one command but for the window."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
    *sorted((ROOT / "engine").rglob("*.md")),
]
FILE = re.compile(r"(?<![\w/-])((?:addon|benchmarks|bridge|docs|engine|examples|tests)/[\w./-]*\w)")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def linked() -> list[tuple[Path, Path]]:
    """Every page with every file that it links to."""
    return [(page, (page.parent / link).resolve()) for page in PAGES for link in LINK.findall(page.read_text("utf-8"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    """Paths from the checkout's root, of files and folders, also with a name in the file: engine/errors.SmaltiError."""
    named = {re.sub(r"\.[A-Z]\w*$", ".py", path) for path in FILE.findall(page.read_text("utf-8"))}
    assert sorted(path for path in named if "NAME" not in path and not (ROOT / path).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_a_page_links_to_exists(page: Path) -> None:
    assert [str(file) for found, file in linked() if found == page and not file.exists()] == []


def test_every_picture_is_shown_and_small_enough() -> None:
    pictures = set(PICTURES.iterdir())
    assert pictures == {file for _, file in linked() if file.parent == PICTURES}
    for path in pictures:
        with Image.open(path) as image:
            image.load()
        assert path.stat().st_size <= 600_000, path.name


def test_one_command_remakes_every_picture_but_the_window() -> None:
    made = {"blender.jpg", "depth.jpg"}
    for name in ("make_pictures.py", "make_blender_pictures.py"):
        # Read, not imported: scikit-image belongs to no usual installation.
        tree = ast.parse((ROOT / "docs" / name).read_text("utf-8"))
        assigned = (node for node in ast.walk(tree) if isinstance(node, ast.AnnAssign))
        makers = next(node.value for node in assigned if ast.unparse(node.target) == "MAKERS")
        assert isinstance(makers, ast.Dict)
        made |= {ast.literal_eval(key) for key in makers.keys if key}
    assert made == {p.name for p in PICTURES.iterdir()}
