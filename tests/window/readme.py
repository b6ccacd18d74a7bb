# SPDX-License-Identifier: GPL-3.0-or-later
"""README.md's instructions for artists: its numbered steps, and the names in italics that the window must have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reading import Place
from window import Window

_ITALIC = re.compile(r"(?<![*\w])\*(?![*\s])([^*]+?)\*(?![*\w])")
_STEP = re.compile(r"^(\d+)\. ", re.MULTILINE)


def names_in(text: str) -> list[str]:
    """What is in italics and begins with a capital, in the order of the text: "*Edit > Preferences*" is two names."""
    plain = " ".join(text.split())
    found = (name for italic in _ITALIC.findall(plain) for name in italic.split(" > "))
    return [*dict.fromkeys(name for name in found if name[0].isupper())]


def section(text: str, title: str) -> str:
    """The text under a heading of the third level."""
    return text.split(f"\n### {title}\n", 1)[1].split("\n### ", 1)[0]


def steps_of(text: str) -> dict[int, str]:
    """The numbered steps of a section, and as number 0 what stands before, between and after them."""
    found = {0: ""}
    number = 0
    for line in text.splitlines():
        if head := _STEP.match(line):
            number = int(head[1])
            found[number] = ""
        elif line.strip() and not line.startswith(" "):
            number = 0
        found[number] += line + "\n"
    return found


@dataclass
class Guide:
    """Somebody who does in a window what the page says, and nothing that it does not say.

    Attributes:
        window: where it is done.
        left: names that were not read in the window yet, with the place on the page where each stands.
    """

    window: Window
    page: str
    left: dict[str, str] = field(default_factory=dict)
    _steps: dict[tuple[str, int], str] = field(default_factory=dict)
    _done: set[tuple[str, int]] = field(default_factory=set)
    _now: list[str] = field(default_factory=list)

    @classmethod
    def to(cls, page: Path, window: Window, *titles: str) -> Guide:
        """The guide to some sections of a page."""
        guide = cls(window, page.name)
        for title in titles:
            for number, text in steps_of(section(page.read_text("utf-8"), title)).items():
                guide._steps[title, number] = text
                where = f"{page.name}, {title}" + (f", step {number}" if number else "")
                guide.left |= {name: where for name in names_in(text) if name not in guide.left}
        return guide

    @contextmanager
    def step(self, title: str, number: int = 0) -> Iterator[Guide]:
        """One step of the page, within which its names may be pressed; 0 for what belongs to no step."""
        self._now = names_in(self._steps[title, number])
        self._done.add((title, number))
        yield self
        self._now = []

    @property
    def undone(self) -> list[tuple[str, int]]:
        """Steps that nothing was done for."""
        return [key for key in self._steps if key not in self._done and key[1]]

    def _says(self, name: str) -> None:
        assert name in self._now, f"the page does not say *{name}* here, but {self._now}"

    def read(self, *names: str, shown: str = "") -> None:
        """Read names of this step off the window, which may show one a little different (with a colon)."""
        for name in names:
            self._says(name)
            self.window.scroll_to(shown or name)
            self.left.pop(name, None)

    def press(self, name: str, done: Callable[[], bool] = lambda: True, shown: str = "") -> Place:
        """Press what the page calls `name`, and the window `shown` where that differs, and wait for what it does."""
        self._says(name)
        self.window.scroll_to(shown or name)
        place = self.window.press(shown or name, done)
        self.left.pop(name, None)
        return place

    def open_sidebar(self, name: str, panel: str) -> None:
        """Open the sidebar on this tab."""
        self._says(name)
        self.window.open_sidebar(name, panel)
        self.left.pop(name, None)
