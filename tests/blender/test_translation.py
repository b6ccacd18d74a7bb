# SPDX-License-Identifier: GPL-3.0-or-later
"""Every message has its translation, and the files of translations can be read. Needs no Blender."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from blenders import ROOT

LANGUAGES = sorted(path.stem for path in (ROOT / "addon" / "translations").glob("*.po"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the add-on's sources are a package, as in Blender."""
    folder = tmp_path_factory.mktemp("sources") / "smalti_addon"
    folder.mkdir()
    for path in (*(ROOT / "addon").glob("*.py"), ROOT / "bridge"):
        (folder / path.name).symlink_to(path)
    return folder.parent


def _listed(sources: Path, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "smalti_addon.list_messages", *arguments],
        env={**os.environ, "PYTHONPATH": str(sources)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout.splitlines()


def test_messages_of_settings_buttons_and_refusals_are_listed(sources: Path) -> None:
    listed = _listed(sources)
    for message in (
        "Color Mix",
        "A job is running",
        "Keep every bitmap upright",
        "Match Colors",
        "The processor",
        "Render first.",
    ):
        assert f'msgid "{message}"' in listed
    assert len(_listed(sources, "--made")) > 10


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_lacks_its_translation(sources: Path, language: str) -> None:
    assert _listed(sources, language) == [], f"add them to addon/translations/{language}.po"


def test_german_is_among_the_languages() -> None:
    assert "de" in LANGUAGES
