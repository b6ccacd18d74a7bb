# SPDX-License-Identifier: GPL-3.0-or-later
"""Text as templates: which pieces, in which shapes and names, and what refuses them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from jobs import contents, small_job
from numpy.typing import NDArray
from PIL import Image, ImageFont
from psd_tools import PSDImage

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job_file import read_job
from smalti.engine.composition import load_composition
from smalti.engine.export import export_job
from smalti.engine.job.run import resume_job, run_job
from smalti.engine.templates import MAX_SIDE, Template
from smalti.engine.templates import text as lettering
from smalti.engine.templates.matte import connected
from smalti.engine.templates.text import EM, text_templates

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
THUMB = "\U0001f44d\U0001f3fd"
FLAGS = "\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7"
MARKED = "x\u0301"  # never one character, but one for a reader


@pytest.fixture
def font(tmp_path: Path) -> Path:
    """A font file: the one that comes with Pillow."""
    path = tmp_path / "font.ttf"
    built_in = ImageFont.load_default(10)
    assert isinstance(built_in, ImageFont.FreeTypeFont)
    path.write_bytes(built_in.font_bytes)
    return path


@pytest.fixture(scope="module")
def accents() -> Path:
    """A font file with accents; skips where this machine has none."""
    for name in ("DejaVuSans.ttf", "arial.ttf", "Arial.ttf", "LiberationSans-Regular.ttf"):
        try:
            return Path(str(ImageFont.truetype(name).path))
        except OSError:
            continue
    pytest.skip("needs a font with accents")


def named(text: str, **more: object) -> dict[str, Template]:
    return {template.name: template for template in text_templates(text, **more)}  # type: ignore[arg-type]


def ink(template: Template) -> NDArray[np.bool_]:
    return template.rgba[..., 3] > 127


def parts(shape: NDArray[np.bool_]) -> int:
    """How many connected parts there are."""
    left, count = shape.copy(), 0
    while left.any():
        seed = np.zeros_like(left)
        seed.flat[left.argmax()] = True
        left &= ~connected(left, seed)
        count += 1
    return count


def holes(template: Template) -> int:
    return parts(~ink(template)) - 1


# Shapes.


def test_glyphs_have_the_shapes_of_letters() -> None:
    glyphs = named("iWoB%.lx")
    assert {name: parts(ink(glyph)) for name, glyph in glyphs.items()} == {
        "i": 2, "W": 1, "o": 1, "B": 1, "%": 3, ".": 1, "l": 1, "x": 1
    }  # fmt: skip
    assert [holes(glyphs[name]) for name in "WoB%"] == [0, 1, 2, 2]
    dot, stem = np.flatnonzero(np.diff(ink(glyphs["i"]).any(axis=1).astype(int)) == 1)
    assert 0 <= dot < stem < glyphs["i"].height / 2
    assert glyphs["W"].width > 5 * glyphs["i"].width


def test_all_glyphs_have_the_scale_of_one_typeface() -> None:
    glyphs = named("xlgM")
    expected = {}
    for name in glyphs:
        left, top, right, bottom = ImageFont.load_default(100).getmask(name).getbbox()
        expected[name] = right - left, bottom - top
    for name, (width, height) in expected.items():
        assert (glyphs[name].width - 2) / EM == pytest.approx(width / 100, abs=0.02)
        assert (glyphs[name].height - 2) / EM == pytest.approx(height / 100, abs=0.02)
    assert 250 < glyphs["M"].height < EM


def test_a_glyph_covers_what_it_covers_drawn_four_times_as_large() -> None:
    glyph = text_templates("R")[0]
    mask = ImageFont.load_default(4 * EM).getmask("R")
    large = np.asarray(Image.frombytes("L", mask.size, bytes(mask)), np.float64)
    assert glyph.rgba[..., 3].sum() == pytest.approx(large.sum() / 16, rel=0.005)
    soft = (glyph.rgba[..., 3] > 0) & (glyph.rgba[..., 3] < 255)
    assert 0.001 < soft.mean() < 0.03


def test_templates_are_black_on_nothing_with_a_margin_of_one_texel() -> None:
    for template in text_templates("Tj"):
        assert not template.rgba[..., :3].any()
        assert template.rgba[..., 3].max() == 255
        inside = template.rgba[1:-1, 1:-1, 3]
        assert inside.sum() == template.rgba[..., 3].sum()
        for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
            assert edge.any()


# Which pieces.


def test_each_different_glyph_is_one_template_in_the_order_of_the_text() -> None:
    assert [t.name for t in text_templates("SMALTI")] == ["S", "M", "A", "L", "T", "I"]
    assert [t.name for t in text_templates(" to be,\n\tor not\u00a0to be\u200b\x07 ")] == list("tobe,rn")


def test_names_are_unique_even_where_case_does_not_count() -> None:
    assert [t.name for t in text_templates("aAbB")] == ["a", "A_2", "b", "B_2"]


def test_each_different_word_is_one_template_with_all_its_letters() -> None:
    words = named("to be, or not\nto  be", split="words")
    assert list(words) == ["to", "be,", "or", "not", "be"]
    assert parts(ink(words["or"])) == 2
    assert words["not"].width > words["to"].width
    assert words["be,"].height > words["be"].height


def test_letters_typed_in_two_ways_are_one(accents: Path) -> None:
    assert len(text_templates("\u00e9e\u0301", accents)) == 1


def test_a_letter_keeps_its_marks(accents: Path) -> None:
    glyphs = named(f"xe\u00e9{MARKED}", font=accents)
    assert list(glyphs) == ["x", "e", "\u00e9", MARKED]
    for plain, accented in (("e", "\u00e9"), ("x", MARKED)):
        assert glyphs[accented].height > 1.2 * glyphs[plain].height
        assert parts(ink(glyphs[accented])) == 2


@pytest.mark.parametrize("piece", [FAMILY, THUMB, *FLAGS, MARKED, "1\ufe0f\u20e3", "\u0915\u094d\u0937\u093f"])
def test_what_is_one_for_a_reader_is_never_torn_apart(piece: str, caplog: pytest.LogCaptureFixture) -> None:
    assert [t.name for t in text_templates(f"a{piece}b{piece}")] == ["a", "b"]
    assert [r.message for r in caplog.records] == [f"Left out: '{piece}', for which the built-in font has no glyphs."]


def test_two_flags_are_two(caplog: pytest.LogCaptureFixture) -> None:
    text_templates("a" + "".join(FLAGS))
    assert "Left out: '{}' '{}',".format(*FLAGS) in caplog.text


def test_characters_that_the_font_lacks_are_named_once(font: Path, caplog: pytest.LogCaptureFixture) -> None:
    box = "\u25a1"  # looks like the sign for a missing glyph
    assert [t.name for t in text_templates(f"a{box}b猫\u3042猫", font)] == ["a", "b"]
    assert [r.message for r in caplog.records] == [f"Left out: '{box}' '猫' '\u3042', for which {font} has no glyphs."]


def test_a_word_with_one_missing_glyph_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert [t.name for t in text_templates("nine caf\u00e9s", split="words")] == ["nine"]
    assert "'caf\u00e9s'" in caplog.text


def test_every_letter_of_english_is_in_the_built_in_font(caplog: pytest.LogCaptureFixture) -> None:
    text = "".join(chr(code) for code in range(0x21, 0x7F))
    assert len(text_templates(text)) == len(text)
    assert not caplog.records


# Size.


def test_a_long_word_makes_all_words_smaller() -> None:
    alone = named("short", split="words")["short"]
    words = named("short " + "incomprehensibilities" * 2, split="words")
    longest = max(template.width for template in words.values())
    assert 0.9 * MAX_SIDE < longest <= MAX_SIDE + 2
    full = sum(ImageFont.load_default(EM).getlength(c) for c in "incomprehensibilities" * 2)
    assert words["short"].width / alone.width == pytest.approx(MAX_SIDE / full, rel=0.05)


def test_many_glyphs_stay_within_the_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "MAX_TEXT_TEXELS", 50_000)
    glyphs = text_templates("".join(chr(code) for code in range(0x21, 0x7F)))
    assert 30_000 < sum((t.width - 2) * (t.height - 2) for t in glyphs) <= 50_000


def refusal(text: str, font: Path | None = None, **more: object) -> SmaltiError:
    with pytest.raises(SmaltiError) as caught:
        text_templates(text, font, **more)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return caught.value


def test_a_word_without_end_is_refused() -> None:
    assert refusal("x" * 2000, split="words").code == "text_too_long"


@pytest.mark.parametrize("text", ["猫", "\u0301", "\u200b\u200d", "\ud800"])
def test_a_text_of_which_nothing_shows_is_refused(text: str) -> None:
    fault = refusal(text)
    assert fault.code == "no_glyphs"
    assert fault.message.endswith("has no character that the built-in font can show.")


def test_a_missing_font_is_refused_even_where_the_system_has_one_of_that_name(tmp_path: Path) -> None:
    fault = refusal("a", tmp_path / "DejaVuSans.ttf")
    assert (fault.code, fault.message) == ("font_missing", f"{tmp_path / 'DejaVuSans.ttf'}: does not exist.")


def test_a_folder_is_no_font(tmp_path: Path) -> None:
    assert refusal("a", tmp_path).code == "font_unreadable"


@pytest.mark.parametrize("content", [b"", b"no font", None])
def test_a_broken_font_is_refused(font: Path, content: bytes | None) -> None:
    font.write_bytes(font.read_bytes()[:700] if content is None else content)
    fault = refusal("a", font)
    assert fault.code == "not_a_font"
    assert fault.message.startswith(f"{font}: is no font, is damaged, or has no outlines (")


# In a job.


def test_a_job_of_letters_goes_on_without_the_font(tmp_path: Path, font: Path) -> None:
    job = small_job(tmp_path, primitives=None, text="Smalti", font=str(font))
    run_job(job, tmp_path / "whole")
    stops = iter([False] * 5 + [True])
    assert run_job(job, tmp_path / "broken", should_stop=lambda: next(stops)).cancelled
    font.unlink()
    assert not resume_job(tmp_path / "broken").cancelled
    whole, broken = contents(tmp_path / "whole"), contents(tmp_path / "broken")
    for name in ("frames.npz", "render.png", "templates/0001.png", "templates/0006.png"):
        assert whole[name] == broken[name]
    assert [t.name for t in load_composition(tmp_path / "broken").templates] == list("Smalti")


def test_a_job_keeps_the_whole_path_of_the_font(tmp_path: Path, font: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = small_job(tmp_path, primitives=None, text="a b", font="font.ttf", text_split="words", steps=1)
    run_job(job, tmp_path / "job")
    kept = read_job(tmp_path / "job" / "job.json")
    assert (kept.primitives, kept.text, kept.font, kept.text_split) == (None, "a b", str(font), "words")


def test_letters_come_after_the_bitmaps_and_keep_their_names_apart(tmp_path: Path) -> None:
    run_job(small_job(tmp_path, text="Disc x", text_split="words", steps=1), tmp_path / "job")
    assert [t.name for t in load_composition(tmp_path / "job").templates] == ["bar", "disc", "Disc_2", "x"]


def test_a_font_in_the_output_folder_is_refused(tmp_path: Path, font: Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "job.json").touch()
    inside = font.rename(tmp_path / "job" / "font.ttf")
    job = small_job(tmp_path, text="a", font=str(inside))
    with pytest.raises(SmaltiError, match=r"font\.ttf: lies in the output folder") as caught:
        run_job(job, tmp_path / "job", overwrite=True)
    assert caught.value.code == "input_in_output"


def test_layers_are_named_after_their_glyphs(tmp_path: Path, accents: Path) -> None:
    text = f"Aa/{MARKED}\u00df"
    job = small_job(tmp_path, primitives=None, text=text, font=str(accents), count=40, background="#ffffff")
    run_job(job, tmp_path / "job")
    names = [layer.name for layer in PSDImage.open(export_job(tmp_path / "job", "psd"))][1:]
    assert {name.split(" ", 1)[1] for name in names} == {"A", "a_2", "/", MARKED, "\u00df"}
    assert all(unicodedata.is_normalized("NFC", name) for name in names)
