# SPDX-License-Identifier: GPL-3.0-or-later
"""Remake the pictures of README.md and gallery.md: `make pictures`, or `python docs/make_pictures.py [PICTURE...]`.

Everything but what shows Blender: `blender.jpg` and `depth.jpg` are photographs of a window (make_window_pictures.py),
and the others rendered by make_blender_pictures.py. All from what comes with Smalti, what code draws, and three of
scikit-image's photographs. It takes the extra `quality`, and a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from smalti.bridge.looks import LOOKS, in_look
from smalti.engine import (
    Composition,
    Template,
    fit,
    load_templates,
    picture,
    text_templates,
)
from smalti.engine.files.images import canvas_size, read_image
from smalti.engine.templates.card import on_cards

Pixels = NDArray[np.uint8]

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
EXAMPLES = ROOT / "examples"
LIGHTHOUSE = EXAMPLES / "target" / "lighthouse.png"
PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
TARGETS = (LIGHTHOUSE, *(PHOTOGRAPHS / name for name in ("chelsea.png", "coffee.png", "rocket.jpg")))

QUALITY = 88  # of the JPEGs; less where a picture would be larger than LARGEST
LARGEST = 600_000  # bytes
GAP = 20  # pixels between pictures side by side
SHEET_GAP = 8  # on contact sheets, where there are more of them
SIZE = 384  # longer side of a picture on a contact sheet, pixels


def side_by_side(pictures: Sequence[Image.Image], gap: int) -> Image.Image:
    """Pictures of one height in a row, on white."""
    page = Image.new("RGB", (sum(p.width + gap for p in pictures) - gap, max(p.height for p in pictures)), "white")
    x = 0
    for each in pictures:
        page.paste(each, (x, 0))
        x += each.width + gap
    return page


def below_each_other(rows: Sequence[Image.Image], gap: int) -> Image.Image:
    """Rows of one width, on white."""
    page = Image.new("RGB", (max(r.width for r in rows), sum(r.height + gap for r in rows) - gap), "white")
    y = 0
    for each in rows:
        page.paste(each, (0, y))
        y += each.height + gap
    return page


def headed(image: Image.Image, heading: str) -> Image.Image:
    """A picture under its heading."""
    page = Image.new("RGB", (image.width, image.height + 30), "white")
    page.paste(image, (0, 30))
    ImageDraw.Draw(page).text((2, 3), heading, "black", ImageFont.load_default(19))
    return page


def on_white(pixels: Pixels) -> Image.Image:
    """[height, width, 4] with straight alpha, on white."""
    image = Image.fromarray(pixels)
    page = Image.new("RGBA", image.size, "white")
    page.alpha_composite(image)
    return page.convert("RGB")


def shown(composition: Composition, frame: int = 0, size: int | None = None) -> Image.Image:
    """A frame, its longer side `size` pixels or as large as it was fitted."""
    return on_white(picture(composition, frame, size))


def reduced(path: Path, size: int) -> Image.Image:
    """A picture file as the engine reads it, its longer side `size` pixels."""
    image = on_white(read_image(path))
    return image.resize(canvas_size(image.width, image.height, size), Image.Resampling.LANCZOS)


@cache
def leaves() -> list[Template]:
    return load_templates(EXAMPLES / "primitives")


@cache
def lighthouse_of_leaves() -> Composition:
    """What `make demo` makes."""
    return fit(
        LIGHTHOUSE,
        leaves(),
        **in_look(
            {
                "look": "collage",
                "shade": 0.8,
                "min_visibility": 0.4,
                "count": 800,
                "size": 640,
                "steps": 300,
                "min_size": 24,
                "max_size": 107,
            }
        ),
    )


def lighthouse() -> Image.Image:
    return side_by_side([reduced(LIGHTHOUSE, 840), shown(lighthouse_of_leaves(), size=840)], GAP)


def close_up() -> Image.Image:
    """The foot of the tower and the house, at six times the size of the fit."""
    return shown(lighthouse_of_leaves(), size=6 * 640).crop((2360, 700, 2360 + 1280, 700 + 800))


def bitmaps() -> Image.Image:
    names = ("maple", "ginkgo", "beech", "petal", "oak", "willow")
    found = [Image.open(EXAMPLES / "primitives" / f"{name}.png") for name in names]
    small = [i.resize((round(0.55 * i.width), round(0.55 * i.height)), Image.Resampling.LANCZOS) for i in found]
    height = max(i.height for i in small)
    page = Image.new("RGBA", (sum(i.width + 30 for i in small), height + 40), "white")
    x = 15
    for each in small:
        page.alpha_composite(each, (x, 20 + (height - each.height) // 2))
        x += each.width + 30
    return page.convert("RGB")


def frames() -> Image.Image:
    film = fit(
        EXAMPLES / "frames",
        leaves(),
        count=1500,
        size=640,
        colour_mix=0.4,
        min_size=14,
        max_size=100,
    )
    return side_by_side([shown(film, frame, 520) for frame in (0, 4, 9)], GAP)


@cache
def drawn(name: str) -> list[Template]:
    """The discs, strokes or letters of the benchmark of quality, whose folder is no package."""
    sys.path.insert(0, str(ROOT / "benchmarks" / "quality"))
    from drawn_bitmaps import templates_of

    with tempfile.TemporaryDirectory() as folder:
        return templates_of(name, Path(folder), Path(folder))


def sheet(columns: dict[str, list[Template]], mix: float) -> Image.Image:
    """A row for each target: itself, then rebuilt out of each column's bitmaps."""
    rows: list[Image.Image] = []
    for path in TARGETS:
        row = {"target": reduced(path, SIZE)}
        for name, templates in columns.items():
            row[name] = shown(fit(path, templates, preset="best", count=1500, size=SIZE, colour_mix=mix))
        tops = [headed(image, name) for name, image in row.items()] if not rows else list(row.values())
        rows.append(side_by_side(tops, SHEET_GAP))
    return below_each_other(rows, SHEET_GAP)


def sheet_tinted() -> Image.Image:
    words = text_templates("sea light wind stone cloud tower sun wave rock and", split="words")
    return sheet({name: drawn(name) for name in ("discs", "strokes", "letters")} | {"words": words}, 0.0)


def sheet_own_colours() -> Image.Image:
    return sheet({name: drawn(name) for name in ("discs", "strokes", "letters")} | {"leaves": leaves()}, 1.0)


def collages() -> Image.Image:
    """Four targets in Collage, each out of other bitmaps: the picture, and a part of it at four times the size."""
    letters = on_cards(text_templates("A CAT MADE OF LETTERS"))
    asked = {"look": "collage", "shade": 0.6, "size": 640, "max_size": 90}
    rows = []
    for target, templates, settings, (left, top) in (
        (PHOTOGRAPHS / "chelsea.png", letters, {"count": 1200, "min_size": 16}, (0.36, 0.3)),
        (PHOTOGRAPHS / "coffee.png", leaves(), {"count": 900, "min_size": 20, "colour_mix": 0.2}, (0.3, 0.28)),
        (LIGHTHOUSE, load_templates(EXAMPLES / "studio"), {"count": 900, "min_size": 20}, (0.6, 0.1)),
        (PHOTOGRAPHS / "rocket.jpg", drawn("strokes"), {"count": 900, "min_size": 20}, (0.42, 0.25)),
    ):
        found = fit(target, templates, **in_look({**asked, **settings}))
        whole, large = shown(found), shown(found, size=4 * 640)
        x, y = int(left * large.width), int(top * large.height)
        rows.append(side_by_side([whole, large.crop((x, y, x + 720, y + whole.height))], SHEET_GAP))
    return below_each_other(rows, SHEET_GAP)


def looks() -> Image.Image:
    """The lighthouse in four looks: out of leaves, and out of letters."""
    letters = text_templates("SMALTI", None)
    rows = []
    for name, templates in (("leaves", leaves()), ("letters", letters)):
        row = []
        for look in LOOKS:
            if look == "photomosaic":  # it is for photographs
                continue
            settings = in_look({"look": look, "count": 500, "size": 640, "min_size": 32})
            cards = on_cards(templates) if name == "letters" and settings.get("text_cards") else templates
            image = shown(fit(LIGHTHOUSE, cards, **settings))
            row.append(headed(image, f"{LOOKS[look].label}, {name}"))
        rows.append(side_by_side(row, SHEET_GAP))
    return below_each_other(rows, SHEET_GAP)


def sheet_limits() -> Image.Image:
    """The lighthouse with one thing asked for in each picture."""
    with tempfile.TemporaryDirectory() as folder:
        word, badge = Path(folder) / "word.png", Path(folder) / "badge.png"
        _draw_word(word)
        _draw_badge(badge)
        palette = ("#1d1f45", "#6a3578", "#d9547a", "#f58a4b", "#ffd27a", "#fff3d0")
        asked: list[tuple[str, Path, list[Template], dict[str, Any]]] = [
            ("nothing asked", LIGHTHOUSE, leaves(), {}),
            ("--min-visibility 0.3", LIGHTHOUSE, leaves(), {"min_visibility": 0.3}),
            ("--max-overlap 1", LIGHTHOUSE, leaves(), {"max_overlap": 1.0}),
            ("--loss mse+ms_ssim", LIGHTHOUSE, leaves(), {"loss": "mse+ms_ssim"}),
            ("--palette, six colors", LIGHTHOUSE, leaves(), {"palette": palette}),
            ("--rotation-steps 4", LIGHTHOUSE, text_templates("LIGHTHOUSE"), {"rotation_steps": 4}),
            ("--keep-in, a word", LIGHTHOUSE, leaves(), {"keep_in": word, "background": "#ffffff"}),
            ("--inside-outline", badge, leaves(), {"inside_outline": True}),
        ]
        found = [
            headed(shown(fit(target, templates, count=600, size=SIZE, **settings)), heading)
            for heading, target, templates, settings in asked
        ]
    return below_each_other([side_by_side(found[:4], SHEET_GAP), side_by_side(found[4:], SHEET_GAP)], SHEET_GAP)


def _draw_word(path: Path) -> None:
    """SEA, white on black, of the size of the lighthouse's picture."""
    image = Image.new("L", Image.open(LIGHTHOUSE).size)
    middle = image.width / 2, image.height / 2
    ImageDraw.Draw(image).text(middle, "SEA", 255, ImageFont.load_default(430), anchor="mm", stroke_width=12)
    image.save(path)


def _draw_badge(path: Path) -> None:
    """The lighthouse within round corners, and transparency around it."""
    image = Image.open(LIGHTHOUSE).convert("RGBA")
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).rounded_rectangle((30, 20, image.width - 30, image.height - 20), 220, 255)
    image.putalpha(mask)
    image.save(path)


def write(image: Image.Image, path: Path) -> None:
    """Write a PNG; or a JPEG of the usual quality, or of the highest below it at which it is small enough."""
    if path.suffix == ".png":
        image.save(path, optimize=True)
        return
    for quality in range(QUALITY, 30, -3):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, optimize=True, progressive=True)
        if file.tell() <= LARGEST:
            break
    path.write_bytes(file.getvalue())


MAKERS: dict[str, Callable[[], Image.Image]] = {
    "leaves.png": bitmaps,
    "lighthouse.jpg": lighthouse,
    "close-up.jpg": close_up,
    "frames.jpg": frames,
    "looks.jpg": looks,
    "collages.jpg": collages,
    "sheet-tinted.jpg": sheet_tinted,
    "sheet-own-colours.jpg": sheet_own_colours,
    "sheet-limits.jpg": sheet_limits,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help=f"of {', '.join(MAKERS)} (default: all)")
    parser.add_argument("--out", type=Path, default=PICTURES, help="folder to write into (default: docs/pictures)")
    options = parser.parse_args()
    unknown = [name for name in options.pictures if name not in MAKERS]
    if unknown:
        parser.error(f"no picture is called {unknown[0]}; there are {', '.join(MAKERS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.pictures or MAKERS:
        began = time.monotonic()
        write(MAKERS[name](), options.out / name)
        print(
            f"{name:24} {(options.out / name).stat().st_size / 1000:5.0f} kB {time.monotonic() - began:6.0f} s",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
