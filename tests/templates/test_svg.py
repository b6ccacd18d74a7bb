# SPDX-License-Identifier: GPL-3.0-or-later
"""SVG drawings as templates: their shapes against geometry, what they may not read, and what refuses them."""

from __future__ import annotations

import base64
import gzip
import io
import logging
import math
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import resvg_py
from jobs import bitmaps, contents, save, small_job
from numpy.typing import NDArray
from PIL import Image

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import Mask
from smalti.engine import templates
from smalti.engine.composition import load_composition
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.templates import Template, load_templates
from smalti.engine.templates import svg as vector
from smalti.engine.templates.svg import read_drawing

SVG = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
SIDE = 256
SQUARE = '<rect x="2" y="2" width="6" height="6" fill="#c04020"/>'


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawings a quarter as large as usual, for the sake of speed."""
    monkeypatch.setattr(vector, "SIDE", SIDE)


def drawing(path: Path, body: str = SQUARE, page: str = 'viewBox="0 0 10 10"') -> Path:
    path.write_text(f"<svg {SVG} {page}>{body}</svg>", encoding="utf-8")
    return path


def one(path: Path, mask: Mask = "auto") -> Template:
    (template,) = load_templates(path, mask=mask)
    return template


def shown(template: Template) -> NDArray[np.uint8]:
    """The template without its margin."""
    return template.rgba[1:-1, 1:-1]


def refusal(path: Path) -> SmaltiError:
    with pytest.raises(SmaltiError) as caught:
        load_templates(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return caught.value


# What is drawn.


def test_a_circle_is_round_and_has_its_area_and_colour(tmp_path: Path) -> None:
    template = one(
        drawing(tmp_path / "disc.svg", '<circle cx="50" cy="40" r="30" fill="#3060c0"/>', 'viewBox="0 0 99 99"')
    )
    alpha = shown(template)[..., 3] / 255
    assert template.name == "disc"
    # The frame has a pixel of the probe more on each side than the circle.
    assert 0.97 * SIDE < alpha.shape[1] <= SIDE
    assert abs(alpha.shape[0] - alpha.shape[1]) <= 1
    radius = sum(alpha.shape) / 4
    assert alpha.sum() == pytest.approx(math.pi * radius**2, rel=0.01)
    y, x = np.indices(alpha.shape) + 0.5
    distance = np.hypot(x - alpha.shape[1] / 2, y - alpha.shape[0] / 2)
    assert (alpha[distance < radius - 1.5] == 1).all()
    assert (alpha[distance > radius + 1.5] == 0).all()
    # Colors of faint texels are uncertain by rounding: compare what they add to a picture, premultiplied.
    off = np.abs(template.rgba[..., :3].astype(float) - (0x30, 0x60, 0xC0)) * template.rgba[..., 3:] / 255
    assert off.max() <= 1


def test_a_rectangle_has_its_proportions_and_straight_edges(tmp_path: Path) -> None:
    template = one(drawing(tmp_path / "a.svg", '<rect x="10" y="20" width="60" height="15"/>', 'viewBox="0 0 90 90"'))
    alpha = shown(template)[..., 3]
    assert alpha.shape[1] / alpha.shape[0] == pytest.approx(4, rel=0.02)
    assert (alpha[2:-2, 2:-2] == 255).all()
    assert (alpha == alpha[alpha.shape[0] // 2]).all(axis=1)[2:-2].all()


def test_a_gradient_runs_from_colour_to_colour(tmp_path: Path) -> None:
    body = (
        '<linearGradient id="g"><stop stop-color="#ff0000"/><stop offset="1" stop-color="#0000ff"/></linearGradient>'
        '<rect width="10" height="5" fill="url(#g)"/>'
    )
    rgba = shown(one(drawing(tmp_path / "a.svg", body, 'viewBox="0 0 10 10"')))
    expected = 255 * (np.arange(rgba.shape[1]) + 0.5) / rgba.shape[1]
    middle = rgba[rgba.shape[0] // 2].astype(float)
    assert np.abs(middle[:, 2] - expected)[4:-4].max() < 4
    assert np.abs(middle[:, 0] - (255 - expected))[4:-4].max() < 4


def test_transparency_is_kept_as_straight_alpha(tmp_path: Path) -> None:
    body = '<rect width="10" height="10" fill="#20c040" fill-opacity="0.4"/>'
    rgba = shown(one(drawing(tmp_path / "a.svg", body)))
    assert np.abs(rgba.astype(int) - (0x20, 0xC0, 0x40, 102))[2:-2, 2:-2].max() <= 2


def test_a_small_drawing_on_a_large_page_is_as_crisp_as_any(tmp_path: Path) -> None:
    body = '<circle cx="190" cy="10" r="3" fill="#a02"/>'
    alpha = shown(one(drawing(tmp_path / "a.svg", body, 'width="210mm" height="297mm" viewBox="0 0 210 297"')))[..., 3]
    assert min(alpha.shape) > 0.75 * SIDE
    soft = ((alpha > 0) & (alpha < 255)).sum()
    assert soft < 6 * math.pi * alpha.shape[0] / 2  # the edge is some texels wide, not what enlarging would make of it


@pytest.mark.parametrize(
    ("page", "proportion"),
    [
        ('width="40" height="10"', 4),
        ('width="4cm" height="1cm"', 4),
        ('width="1in" height="24"', 4),
        ('width="6pc" height="18pt"', 4),
        ('viewBox="0 0 40 10"', 4),
        ('width="100%" height="100%" viewBox="-3,5 40 10"', 4),
        ('width="200" viewBox="0 0 40 10"', 4),
        ('height="3mm" viewBox="0 0 40 10"', 4),
        ('width="80" height="10" viewBox="0 0 40 10" preserveAspectRatio="none"', 8),
        ('width="1e6" height="250000"', 4),
    ],
)
def test_the_page_has_the_size_that_the_file_says(tmp_path: Path, page: str, proportion: float) -> None:
    body = '<rect x="-1000%" y="-1000%" width="9000%" height="9000%"/>'
    template = one(drawing(tmp_path / "a.svg", body, page))
    assert (template.width - 2) / (template.height - 2) == pytest.approx(proportion, rel=0.01)
    assert (shown(template)[..., 3] == 255).all()


def test_the_place_of_the_page_on_another_means_nothing(tmp_path: Path) -> None:
    path = drawing(tmp_path / "a.svg", page='x="500" y="-70" width="10" height="10"')
    np.testing.assert_array_equal(one(path).rgba, one(drawing(tmp_path / "b.svg")).rgba)


@pytest.mark.parametrize("mask", ["auto", "alpha", "background", "luminance", "none"])
def test_no_mask_cuts_anything_out_of_a_drawing(tmp_path: Path, mask: Mask) -> None:
    body = '<rect width="10" height="10" fill="white"/><circle cx="5" cy="5" r="2"/>'
    template = one(drawing(tmp_path / "a.svg", body), mask)
    assert (shown(template)[..., 3] == 255).all()
    assert shown(template)[5, 5].tolist() == [255, 255, 255, 255]


def test_packed_files_are_read_whatever_they_are_called(tmp_path: Path) -> None:
    plain = drawing(tmp_path / "plain.svg")
    for name in ("packed.svgz", "packed.SVG"):
        (tmp_path / name).write_bytes(gzip.compress(plain.read_bytes()))
        np.testing.assert_array_equal(one(tmp_path / name).rgba, one(plain).rgba)


def test_styles_entities_and_other_encodings_are_understood(tmp_path: Path) -> None:
    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
        '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd" '
        f'[<!ENTITY red "#c04020">]>\n<svg {SVG} viewBox="0 0 10 10"><!-- Grün -->'
        '<style>svg > .grün { fill: &red; }</style><rect class="grün" x="2" y="2" width="6" height="6"/></svg>'
    )
    (tmp_path / "a.svg").write_bytes(text.encode("latin-1"))
    np.testing.assert_array_equal(one(tmp_path / "a.svg").rgba, one(drawing(tmp_path / "b.svg")).rgba)


def test_a_file_without_the_namespace_is_understood(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(f'<svg viewBox="0 0 10 10"><g>{SQUARE}</g></svg>')
    np.testing.assert_array_equal(one(tmp_path / "a.svg").rgba, one(drawing(tmp_path / "b.svg")).rgba)


# What is not read.


def red(path: Path) -> Path:
    return save(path, np.full((8, 8, 3), (255, 0, 0), np.uint8))


@pytest.mark.parametrize(
    "names",
    [
        '<image href="{}" width="10" height="10"/>',
        '<image xlink:href="{}" width="10" height="10"/>',
        '<image xmlns:s="http://www.w3.org/2000/svg" s:href="{}" width="10" height="10"/>',
        '<image href="file://{}" width="10" height="10"/>',
        '<image style="href: {}" href="{}" width="10" height="10"/>',
        '<filter id="f"><feImage href="{}"/></filter><rect filter="url(#f)" width="10" height="10"/>',
    ],
)
@pytest.mark.parametrize("relative", [False, True])
def test_no_other_file_is_read(
    tmp_path: Path, names: str, relative: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    secret = red(tmp_path / "secret.png")
    body = '<rect width="5" height="5"/>' + names.replace("{}", secret.name if relative else str(secret))
    rgba = one(drawing(tmp_path / "a.svg", body)).rgba
    assert (rgba[rgba[..., 3] > 0][:, 0] < 128).all()
    assert "a.svg: names other files (1), which are left out" in caplog.text


def test_a_picture_within_the_file_is_drawn_and_what_that_names_is_not(tmp_path: Path) -> None:
    secret = red(tmp_path / "secret.png")
    body = f'<rect width="10" height="10"/><image href="{secret}" width="10" height="10"/>'
    inner = f'<svg {SVG} viewBox="0 0 10 10">{body}</svg>'
    picture = io.BytesIO()
    Image.new("RGB", (4, 4), (0, 200, 0)).save(picture, "PNG")
    for kind, data, colour in (("svg+xml", inner.encode(), (0, 0, 0)), ("png", picture.getvalue(), (0, 200, 0))):
        url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        rgba = one(drawing(tmp_path / "a.svg", f'<image href="{url}" width="10" height="10"/>')).rgba
        assert (rgba[20:-20, 20:-20] == (*colour, 255)).all()


def test_entities_that_grow_without_bounds_are_refused_at_once(tmp_path: Path) -> None:
    layers = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    text = f'<!DOCTYPE svg [<!ENTITY l0 "laughter"> {layers}]><svg {SVG} viewBox="0 0 9 9"><desc>&l11;</desc></svg>'
    (tmp_path / "a.svg").write_text(text)
    began = time.monotonic()
    assert refusal(tmp_path / "a.svg").code == "picture_damaged"
    assert time.monotonic() - began < 10


def test_text_comes_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one(drawing(tmp_path / "a.svg", SQUARE + '<text y="9">A</text>'))
    assert "a.svg: holds text, which shows only where its font is installed" in caplog.text


# What is refused.


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", "picture_empty", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "picture_damaged", "is damaged, or no SVG"),
        (b"no drawing at all", "picture_damaged", "is damaged, or no SVG"),
        (f"<svg {SVG} viewBox='0 0 9 9'><g>".encode(), "picture_damaged", "is damaged, or no SVG (no element found"),
        (b"<?xml version='1.0' encoding='klingon'?><svg/>", "picture_damaged", "is damaged, or no SVG"),
        (gzip.compress(b"<svg/>" * 500, mtime=0)[:-20], "picture_damaged", "is damaged, or no SVG"),
        (gzip.compress(b"<svg/>", mtime=0)[:5] + bytes(30), "picture_damaged", "is damaged, or no SVG"),
        (b"<html><body/></html>", "not_a_picture", "its outermost element is <html>"),
        (b"<svg xmlns='http://example.org/other'/>", "not_a_picture", "is not an SVG drawing"),
    ],
)
def test_what_is_no_drawing_is_refused(tmp_path: Path, content: bytes, code: str, words: str) -> None:
    (tmp_path / "a.svg").write_bytes(content)
    fault = refusal(tmp_path / "a.svg")
    assert fault.code == code
    assert words in fault.message


def test_what_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    assert refusal(drawing(tmp_path / "a.svg", "<g>" * 5000 + "</g>" * 5000)).code == "picture_damaged"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("", "has no viewBox, and no width and height either"),
        ('width="100%" height="20"', "has no viewBox, and no width and height either"),
        ('width="0" height="20"', "a page of 0 x 20 pixels"),
        ('width="-5" height="20" viewBox="0 0 9 9"', "a page of -5 x 20 pixels"),
        ('width="1e999" height="20"', "a page of inf x 20 pixels"),
        ('width="1e9" height="1e9"', "a page of 1e+09 x 1e+09 pixels"),
        ('width="5000" height="1"', "a page of 5000 x 1 pixels"),
        ('viewBox="0 0 9"', "the viewBox '0 0 9'"),
        ('viewBox="0 0 9 nine"', "the viewBox '0 0 9 nine'"),
        ('viewBox="0 0 0 9"', "the viewBox '0 0 0 9'"),
        ('viewBox="0 0 nan 9"', "the viewBox '0 0 nan 9'"),
    ],
)
def test_a_page_without_a_sensible_size_is_refused(tmp_path: Path, page: str, words: str) -> None:
    fault = refusal(drawing(tmp_path / "a.svg", page=page))
    assert fault.code == "drawing_size"
    assert words in fault.message


@pytest.mark.parametrize("body", ["", "<defs>" + SQUARE + "</defs>", '<rect x="50" width="9" height="9"/>'])
def test_a_page_on_which_nothing_shows_is_refused(tmp_path: Path, body: str) -> None:
    assert refusal(drawing(tmp_path / "a.svg", body)).code == "drawing_empty"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.svg").code == "picture_missing"


def test_a_file_of_great_length_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector, "MAX_BYTES", 1000)
    path = drawing(tmp_path / "a.svg", " " * 1001)
    assert refusal(path).code == "picture_too_large"
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert path.stat().st_size < 1000
    assert refusal(path).code == "picture_too_large"


def test_without_the_package_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    fault = refusal(drawing(tmp_path / "a.svg"))
    assert fault.code == "package_missing"
    assert "pip install resvg_py" in fault.hint


def test_a_panic_of_the_renderer_is_an_error_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """What a panic in Rust is in Python."""

    def panics(**settings: object) -> bytes:
        raise PanicException("called `Option::unwrap()` on a `None` value")

    monkeypatch.setattr(resvg_py, "svg_to_bytes", panics)
    fault = refusal(drawing(tmp_path / "a.svg"))
    assert (fault.code, "cannot be drawn (called" in fault.message) == ("picture_damaged", True)


def test_ctrl_c_while_drawing_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**settings: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(resvg_py, "svg_to_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_templates(drawing(tmp_path / "a.svg"))


# Among bitmaps, and in a job.


def test_a_folder_may_hold_bitmaps_and_drawings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bitmaps(tmp_path)
    drawing(tmp_path / "bar.svg")
    drawing(tmp_path / "blank.svg", "")
    (tmp_path / "folder.svg").mkdir()
    loaded = load_templates(tmp_path)
    assert [t.name for t in loaded] == ["bar", "bar_2", "disc"]
    assert max(loaded[1].width, loaded[1].height) > 0.9 * SIDE
    assert [r.message for r in caplog.records] == [f"Left out: {tmp_path / 'blank.svg'}: draws nothing on its page."]


def test_many_drawings_stay_within_the_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MAX_TEXELS", 40_000)
    for number in range(4):
        drawing(tmp_path / f"{number}.svg")
    loaded = load_templates(tmp_path)
    assert 30_000 < sum(t.width * t.height for t in loaded) <= 42_000


def test_a_drawing_of_hardly_anything_in_too_few_texels_is_refused(tmp_path: Path) -> None:
    body = '<rect width="2" height="2"/><rect x="998" y="998" width="2" height="2"/>'
    found = read_drawing(drawing(tmp_path / "a.svg", body, 'viewBox="0 0 1000 1000"'))
    with pytest.raises(SmaltiError, match="draws nothing"):
        found.pixels(3)


@pytest.mark.slow
def test_a_job_of_drawings_goes_on_without_them(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    job = small_job(tmp_path, primitives=str(marks), colour_mix=0.5)
    drawing(marks / "tile.svg")
    drawing(marks / "disc.svg", '<circle cx="5" cy="5" r="4" fill="#2060a0" opacity=".8"/>')
    run_job(job, tmp_path / "whole")
    stops = iter([False] * 5 + [True])
    assert run_job(job, tmp_path / "broken", should_stop=lambda: next(stops)).cancelled
    for file in marks.iterdir():
        file.unlink()
    assert not resume_job(tmp_path / "broken").cancelled
    whole, broken = contents(tmp_path / "whole"), contents(tmp_path / "broken")
    for name in ("frames.npz", "render.png", "templates/0001.png", "templates/0002.png"):
        assert whole[name] == broken[name]
    assert [t.name for t in load_composition(tmp_path / "whole").templates] == ["disc", "tile"]


def test_the_same_file_gives_the_same_texels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = drawing(tmp_path / "a.svg", '<ellipse cx="4" cy="5" rx="3" ry="2" transform="rotate(20)"/>')
    with caplog.at_level(logging.WARNING, "smalti"):
        np.testing.assert_array_equal(one(path).rgba, one(path).rgba)
    assert not caplog.records
