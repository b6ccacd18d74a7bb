# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender in a window, with what an artist can do there: read, press, type, choose a file."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np
from display import Display, Pixels
from PIL import Image
from reading import Page, Place

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds after which what is waited for does not come any more
LONG_PATIENCE = 600.0  # where Blender compiles shaders, which a processor does slowly
DEAF = 4.0  # seconds of rest after which what shows no effect is done again
WHEEL_UP, WHEEL_DOWN = 4, 5  # buttons
WHEEL_TURNS = 4  # at once
SCROLLS = 8  # such turns from one end of a sidebar to the other
LOOK = 0.2  # seconds between two looks at the screen
RESTS = 3  # looks in a row at which Blender has nothing to do when it rests
SIDEBAR = 330  # pixels: more than the width of the sidebar, without its tabs
VIEWPORT = 300.0, 850.0  # a place in the 3D viewport where there is nothing to be pressed
BROWSER = "Blender File View"  # the title of a window with a file browser
FOLDER = 13  # pixels: the width of the icon
BRIGHT = 180  # level of 255 above which it is, and the background of a field is not
TABS = 14  # pixels from the middle of a tab to the left, where the panel has ended
FIELD = 60  # pixels from the end of a label to the right, within the field that it belongs to


def _now() -> bool:
    return True


def offline() -> list[str]:
    """What is put before a command that is to have no network; nothing where that cannot be taken from it."""
    for command in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0:
            return command
    return []


class Window:
    """Blender on a screen.

    Args:
        display: where it is.
        process: of it.
        font: the file of the typeface that it writes in.
        output: the file of what it prints.
    """

    def __init__(self, display: Display, process: subprocess.Popen[str], font: Path, output: Path) -> None:
        self.display, self.process, self._font, self._output = display, process, font, output
        self._shown: Pixels | None = None
        self._side: tuple[Pixels, Page] | None = None
        self._pages: dict[bool, Page] = {}
        self.tabs = display.width  # where the middle of the sidebar's tabs is, once one was pressed

    def _page(self, turned: bool) -> Page:
        """The screen as it is now; or turned by a quarter to the left, as then the sidebar's tabs can be read."""
        shown = self.display.pixels()
        if self._shown is None or not np.array_equal(shown, self._shown):
            self._shown, self._pages = shown, {}
        if turned not in self._pages:
            self._pages[turned] = Page(np.rot90(shown) if turned else shown)
        return self._pages[turned]

    def places(self, text: str, goes_on: bool = False, turned: bool = False) -> list[Place]:
        """Where a text is to be read now; it may be the beginning of more where it `goes_on`."""
        return self._page(turned).places(text, self._font, goes_on)

    def reads(self, text: str) -> bool:
        """Whether a text is to be read now."""
        return bool(self.places(text))

    def see(self, text: str, seconds: float = PATIENCE, goes_on: bool = False, turned: bool = False) -> Place:
        """Wait until a text is to be read, and say where."""
        found: list[Place] = []

        def appears() -> bool:
            before = found[:]
            found[:] = self.places(text, goes_on, turned)
            return bool(found) and found == before  # what moves cannot be pressed

        self.wait(appears, f"{text!r} is to be read", seconds)
        return found[0]

    def gone(self, text: str) -> None:
        """Wait until a text is not to be read any more."""
        self.wait(lambda: not self.places(text), f"{text!r} is gone")

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Wait until something holds, as long as Blender runs."""
        until = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"Blender ended before {what}:\n{self.printed()[-3000:]}"
            assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}"
            time.sleep(LOOK)

    def press(self, text: str, done: Callable[[], bool] = _now, times: int = 1) -> Place:
        """Click on what has this text, as soon as it is there, and wait for what it does."""
        place = self.see(text)
        self.do(lambda: self.display.click(*self.see(text).center, times=times), done)
        return place

    def click(self, where: tuple[float, float], done: Callable[[], bool] = _now, times: int = 1) -> None:
        """Click somewhere, and wait for what it does."""
        self.do(lambda: self.display.click(*where, times=times), done)

    def do(self, action: Callable[[], None], done: Callable[[], bool]) -> None:
        """Do something, and again where Blender rests and it is not done after a while: then it went unheard."""
        action()
        rest = time.monotonic()

        def heard() -> bool:
            nonlocal rest
            if done():
                return True
            if self.busy():
                rest = time.monotonic()
            elif time.monotonic() > rest + DEAF:
                action()
                rest = time.monotonic()
            return False

        self.wait(heard, "a click or a key was heard", LONG_PATIENCE)

    def busy(self) -> bool:
        """Whether Blender works on something just now."""
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            with suppress(FileNotFoundError):
                if (thread / "stat").read_text().rsplit(")", 1)[1].split()[0] in "RD":
                    return True
        return False

    def scroll_to(self, text: str, must: bool = True) -> Place | None:
        """Turn the mouse's wheel over the sidebar until a text is to be read, downwards first; None if it is not."""
        if found := self.places(text):  # also in a menu beside it
            return self.see(text) if must else found[0]
        for button in [WHEEL_DOWN] * SCROLLS + [WHEEL_UP] * 2 * SCROLLS:
            if found := self._sidebar().places(text, self._font):
                return self.see(text) if must else found[0]
            if not self._scroll(button) and button == WHEEL_UP:
                break
        return self.see(text) if must else None

    def _sidebar(self) -> Page:
        """The sidebar as it is now, which takes a fifth of the time to read; the whole screen before it is found."""
        if self.tabs == self.display.width:
            return self._page(turned=False)
        left, shown = self.tabs - SIDEBAR, self.display.pixels()
        if self._side is None or not np.array_equal(shown[:, left : self.tabs], self._side[0]):
            part = shown[:, left : self.tabs]
            self._side = part, Page(part, left=left)
        return self._side[1]

    def scroll_up(self) -> None:
        """Turn the mouse's wheel until the sidebar is at its head."""
        while self._scroll(WHEEL_UP):
            pass

    def _scroll(self, button: int) -> bool:
        """Turn the wheel over the sidebar, and say whether anything moved."""
        column = slice(self.tabs - 2 * FIELD, self.tabs - FIELD)
        self.display.move(self.tabs - FIELD, self.display.height / 2)
        before = self.display.pixels()[:, column]
        self.display.click(self.tabs - FIELD, self.display.height / 2, button, times=WHEEL_TURNS)
        rests = 0
        while rests < RESTS:
            time.sleep(LOOK)
            if not np.array_equal(before, self.display.pixels()[:, column]):
                return True
            rests = 0 if self.busy() else rests + 1
        return False

    def settle(self) -> None:
        """Wait until Blender rests."""
        rests = 0

        def resting() -> bool:
            nonlocal rests
            rests = 0 if self.busy() else rests + 1
            return rests >= RESTS

        self.wait(resting, "Blender rests", LONG_PATIENCE)

    def arranged(self, title: str) -> bool:
        """Whether there is a window of this title, which then is moved into the screen."""
        return title in self.display.titles() and not self.display.keep_windows_in()

    def press_tab(self, text: str, panel: str) -> None:
        """Press a tab of the sidebar, which has something with the text `panel`."""
        x, y = self.see(text, turned=True).center
        self.tabs = round(self.display.width - y)
        self.click((self.tabs, x), lambda: bool(self.places(panel)))

    def press_field(self, label: str, times: int = 1) -> None:
        """Click into the field to the right of a label."""
        place = self.see(label)
        self.click((place.x + place.width + FIELD, place.center[1]), times=times)

    def write(self, label: str, value: str, shown: str = "") -> None:
        """Type into a field; it shows `value` then, or that with a unit."""

        def typed() -> None:
            self.press_field(label, times=2)
            self.display.key("Control_L", "a")
            self.display.type(value)
            self.display.key("Return")

        self.do(typed, lambda: bool(self.places(shown or value)))

    def folder_of(self, label: str) -> tuple[float, float]:
        """The middle of the folder at the end of a field: nothing else in its row is bright on so many pixels."""
        found: list[tuple[float, float]] = []

        def appears() -> bool:
            place = self.see(label)
            left, middle = place.x + place.width, round(place.center[1])
            row = self.display.pixels()[middle - 4 : middle + 5, left : self.tabs - TABS].min(axis=2) > BRIGHT
            solid = np.convolve(row.sum(axis=0) >= 5, np.ones(FOLDER), "valid")
            found[:] = [(left + int(solid.argmax()) + FOLDER / 2, middle)] if solid.max() >= FOLDER - 2 else []
            return bool(found)

        self.wait(appears, f"the row of {label!r} has a folder")
        return found[0]

    def choose(self, label: str, *files: str) -> None:
        """Press the folder at the end of a field, and choose a file, or a folder, in the browser that opens."""
        self.do(lambda: self.display.click(*self.folder_of(label)), partial(self.arranged, BROWSER))
        for name in files:
            self.press(name, times=1 if "." in name else 2)
        self.press("Accept")
        self.wait(lambda: BROWSER not in self.display.titles(), "the file browser is closed")

    def open_sidebar(self, tab: str, panel: str) -> None:
        """Show the sidebar of the large editor, and press a tab of it, which has something with the text `panel`."""
        self.display.move(*VIEWPORT)
        if not self.places(tab, turned=True):
            self.do(lambda: self.display.key("n"), lambda: bool(self.places(tab, turned=True)))
            self.settle()
        self.press_tab(tab, panel)

    def undo(self) -> None:
        """Undo the last step."""
        self.display.move(*VIEWPORT)
        self.display.key("Control_L", "z")

    def redo(self) -> None:
        """Do it again."""
        self.display.move(*VIEWPORT)
        self.display.key("Control_L", "Shift_L", "z")

    def save(self, path: Path) -> None:
        """Keep a screenshot."""
        Image.fromarray(self.display.pixels()).save(path)

    def printed(self) -> str:
        """What Blender has printed."""
        return self._output.read_text("utf-8", "replace")

    def close(self) -> None:
        """End Blender, as far as it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@contextmanager
def blender(display: Display, run: Path, font: Path, home: Path, *options: str) -> Iterator[Window]:
    """A Blender without a network, in the window of a display, whose files of the user are in the folder `home`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "BLENDER", "XDG"))}
    environment = {**kept, "HOME": str(home), "DISPLAY": display.name, "LIBGL_ALWAYS_SOFTWARE": "1", "LANG": "C.UTF-8"}
    (temporary := home / "tmp").mkdir(exist_ok=True)
    # Shaders that were compiled once need not be again, by whichever Blender.
    environment["MESA_SHADER_CACHE_DIR"] = str(run.with_name("shaders"))
    environment["TMPDIR"] = str(temporary)  # where a Blender finds what another one left when it quit
    size = [str(display.width), str(display.height)]
    command: Sequence[str] = [*offline(), str(run), "blender", "--window-geometry", "0", "0", *size, *options]
    output = home / "printed.txt"
    with output.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT, text=True)
    window = Window(display, process, font, output)
    try:
        yield window
    finally:
        window.close()
