# SPDX-License-Identifier: GPL-3.0-or-later
"""A job becomes a film of its frames: their number, rate, size, colors and transparency, and nothing half-written."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compositions import composition
from film_files import av
from numpy.typing import NDArray
from PIL import Image
from runs import refused

from smalti.bridge.errors import SmaltiError
from smalti.bridge.formats import FILMS
from smalti.bridge.job_folder import clear
from smalti.engine.composition import Composition, load_composition
from smalti.engine.composition.render import picture
from smalti.engine.composition.shutter import exposed_strips
from smalti.engine.export import export_job, film
from smalti.engine.files.film import Film
from smalti.engine.files.images import read_image
from smalti.engine.templates import Template

VIDEOS = ("mp4", "webm", "mov")
WITH_ALPHA = ("webm", "mov", "webp", "gif")


def disc() -> Template:
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    rgba = np.full((48, 48, 4), 255, np.uint8)
    rgba[..., 3] = np.rint(255 * np.clip(8 * (0.95 - np.hypot(x, y)), 0, 1))
    return Template("disc", rgba)


def saved(folder: Path, size: tuple[int, int] = (64, 48), frames: int = 4, **values: Any) -> Path:
    """The folder of a job of two large discs, orange and blue, that move to the right."""
    x = np.array([[18.0, 40.0]]) + 4.0 * np.arange(frames)[:, None]
    tint = [[0.9, 0.5, 0.1], [0.1, 0.3, 0.8]]
    made = composition([disc()], size, **{"x": x, "y": 24.0, "scale": 14.0, "tint": tint, **values})
    made.save(folder)
    return folder


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame of a film of any format, as it comes back."""
    if path.is_dir():
        return [read_image(each) for each in sorted(path.iterdir())]
    if path.suffix[1:] in VIDEOS:
        footage = Film(path)
        return [footage.read(index).copy() for index in range(len(footage))]
    with Image.open(path) as image:
        return [read_image(path, frame=frame) for frame in range(getattr(image, "n_frames", 1))]


def expected(job: Path, size: int | None = None) -> list[NDArray[np.uint8]]:
    made = load_composition(job)
    return [picture(made, frame, size) for frame in range(made.frames)]


def distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """The mean difference in levels, of colors over black."""
    over = [pixels[..., :3] * (pixels[..., 3:] / 255) for pixels in (a.astype(float), b.astype(float))]
    return float(np.abs(over[0] - over[1]).mean())


@pytest.mark.parametrize("name", FILMS)
def test_a_film_has_the_frames_of_the_job(tmp_path: Path, name: str) -> None:
    job = saved(tmp_path / "job")
    path = export_job(job, name)
    assert path == job / FILMS[name].file_name
    found = frames_of(path)
    assert len(found) == 4
    limit = 0.0 if name == "png" else 4.0
    for one, other in zip(found, expected(job)):
        assert one.shape == (48, 64, 4)
        assert one[..., 3].min() == 255
        assert distance(one, other) <= limit
    assert distance(found[0], found[3]) > 20


@pytest.mark.parametrize("name", VIDEOS)
def test_colors_come_back_without_a_cast(tmp_path: Path, name: str) -> None:
    """Of plain colors: a wrong matrix or range would change them by ten levels or more."""
    for number, color in enumerate(("#d03020", "#20c040", "#3040d0", "#f8f8f8", "#080808")):
        job = saved(tmp_path / f"job{number}", frames=2, opacity=0.0, background=color)
        found, goal = frames_of(export_job(job, name))[1], expected(job)[1]
        np.testing.assert_allclose(found[24, 32].astype(int), goal[24, 32], atol=3)


@pytest.mark.parametrize("name", WITH_ALPHA)
@pytest.mark.parametrize("size", [(64, 48), (63, 47)], ids=str)
def test_transparency_comes_back(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    job = saved(tmp_path / "job", size, background="transparent")
    for one, other in zip(frames_of(export_job(job, name)), expected(job), strict=True):
        assert one.shape == (size[1], size[0], 4)
        if name == "gif":  # on or off
            np.testing.assert_array_equal(one[..., 3], np.where(other[..., 3] < 128, 0, 255))
            continue
        assert np.abs(one[..., 3].astype(int) - other[..., 3]).mean() < 1.5
        opaque = other[..., 3] > 250
        assert np.abs(one[opaque][:, :3].astype(int) - other[opaque][:, :3]).mean() < 6
        half = (other[..., 3] > 60) & (other[..., 3] < 190)  # no dark fringe
        assert np.abs(one[half][:, :3].astype(int) - other[half][:, :3]).mean() < 25


def test_mp4_is_over_black_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    job = saved(tmp_path / "job", background="transparent")
    found = frames_of(export_job(job, "mp4"))
    assert "what is transparent becomes black" in caplog.text
    assert found[0][2, 2].max() == 255
    assert found[0][2, 2, :3].max() <= 2
    assert distance(found[0], expected(job)[0]) < 4


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (63, 48)], ids=str)
def test_mp4_has_the_last_row_and_column_twice_where_sides_are_odd(tmp_path: Path, size: tuple[int, int]) -> None:
    job = saved(tmp_path / "job", size)
    found, goal = frames_of(export_job(job, "mp4"))[0], expected(job)[0]
    assert found.shape == (48, 64, 4)
    assert distance(found[: size[1], : size[0]], goal) < 4


@pytest.mark.parametrize("name", FILMS)
def test_a_film_of_another_size(tmp_path: Path, name: str) -> None:
    job = saved(tmp_path / "job", frames=2)
    path = export_job(job, name, size=100)
    usual = Path(FILMS[name].file_name)
    assert path == job / f"{usual.stem}-100{usual.suffix}"
    assert [frame.shape for frame in frames_of(path)] == [(76 if name == "mp4" else 75, 100, 4)] * 2


@pytest.mark.parametrize(("name", "rate"), [("mp4", 23.976), ("webm", 12.0), ("mov", 24000 / 1001)])
def test_a_film_has_the_rate_of_the_job(tmp_path: Path, name: str, rate: float) -> None:
    job = saved(tmp_path / "job", frames=6)
    text = (job / "composition.json").read_text()
    (job / "composition.json").write_text(text.replace('"frame_rate": 24.0', f'"frame_rate": {rate}'))
    footage = Film(export_job(job, name))
    assert float(footage.rate) == pytest.approx(rate, rel=1e-4)
    assert len(footage) == 6


@pytest.mark.parametrize(("name", "rate", "frames", "lasts"), [
    ("gif", 24.0, 6, 250),
    ("gif", 100.0, 20, 200),
    ("webp", 24.0, 6, 250),
])  # fmt: skip
def test_an_animation_lasts_as_long_as_the_film_and_goes_on(
    tmp_path: Path, name: str, rate: float, frames: int, lasts: int
) -> None:
    job = saved(tmp_path / "job", frames=frames)
    text = (job / "composition.json").read_text()
    (job / "composition.json").write_text(text.replace('"frame_rate": 24.0', f'"frame_rate": {rate}'))
    with Image.open(export_job(job, name)) as image:
        assert image.info["loop"] == 0
        durations = []
        for frame in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(frame)
            image.load()
            durations.append(image.info["duration"])
    assert min(durations) >= 20
    assert sum(durations) == pytest.approx(lasts, abs=15)


def test_what_stands_still_in_a_gif_does_not_flicker(tmp_path: Path) -> None:
    x = np.array([[18.0, 40.0]] * 3) + np.array([[0, 0], [0, 6], [0, 12]])
    found = frames_of(export_job(saved(tmp_path / "job", x=x), "gif"))
    for one in found[1:]:
        np.testing.assert_array_equal(one[:, :24], found[0][:, :24])


def test_progress_is_reported_frame_by_frame(tmp_path: Path) -> None:
    job, reported = saved(tmp_path / "job"), []
    export_job(job, "webm", progress=lambda done, total: reported.append((done, total)))
    assert reported == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_still_is_a_film_of_one_frame(tmp_path: Path) -> None:
    job = saved(tmp_path / "job", frames=1)
    for name in FILMS:
        assert len(frames_of(export_job(job, name))) == 1


def test_a_film_has_motion_blur_where_it_is_asked_for(tmp_path: Path) -> None:
    job = saved(tmp_path / "job")
    made = load_composition(job)
    for name in ("png", "mov"):
        found = frames_of(export_job(job, name, tmp_path / f"blurred.{name}", shutter=1.0))
        blurred = [exposed_strips(made, frame, None, 1.0).whole() for frame in range(4)]
        assert max(distance(one, other) for one, other in zip(found, blurred)) < 0.6
        assert distance(found[1], picture(made, 1)) > 1.2


# What goes wrong.


@pytest.mark.parametrize("name", [name for name in FILMS if name != "png"])
def test_nothing_is_left_of_a_film_that_could_not_be_written(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = saved(tmp_path / "job")
    (job / FILMS[name].file_name).write_bytes(b"older")
    before = sorted(job.iterdir())

    def broken(made: Composition, frame: int, *more: Any) -> Any:
        if frame == 2:
            raise OSError(28, "No space left on device")
        return exposed_strips(made, frame, *more)

    monkeypatch.setattr(film, "exposed_strips", broken)
    fault = refused(lambda: export_job(job, name))
    assert fault.code == "cannot_write"
    assert str(job / FILMS[name].file_name) in fault.message
    assert sorted(job.iterdir()) == before
    assert (job / FILMS[name].file_name).read_bytes() == b"older"


def test_a_film_that_would_be_too_large_is_refused(tmp_path: Path) -> None:
    job = saved(tmp_path / "job")
    fault = refused(lambda: export_job(job, "mp4", size=8193))
    assert fault.code == "film_size"
    assert "8,192" in fault.message


def test_a_film_too_small_for_its_codec_is_written_or_says_so(tmp_path: Path) -> None:
    job = saved(tmp_path / "job", frames=2)
    for name in VIDEOS:
        with suppress(SmaltiError):  # and nothing else
            export_job(job, name, size=1)


def test_without_pyav_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = saved(tmp_path / "job")
    monkeypatch.setitem(sys.modules, "av", None)
    fault = refused(lambda: export_job(job, "mp4"))
    assert fault.code == "no_pyav"
    assert 'pip install "smalti[film]"' in fault.hint
    assert len(frames_of(export_job(job, "png"))) == 4


def test_the_films_of_a_job_go_with_it(tmp_path: Path) -> None:
    job = saved(tmp_path / "job", frames=2)
    for name in FILMS:
        export_job(job, name)
    (job / "film" / "note.txt").write_text("mine")
    clear(job)
    assert sorted(path.name for path in job.rglob("*") if path.is_file()) == ["disc.png", "note.txt"]


def test_players_find_the_colors_in_the_file(tmp_path: Path) -> None:
    path = export_job(saved(tmp_path / "job"), "mp4")
    with av.open(str(path)) as file:
        codec = file.streams.video[0].codec_context
        assert (codec.colorspace, codec.color_range, codec.pix_fmt) == (1, 1, "yuv420p")
