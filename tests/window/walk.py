# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of README.md's section for artists, one function for one or a few of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from likeness import Found, error_at, found_in, mistakes
from PIL import Image
from readme import Guide
from window import BROWSER, LONG_PATIENCE, VIEWPORT, Window

from smalti.bridge.job import JobSpec
from smalti.bridge.settings import settings_of

INSTALLING, USING = "Installing", "Using it in Blender"
TARGET, BITMAPS = "lighthouse.png", "leaves"
NAME = "lighthouse"  # of the job, and of what it becomes in the outliner
PREFERENCES = "Preferences"  # the title of their window
FIT_LIMIT = 600.0  # seconds

SUB_PANELS = "Regions", "Advanced", "Limits"
NOT_AS_LABELED = {"Lock Rotation", "Lock Scale"}  # which stand under the heading Lock
PREVIEW, SIDEBAR = 160, 230  # pixels: of the preview's height above Look, and of the sidebar's width, without the edges
PICTURED = 12.0  # standard deviation of a picture's levels of 255 at least; that of an empty panel is about 1
END = 36  # pixels from the middle of a tab to the left, where the cross is that cancels
CROSS = 50  # pixels from Fit down to it
FOLDER_TO_ARROW = 21  # pixels
ARROW = 33  # pixels from the end of Repositories to the small arrow at the top right
UNFOLD = 40  # pixels from an add-on's name to the left, where the arrow is that unfolds it
LIKE = 10.0  # levels of 255 by which a channel of the viewport may differ from the engine's picture, on average
WORSE = 2.0  # times as much by which the picture as it must not be shown differs at least
MARGIN = 110  # pixels from the words on the sidebar's widest button to the left, where the sidebar begins
MIDDLE = 660.0, 520.0  # a place in the viewport where a layer is
TOP = 100  # pixels: where the viewport's header and its lines of text end
SHARE = 0.35  # of the viewport's width or height that the picture takes at least


@dataclass
class Walk:
    """Where it goes on, and what was measured: a name -> a figure with its unit."""

    guide: Guide
    home: Path
    archive: Path
    shots: Path
    figures: dict[str, str] = field(default_factory=dict)

    @property
    def user_folder(self) -> Path:
        """Blender's folder of this user."""
        (found,) = (self.home / ".config" / "blender").iterdir()
        return found

    @property
    def job(self) -> Path:
        """The folder of the first job."""
        return self.user_folder / "datafiles" / "smalti jobs" / NAME

    def took(self, what: str, began: float) -> None:
        """Keep a time."""
        self.figures[what] = f"{time.monotonic() - began:.1f} s"


def install(walk: Walk) -> None:
    """From disk, in Blender's preferences."""
    guide, window = walk.guide, walk.guide.window
    with guide.step(INSTALLING, 1):
        assert walk.archive.is_file()  # which `make extension` made
    with guide.step(INSTALLING, 2):
        guide.press("Edit", done=partial(window.reads, "Preferences..."))
        guide.press("Preferences", shown="Preferences...")
        window.wait(lambda: window.arranged(PREFERENCES), "the preferences are open")
        guide.press("Get Extensions", done=partial(window.reads, "Repositories"))
        place = window.see("Repositories")
        arrow = place.x + place.width + ARROW, place.center[1]
        window.click(arrow, partial(window.reads, "Install from Disk..."))
        guide.press("Install from Disk", shown="Install from Disk...")
        window.wait(lambda: window.arranged(BROWSER), "the file browser is open")
        window.press(walk.archive.name)
        guide.press("Install from Disk")
        began = time.monotonic()
        window.see("Smalti")
        walk.took("Install from Disk", began)


def check_engine(walk: Walk) -> None:
    """In the add-on's preferences."""
    guide, window = walk.guide, walk.guide.window
    with guide.step(INSTALLING):
        window.see("Add-ons")
        tab = min(window.places("Add-ons"), key=lambda place: place.x)  # a menu of the page has this text too
        window.click(tab.center, partial(window.reads, "Search Add-ons"))
        window.press("Search Add-ons")
        window.display.type("smalti")
        window.display.key("Return")
        window.gone("Cycles Render Engine")
        place = window.see("Smalti")
        window.click((place.x - UNFOLD, place.center[1]), partial(window.reads, "Custom Engine:"))
        guide.read("Custom Engine", shown="Custom Engine:")
        guide.press("Check")
        began = time.monotonic()
        window.see("Smalti 0.1.0 on", goes_on=True)
        walk.took("Check, until the engine has answered", began)
    window.display.close_window()


def fit(walk: Walk) -> None:
    """The panel: what, how many, and Fit."""
    guide, window = walk.guide, walk.guide.window
    with guide.step(USING):
        guide.open_sidebar("Smalti", panel="Fit")
    with guide.step(USING, 1):
        guide.read("Look", "Target", "Bitmaps", "Text", "Output")
        window.press_field("Look")
        window.press("Collage")
        window.choose("Target", TARGET)
        window.choose("Bitmaps", BITMAPS)
    with guide.step(USING, 2):
        guide.read("Count", "Size", "Color Mix", "Quality", "Regions", "Advanced", "Limits")
        window.write("Count", "200")
        window.write("Size", "480", "480 px")
    began = time.monotonic()
    open_everything(walk)
    walk.took("step open_everything", began)
    with guide.step(USING, 3):
        guide.press("Fit")
        began = time.monotonic()
        _watch_the_preview(walk)
        window.see(f"{NAME}: finished", goes_on=True)
        walk.took("Fit", began)


def open_everything(walk: Walk) -> None:
    """With all sub-panels open no label is cut short, and Fit is where it was."""
    window = walk.guide.window
    for name in SUB_PANELS[::-1]:
        window.press(name)
        window.settle()
    settings = settings_of(JobSpec).values()
    labels = [one.label for one in settings if one.page in ("advanced", "limits") and one.label not in NOT_AS_LABELED]
    cut = [label for label in labels if window.scroll_to(label, must=False) is None]
    assert not cut, "these labels cannot be read at the usual width of the sidebar"
    window.scroll_to("Look")
    window.scroll_up()
    assert window.reads("Fit")
    for name in SUB_PANELS:
        window.scroll_to(name)
        window.press(name)
        window.settle()
    window.scroll_up()


def _watch_the_preview(walk: Walk) -> None:
    """Until the job is done: once there is a picture, there always is one."""
    window = walk.guide.window
    bottom = round(window.see("Look").y)
    looks, blank = 0, 0

    def done() -> bool:
        nonlocal looks, blank
        preview = window.display.pixels()[bottom - PREVIEW : bottom - 20, window.tabs - SIDEBAR : window.tabs - END]
        pictured = preview.std(axis=(0, 1)).max() > PICTURED
        looks, blank = looks + (pictured or looks > 0), blank + (not pictured and looks > 0)
        return (walk.job / "report.json").is_file()

    window.wait(done, "the job is done", FIT_LIMIT)
    walk.figures["looks at the preview that found none, once there was one"] = f"{blank} of {looks}"
    assert looks
    assert not blank, f"the preview was blank in {blank} of {looks} looks"


def import_layers(walk: Walk) -> Found:
    """The picture in the viewport, with its colors, upright, and all of it."""
    guide, window = walk.guide, walk.guide.window
    with guide.step(USING, 4):
        began = time.monotonic()
        guide.press("Import Layers", done=partial(imported, window))
        walk.took("Import Layers", began)
        window.display.move(*VIEWPORT)
    picture = np.asarray(Image.open(walk.job / "render.png").convert("RGB"))
    left = window.see("Import Layers").x - MARGIN  # where the sidebar begins
    found = Found(0, 0, 0, 0, 255)

    def shown() -> bool:
        nonlocal found
        window.settle()
        found = found_in(window.display.pixels()[TOP:, :left], picture)
        return found.error < LIKE

    window.wait(shown, "the viewport shows the picture", LONG_PATIENCE)
    viewport = window.display.pixels()[TOP:, :left]
    walk.took("Import Layers, until the shaders are compiled", began)
    walk.figures["the viewport's picture, from the engine's"] = f"{found.error:.1f} levels"
    for name, wrong in mistakes(picture).items():
        assert error_at(viewport, wrong, found) > WORSE * found.error, name
    assert max(found.width / viewport.shape[1], found.height / viewport.shape[0]) > SHARE, found
    return found


def look_closer(walk: Walk) -> None:
    """What else there is to an import: what it is made of, how deep it is, what it is sorted into."""
    guide, window = walk.guide, walk.guide.window
    with guide.step(USING, 4):
        guide.read(
            "Exact Colors", "Depth", "Surface", "Exact", "Lit", "Use Full Bitmaps", "Match Colors", "As", "Layers"
        )
        window.press_field("As")
        guide.read("Mosaic")
        window.display.key("Escape")
        window.click(_redo_panel(window), partial(window.reads, "Cut Outlines"))
        guide.read("Cut Outlines", "Collections", "Key Tolerance")
        assert min(place.x for place in window.places("Collections")) < window.tabs  # the properties have some too
        window.save(walk.shots / "after-import.png")
        window.click(_redo_panel(window), lambda: not window.places("Cut Outlines"))


def _redo_panel(window: Window) -> tuple[float, float]:
    """The head of Blender's own panel for the last operator, in the viewport's lower left corner."""
    window.see("Import Layers")
    return min(window.places("Import Layers"), key=lambda place: place.x).center


def ways_in(walk: Walk) -> None:
    """Where else pictures come from, and the list of jobs."""
    guide, window = walk.guide, walk.guide.window
    with guide.step(USING):
        for label, entries in (
            ("Target", ("Render Camera as Target", "Use the Whole Sequence")),
            ("Bitmaps", ("Use Selected Images",)),
        ):
            guide.read(label)
            x, y = window.folder_of(label)
            window.click((x + FOLDER_TO_ARROW, y), partial(window.reads, entries[0]))
            guide.read(*entries)
            window.display.key("Escape")
        guide.read("Jobs")
        window.press("Rendering", done=partial(window.reads, "Slot 1"))  # a workspace with an Image Editor
        guide.read("Image")
        window.open_sidebar("Smalti", panel="Use as Target")
        guide.read("Use as Target")
        window.press("Layout", done=partial(window.reads, "Object Mode"))


def imported(window: Window) -> bool:
    """Whether the outliner, to the right of the sidebar, has the job."""
    return any(place.x > window.tabs for place in window.places(NAME))


def take_back(walk: Walk) -> None:
    """One undo takes an import back, one redo brings it again."""
    window = walk.guide.window
    window.do(window.undo, lambda: not imported(window))
    window.settle()
    window.do(window.redo, lambda: imported(window))
    window.settle()


def import_again(walk: Walk) -> None:
    """What the artist changed is kept, or not: Blender asks."""
    guide, window = walk.guide, walk.guide.window
    window.display.click(*MIDDLE)
    window.display.key("g")
    window.display.type("x1")
    window.display.key("Return")
    window.settle()
    with guide.step(USING, 4):
        guide.press("Import Layers", done=partial(window.reads, "1 layer was changed since the last import."))
        window.save(walk.shots / "again.png")
        guide.press("Keep", done=partial(window.reads, "Replace"))
        guide.read("Replace")
        window.press("Keep")
        window.gone("Replace")
        window.press("Import")
        window.gone("Import")


def export(walk: Walk) -> None:
    """The PSD."""
    guide, window = walk.guide, walk.guide.window
    with guide.step(USING, 5):
        began = time.monotonic()
        guide.press("Export PSD")
        window.wait((walk.job / "layers.psd").is_file, "the PSD is there")
        window.see(f"{NAME}: wrote layers.psd.", goes_on=True)
        walk.took("Export PSD", began)


def cancel_and_resume(walk: Walk) -> None:
    """A job that is stopped, and goes on."""
    guide, window = walk.guide, walk.guide.window
    window.scroll_to("Count")
    window.write("Count", "900")  # which takes long enough
    with guide.step(USING, 3):
        button = guide.press("Fit", done=partial(window.reads, "Replace"))
        window.press("Replace")
        window.gone("Replace the Job?")
        cross = window.tabs - END, button.center[1] + CROSS
        # A button without a text says what it is where the mouse rests on it.
        window.do(lambda: window.display.move(*cross), lambda: bool(window.places("Cancel", goes_on=True)))
        window.save(walk.shots / "cancel.png")
        guide.left.pop("Cancel")
        began = time.monotonic()
        window.display.click(*cross)
        window.see(f"{NAME}: canceled,", goes_on=True)
        walk.took("Cancel, until the job has stopped", began)
    with guide.step(USING):
        guide.press("Resume")
        window.gone("Resume")
        window.see(f"{NAME}: finished", FIT_LIMIT, goes_on=True)


def remove(walk: Walk) -> None:
    """Blender's preferences take it away, with the engine; the jobs stay."""
    window = walk.guide.window
    window.display.move(*VIEWPORT)
    window.press("Edit", done=partial(window.reads, "Preferences..."))
    window.press("Preferences...")
    window.wait(lambda: window.arranged(PREFERENCES), "the preferences are open")
    window.press("Get Extensions", done=partial(window.reads, "Repositories"))
    end, _ = window.see("Repositories"), window.see("Smalti")
    place = min(window.places("Smalti"), key=lambda place: place.x)  # not that of the sidebar
    window.click((end.x + end.width + ARROW, place.center[1]), partial(window.reads, "Uninstall"))
    window.press("Uninstall")
    window.wait(lambda: not left_behind(walk), "nothing is left behind")


def left_behind(walk: Walk) -> list[str]:
    """Files of the extension or of the engine in the user's folder."""
    return [str(path) for path in walk.user_folder.rglob("*smalti*") if "smalti jobs" not in str(path)]
