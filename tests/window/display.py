# SPDX-License-Identifier: GPL-3.0-or-later
"""A screen without a monitor, and real keys, clicks and screenshots on it.

Events go through the X server as those of a mouse and a keyboard do, so the program under test takes them by the way on
which it takes an artist's, and runs no code of the test.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from Xlib import XK, X
from Xlib import display as xlib
from Xlib.ext import xtest
from Xlib.protocol import event

Pixels = NDArray[np.uint8]
"""[height, width, 3], sRGB."""

PAUSE = 0.06  # seconds between press and release, and between two keys: no faster than a quick hand
SETTLE = 0.8  # seconds that a program gets to show that it has seen where the mouse is, before a button is pressed


class Display:
    """A connection to a screen of `width` x `height` pixels, with mouse and keyboard."""

    def __init__(self, name: str, width: int, height: int) -> None:
        self.name, self.width, self.height = name, width, height
        self._x = xlib.Display(name)
        self._root = self._x.screen().root
        # Where there is no window manager nobody else does it, and Blender asks for those alone that are there.
        self._delete, self._protocols = (self._x.intern_atom(name) for name in ("WM_DELETE_WINDOW", "WM_PROTOCOLS"))

    def pixels(self) -> Pixels:
        """What is on the screen now."""
        found = self._root.get_image(0, 0, self.width, self.height, X.ZPixmap, 0xFFFFFFFF)
        return np.frombuffer(found.data, np.uint8).reshape(self.height, self.width, 4)[..., 2::-1].copy()

    def move(self, x: float, y: float) -> None:
        """Move the mouse there, in two steps, as a jump alone may go unseen."""
        for dx in (-2, 0):
            xtest.fake_input(self._x, X.MotionNotify, x=round(x) + dx, y=round(y))
            self._x.sync()
            time.sleep(PAUSE)

    def _hover(self, x: float, y: float) -> None:
        before, until = self.pixels(), time.monotonic() + SETTLE
        self.move(x, y)
        while np.array_equal(before, self.pixels()) and time.monotonic() < until:
            time.sleep(PAUSE)
        time.sleep(PAUSE)

    def click(self, x: float, y: float, button: int = 1, times: int = 1) -> None:
        """Click there, as soon as what lies there is lit."""
        self._hover(x, y)
        for _ in range(times):
            for kind in (X.ButtonPress, X.ButtonRelease):
                xtest.fake_input(self._x, kind, button)
                self._x.sync()
                time.sleep(PAUSE)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the left button at `start`, and release it at `end`."""
        self._hover(*start)
        xtest.fake_input(self._x, X.ButtonPress, 1)
        for part in np.linspace(0, 1, 12):
            x, y = (a + part * (b - a) for a, b in zip(start, end))
            xtest.fake_input(self._x, X.MotionNotify, x=round(x), y=round(y))
            self._x.sync()
            time.sleep(PAUSE)
        xtest.fake_input(self._x, X.ButtonRelease, 1)
        self._x.sync()

    def key(self, *names: str) -> None:
        """Press keys together, such as ``key("Control_L", "z")``, by the names that X has for them."""
        codes = [self._x.keysym_to_keycode(XK.string_to_keysym(name)) for name in names]
        for kind, order in ((X.KeyPress, codes), (X.KeyRelease, codes[::-1])):
            for code in order:
                xtest.fake_input(self._x, kind, code)
                self._x.sync()
            time.sleep(PAUSE)

    def type(self, text: str) -> None:
        """Type a line of ASCII."""
        shift = self._x.keysym_to_keycode(XK.string_to_keysym("Shift_L"))
        for letter in text:
            code, level = next((c, n) for c, n in self._x.keysym_to_keycodes(ord(letter)) if n in (0, 1))
            keys = [shift, code] if level else [code]
            for kind, order in ((X.KeyPress, keys), (X.KeyRelease, keys[::-1])):
                for each in order:
                    xtest.fake_input(self._x, kind, each)
            self._x.sync()
            time.sleep(PAUSE / 4)

    def _windows(self) -> list[Any]:
        """The windows to be seen, the uppermost last."""
        return [w for w in self._root.query_tree().children if w.get_attributes().map_state == X.IsViewable]

    def titles(self) -> list[str]:
        """The titles of the windows to be seen, the uppermost last."""
        return [str(window.get_wm_name()) for window in self._windows()]

    def keep_windows_in(self) -> bool:
        """Move windows that reach over the edge of the screen into it, as a window manager would; says if one did."""
        moved = False
        for window in self._windows():
            box = window.get_geometry()
            x = max(0, min(box.x, self.width - box.width))
            y = max(0, min(box.y, self.height - box.height))
            if (x, y) != (box.x, box.y):
                window.configure(x=x, y=y)
                moved = True
        self._x.sync()
        return moved

    def close_window(self) -> None:
        """Close the uppermost window, as the cross in its frame would, and look at the one below it."""
        below, window = self._windows()[-2:]
        data = (32, [self._delete, X.CurrentTime, 0, 0, 0])
        window.send_event(event.ClientMessage(window=window, client_type=self._protocols, data=data))
        self._x.sync()
        box = below.get_geometry()
        self.move(box.x + box.width / 2, box.y + box.height / 2)

    def close(self) -> None:
        """Give the connection back."""
        self._x.close()


@contextmanager
def screen(run: Sequence[str | Path], width: int, height: int) -> Iterator[Display]:
    """A screen that is there as long as the context; `run` is the command that starts a program beside Blender."""
    reading, writing = os.pipe()
    command = [*map(str, run), "Xvfb", "-displayfd", str(writing), "-screen", "0", f"{width}x{height}x24"]
    server = subprocess.Popen(
        [*command, "+extension", "GLX", "-nolisten", "tcp"], pass_fds=[writing], stderr=subprocess.DEVNULL
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as file:
            number = file.readline().strip()  # written when the server is ready; empty when it has ended
        assert number, f"no screen: {' '.join(command)} ended with status {server.wait()}"
        found = Display(f":{number}", width, height)
        try:
            yield found
        finally:
            found.close()
    finally:
        server.terminate()
        server.wait(10)
