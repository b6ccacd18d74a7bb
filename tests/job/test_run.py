# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a job: what its folder holds, what refuses it, and what it survives."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import (
    arrays_of,
    badge,
    bitmaps,
    contents,
    decibels,
    fill,
    film,
    mounted,
    pixels_of,
    ramp,
    resized,
    save,
    small_job,
)
from PIL import Image

from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec, RegionSpec, read_job, write_job
from smalti.engine import cli
from smalti.engine.composition import load_composition, read_arrays, write_arrays
from smalti.engine.files import atomic
from smalti.engine.fitting.fit import Fit
from smalti.engine.job import fingerprints, run
from smalti.engine.job.run import NullListener, Outcome, resume_job, run_job

FINISHED = {"composition.json", "engine.log", "frames.npz", "job.json", "render.png", "report.json"}


class Heard(NullListener):
    """Remembers what it hears, and does `then` at one of the steps."""

    def __init__(self, step: int = -1, then: Callable[[], object] = lambda: None) -> None:
        self.stages: list[tuple[str, int, int]] = []
        self.losses: list[float] = []
        self.previews: list[Path] = []
        self._step, self._then = step, then

    def progress(self, stage: str, done: int, total: int, loss: float | None, eta: float | None) -> None:
        self.stages.append((stage, done, total))
        if loss is not None:
            self.losses.append(loss)
            assert eta is not None
            assert eta >= 0
            if done == self._step:
                self._then()

    def preview(self, path: Path) -> None:
        self.previews.append(path)


def refused(work: Callable[[], object]) -> SmaltiError:
    with pytest.raises(SmaltiError) as caught:
        work()
    assert "\n" not in str(caught.value)
    return caught.value


def stopped(job: JobSpec, out: Path, after: int) -> Outcome:
    """Run a job and stop it after so many steps."""
    heard = Heard()
    outcome = run_job(job, out, listener=heard, should_stop=lambda: len(heard.losses) >= after)
    assert outcome.cancelled
    return outcome


def same_result(a: Path, b: Path) -> bool:
    """Whether two jobs have the same composition, bit for bit."""
    return (a / "frames.npz").read_bytes() == (b / "frames.npz").read_bytes()


def without_log(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if name != "engine.log"}


# What a job leaves.


def test_a_finished_job_holds_these_files_and_no_others(tmp_path: Path) -> None:
    outcome = run_job(small_job(tmp_path), tmp_path / "job")
    assert outcome.folder == tmp_path / "job"
    assert not outcome.cancelled
    assert set(contents(tmp_path / "job")) == FINISHED | {"templates/0001.png", "templates/0002.png"}


def test_a_finished_film_holds_a_picture_of_every_frame(tmp_path: Path) -> None:
    run_job(small_job(tmp_path, target=str(film(tmp_path / "film", 3)), frame_rate=12.0), tmp_path / "job")
    pictures = {f"render/000{n}.png" for n in (1, 2, 3)} | {"templates/0001.png", "templates/0002.png"}
    assert set(contents(tmp_path / "job")) == FINISHED - {"render.png"} | pictures
    composition = load_composition(tmp_path / "job")
    assert (composition.frames, composition.header.frame_rate) == (3, 12)
    assert arrays_of(tmp_path / "job")["template"].shape == (24,)


def test_the_report_says_what_was_done(tmp_path: Path) -> None:
    outcome = run_job(small_job(tmp_path, size=48), tmp_path / "job")
    report = json.loads((tmp_path / "job" / "report.json").read_text())
    assert report == outcome.report
    expected = {"steps": 12, "sprites": 24, "templates": 2, "frames": 1, "width": 48, "height": 32, "device": "cpu"}
    assert {name: report[name] for name in expected} == expected
    assert not report["cancelled"]
    assert report["seconds"] > 0
    assert report["peak_memory_mb"] > 10
    assert 5 < report["psnr"] < 100


def test_the_job_file_keeps_what_was_asked_with_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "~target.png", ramp())
    save(tmp_path / "behind.png", ramp())
    save(tmp_path / "mask.png", np.full((8, 8), 255, np.uint8))
    save(tmp_path / "map.png", np.full((8, 8), 255, np.uint8))
    bitmaps(tmp_path / "marks")
    monkeypatch.chdir(tmp_path)
    files = {"background": "behind.png", "target_mask": "mask.png", "weight_map": "map.png"}
    save(tmp_path / "half.png", np.repeat(np.array([[255, 0]], np.uint8), 8, axis=0))
    region = RegionSpec("half.png", 3, primitives="marks")
    asked = JobSpec("~target.png", "marks", 7, steps=2, seed=5, regions=(region,), **files)
    run_job(asked, Path("job"))
    assert read_job(tmp_path / "job" / "job.json") == replace(
        asked,
        target=str(tmp_path / "~target.png"),
        primitives=str(tmp_path / "marks"),
        background=str(tmp_path / "behind.png"),
        target_mask=str(tmp_path / "mask.png"),
        weight_map=str(tmp_path / "map.png"),
        regions=(replace(region, mask=str(tmp_path / "half.png"), primitives=str(tmp_path / "marks")),),
    )


def test_the_job_keeps_its_bitmaps_and_its_background(tmp_path: Path) -> None:
    behind = save(tmp_path / "behind.png", ramp(20, 30))
    job = small_job(tmp_path, background=str(behind))
    run_job(job, tmp_path / "job")
    before = contents(tmp_path / "job")
    for file in [behind, Path(job.target), *Path(job.primitives).iterdir()]:
        file.unlink()
    assert cli.main(["render", str(tmp_path / "job"), "--out", str(tmp_path / "again.png")]) == 0
    np.testing.assert_array_equal(Image.open(tmp_path / "again.png"), Image.open(tmp_path / "job" / "render.png"))
    assert contents(tmp_path / "job") == before


def test_the_log_tells_how_the_job_went(tmp_path: Path) -> None:
    run_job(small_job(tmp_path), tmp_path / "job")
    log = (tmp_path / "job" / "engine.log").read_text()
    assert "Canvas 96 x 64, 24 sprites" in log
    assert "Done after 12 steps" in log
    assert len(log.splitlines()) == 2


def test_every_step_is_told_and_the_picture_shown_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "PREVIEW_SECONDS", 0.0)
    sizes = []
    heard = Heard(11, lambda: sizes.append(Image.open(heard.previews[-1]).size))
    run_job(small_job(tmp_path), tmp_path / "job", listener=heard)
    assert heard.stages == [("fit", n, 12) for n in range(1, 13)] + [("render", 1, 1)]
    assert set(heard.previews) == {tmp_path / "job" / "preview.png"}
    assert sizes == [(96, 64)]
    assert not (tmp_path / "job" / "preview.png").exists()


def test_the_steps_of_a_film_are_told_frame_by_frame(tmp_path: Path) -> None:
    heard = Heard()
    run_job(small_job(tmp_path, target=str(film(tmp_path / "film", 2))), tmp_path / "job", listener=heard)
    expected = [("frame 1 of 2", n, 16) for n in range(1, 13)] + [("frame 2 of 2", n, 16) for n in range(13, 17)]
    assert heard.stages == [*expected, ("render", 1, 2), ("render", 2, 2)]


# The report's PSNR, computed again from the files alone.


def goal(job: JobSpec, width: int, height: int) -> Any:
    """The target as it should look, [H, W, 4] premultiplied sRGB."""
    return resized(pixels_of(Path(job.target)), width, height)


@pytest.mark.parametrize("space", ["srgb", "linear"])
@pytest.mark.parametrize("size", [96, 50, 130])
def test_the_reported_psnr_of_an_opaque_target_is_that_of_the_picture(tmp_path: Path, space: str, size: int) -> None:
    job = small_job(tmp_path, size=size, steps=40, blend_space=space)
    psnr = run_job(job, tmp_path / "job").report["psnr"]
    shown = pixels_of(tmp_path / "job" / "render.png")
    height, width = shown.shape[:2]
    assert max(height, width) == size
    expected = decibels(shown[..., :3], goal(job, width, height)[..., :3])
    assert psnr == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("space", ["srgb", "linear"])
def test_the_reported_psnr_of_a_transparent_target_counts_premultiplied_colours_and_alpha(
    tmp_path: Path, space: str
) -> None:
    target = save(tmp_path / "badge.png", badge())
    job = small_job(tmp_path, target=str(target), size=48, steps=40, blend_space=space)
    report = run_job(job, tmp_path / "job").report
    assert report["background"] == "transparent"
    shown = pixels_of(tmp_path / "job" / "render.png")
    assert report["psnr"] == pytest.approx(decibels(shown, goal(job, 48, 48)), abs=0.05)


def test_the_reported_psnr_over_a_background_counts_what_shows_of_it(tmp_path: Path) -> None:
    target = save(tmp_path / "badge.png", badge())
    job = small_job(tmp_path, target=str(target), size=48, steps=40, background="#00ff80")
    psnr = run_job(job, tmp_path / "job").report["psnr"]
    wanted = goal(job, 48, 48)
    wanted = wanted[..., :3] + (1 - wanted[..., 3:]) * np.array([0, 1, 128 / 255])
    shown = pixels_of(tmp_path / "job" / "render.png")[..., :3]
    assert psnr == pytest.approx(decibels(shown, wanted), abs=0.05)


def test_the_reported_psnr_under_a_mask_counts_the_empty_part_as_empty(tmp_path: Path) -> None:
    mask = np.zeros((64, 96), np.uint8)
    mask[:, 40:] = 255
    job = small_job(tmp_path, steps=40, target_mask=str(save(tmp_path / "mask.png", mask)))
    psnr = run_job(job, tmp_path / "job").report["psnr"]
    wanted = goal(job, 96, 64) * (mask / 255)[..., None]
    assert psnr == pytest.approx(decibels(pixels_of(tmp_path / "job" / "render.png"), wanted), abs=0.05)


def test_the_reported_psnr_of_a_film_is_the_mean_over_its_frames(tmp_path: Path) -> None:
    folder = film(tmp_path / "film", 3)
    report = run_job(small_job(tmp_path, target=str(folder)), tmp_path / "job").report
    each = [
        decibels(pixels_of(tmp_path / "job" / "render" / f"000{n}.png"), pixels_of(folder / f"0{n}.png"))
        for n in (1, 2, 3)
    ]
    # The frames are opaque: alpha adds a quarter of zeros, which is 1.25 dB.
    each = [decibel + 10 * np.log10(3 / 4) for decibel in each]
    assert report["psnr_frames"] == pytest.approx(each, abs=0.05)
    assert report["psnr"] == pytest.approx(np.mean(each), abs=0.05)


# The same again.


@pytest.mark.parametrize(
    "settings", [{}, {"blend_space": "linear", "colour_mix": 0.5}, {"background": "transparent"}], ids=str
)
def test_the_same_seed_gives_the_same_result_bit_for_bit_and_another_another(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    job = small_job(tmp_path, seed=3, **settings)
    run_job(job, tmp_path / "a")
    run_job(job, tmp_path / "b")
    run_job(replace(job, seed=4), tmp_path / "c")
    assert same_result(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "render.png").read_bytes() == (tmp_path / "b" / "render.png").read_bytes()
    assert not same_result(tmp_path / "a", tmp_path / "c")


def test_the_same_seed_gives_the_same_film(tmp_path: Path) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film")))
    run_job(job, tmp_path / "a")
    run_job(job, tmp_path / "b")
    assert same_result(tmp_path / "a", tmp_path / "b")


# Stopped, and taken up again.


def test_a_stopped_job_is_a_valid_one_with_the_best_so_far(tmp_path: Path) -> None:
    outcome = stopped(small_job(tmp_path), tmp_path / "job", after=5)
    assert outcome.report["cancelled"]
    assert outcome.report["steps"] == 5
    present = set(contents(tmp_path / "job"))
    assert present == FINISHED | {"checkpoint.npz", "templates/0001.png", "templates/0002.png"}
    assert load_composition(tmp_path / "job").header.sprites == 24


@pytest.mark.parametrize("after", [0, 1, 7, 11])
@pytest.mark.parametrize(
    "settings", [{}, {"background": "transparent"}, {"lock_scale": True, "colour_mix": 1.0}], ids=str
)
def test_a_stopped_and_resumed_job_ends_as_if_nothing_had_happened(
    tmp_path: Path, after: int, settings: dict[str, Any]
) -> None:
    job = small_job(tmp_path, **settings)
    run_job(job, tmp_path / "whole")
    stopped(job, tmp_path / "job", after)
    heard = Heard()
    outcome = resume_job(tmp_path / "job", listener=heard)
    assert not outcome.cancelled
    assert outcome.report["steps"] == 12
    assert len(heard.losses) == 12 - after
    assert same_result(tmp_path / "job", tmp_path / "whole")
    assert set(contents(tmp_path / "job")) == set(contents(tmp_path / "whole"))
    assert outcome.report["psnr"] == json.loads((tmp_path / "whole" / "report.json").read_text())["psnr"]


@pytest.mark.parametrize("after", [5, 12, 13, 16, 19])
def test_a_stopped_and_resumed_film_ends_as_if_nothing_had_happened(tmp_path: Path, after: int) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 3)))
    run_job(job, tmp_path / "whole")
    stopped(job, tmp_path / "job", after)
    frames = load_composition(tmp_path / "job").frames
    assert frames == (1 if after <= 12 else 2 if after <= 16 else 3)
    resume_job(tmp_path / "job")
    assert same_result(tmp_path / "job", tmp_path / "whole")


def test_a_job_can_be_stopped_and_resumed_again_and_again(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    run_job(job, tmp_path / "whole")
    stopped(job, tmp_path / "job", 3)
    for _ in range(2):
        heard = Heard()
        assert resume_job(tmp_path / "job", listener=heard, should_stop=lambda h=heard: len(h.losses) >= 3).cancelled
    assert not resume_job(tmp_path / "job").cancelled
    assert same_result(tmp_path / "job", tmp_path / "whole")
    seconds = json.loads((tmp_path / "job" / "report.json").read_text())["seconds"]
    assert seconds > 0


KILLED = """
import os, signal, sys
sys.path[:] = {path!r}
from pathlib import Path
from smalti.bridge.job import read_job
from smalti.engine.job import run
run.CHECKPOINT_SECONDS = 0.0
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
class Listener(run.NullListener):
    def progress(self, stage, done, total, loss, eta):
        if done == {step}:
            {do}
run.run_job(read_job(Path(sys.argv[1])), Path(sys.argv[2]), listener=Listener())
"""


def kill(job: JobSpec, out: Path, step: int, do: str) -> None:
    """Do a job in a process of its own that keeps a checkpoint of every step, and does `do` after one of them."""
    write_job(out.with_name("asked.json"), job)
    script = KILLED.format(path=sys.path, step=step, do=do)
    done = subprocess.run([sys.executable, "-c", script, str(out.with_name("asked.json")), str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (out / "report.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_job_killed_between_two_steps_is_resumed_to_the_same_end(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    run_job(job, tmp_path / "whole")
    kill(job, tmp_path / "job", 8, "die()")
    assert cli.main(["resume", str(tmp_path / "job")]) == 0
    assert "Resumed at step 7 of 12" in (tmp_path / "job" / "engine.log").read_text()
    assert same_result(tmp_path / "job", tmp_path / "whole")
    assert set(contents(tmp_path / "job")) == set(contents(tmp_path / "whole"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_film_killed_while_it_wrote_its_checkpoint_is_resumed_to_the_same_end(tmp_path: Path) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film")))
    run_job(job, tmp_path / "whole")
    kill(job, tmp_path / "job", 15, "os.replace = die")
    assert [name for name in contents(tmp_path / "job") if name.startswith(".")]
    assert cli.main(["resume", str(tmp_path / "job")]) == 0
    assert "Resumed at step 14 of 20" in (tmp_path / "job" / "engine.log").read_text()
    assert same_result(tmp_path / "job", tmp_path / "whole")
    assert set(contents(tmp_path / "job")) == set(contents(tmp_path / "whole"))


# What cannot be resumed.


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """The folder of a job that was stopped half-way."""
    stopped(small_job(tmp_path), tmp_path / "job", 6)
    return tmp_path / "job"


def refused_and_unchanged(half: Path) -> SmaltiError:
    before = without_log(half)
    fault = refused(lambda: resume_job(half))
    assert without_log(half) == before
    return fault


def test_a_finished_job_is_not_resumed(tmp_path: Path) -> None:
    run_job(small_job(tmp_path), tmp_path / "job")
    assert refused_and_unchanged(tmp_path / "job").code == "job_finished"


def test_a_folder_without_a_job_is_not_resumed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "missing", tmp_path / "empty"):
        assert refused(lambda folder=folder: resume_job(folder)).code == "no_job"
    assert not (tmp_path / "missing").exists()
    assert not contents(tmp_path / "empty")


def test_a_missing_checkpoint_is_named(half: Path) -> None:
    (half / "checkpoint.npz").unlink()
    (half / "composition.json").unlink()
    fault = refused_and_unchanged(half)
    assert fault.code == "bad_checkpoint"
    assert str(half / "checkpoint.npz") in fault.message


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_a_cut_checkpoint_is_named(half: Path, kept: int) -> None:
    path = half / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:kept])
    assert str(path) in refused_and_unchanged(half).message


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("names", lambda a: None),
        ("canvas", lambda a: None),
        ("seconds", lambda a: np.array("long")),
        ("adam.mean.x", lambda a: a[:10]),
        ("adam.square.tint", lambda a: None),
        ("aspect", lambda a: a[:-1]),
        ("frame", lambda a: np.array(7)),
        ("done", lambda a: None),
        ("sources.hashes", lambda a: None),
        ("sources.frame_hashes", lambda a: np.repeat(a, 2)),
        ("parameter.x", lambda a: a[:-1]),
        ("parameter.tint", lambda a: np.array(["red"] * len(a))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_checkpoint_that_does_not_fit_its_job_is_named(half: Path, name: str, change: Callable[[Any], Any]) -> None:
    arrays = {**read_arrays(half / "checkpoint.npz")}
    arrays[name] = change(arrays[name])
    write_arrays(half / "checkpoint.npz", {n: a for n, a in arrays.items() if a is not None})
    fault = refused_and_unchanged(half)
    assert fault.code == "bad_checkpoint"
    assert str(half / "checkpoint.npz") in fault.message


def test_another_count_in_the_job_file_does_not_fit_the_checkpoint(half: Path) -> None:
    write_job(half / "job.json", replace(read_job(half / "job.json"), count=25))
    assert refused_and_unchanged(half).code == "bad_checkpoint"


@pytest.mark.parametrize("pixels", [ramp(96, 60), ramp()[::-1] // 2], ids=["another size", "other colours"])
def test_another_picture_in_the_place_of_the_target_is_noticed(half: Path, pixels: Any) -> None:
    target = save(Path(read_job(half / "job.json").target), pixels)
    fault = refused_and_unchanged(half)
    assert fault.code == "target_changed"
    assert str(target) in fault.message


def test_another_picture_of_the_same_size_and_mean_is_noticed(tmp_path: Path) -> None:
    stopped(small_job(tmp_path, background="#102030"), tmp_path / "job", 6)
    target = save(tmp_path / "target.png", ramp()[:, ::-1])
    fault = refused_and_unchanged(tmp_path / "job")
    assert fault.code == "target_changed"
    assert fault.message == f"{target}: has changed since the job began."
    save(target, ramp())
    assert not resume_job(tmp_path / "job").cancelled


@pytest.fixture
def half_film(tmp_path: Path) -> Path:
    """The folder of the job of a film of four frames that was stopped during the second."""
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 4)))
    stopped(job, tmp_path / "job", 14)
    return tmp_path / "job"


def test_a_frame_taken_away_is_noticed(half_film: Path, tmp_path: Path) -> None:
    for name in ("01.png", "04.png"):
        frame = tmp_path / "film" / name
        frame.rename(tmp_path / name)
        fault = refused_and_unchanged(half_film)
        assert fault.code == "target_changed"
        assert fault.message.startswith(f"{frame}: is missing")
        (tmp_path / name).rename(frame)
    assert resume_job(half_film).report["frames"] == 4


def test_a_frame_put_in_between_is_noticed(half_film: Path, tmp_path: Path) -> None:
    frame = tmp_path / "film" / "01b.png"
    frame.write_bytes((tmp_path / "film" / "01.png").read_bytes())
    fault = refused_and_unchanged(half_film)
    assert fault.code == "target_changed"
    assert fault.message.startswith(f"{frame}: was no frame")
    frame.unlink()
    assert not resume_job(half_film).cancelled


def test_another_frame_in_the_place_of_one_is_noticed_once_that_was_begun(half_film: Path, tmp_path: Path) -> None:
    """A later one is read when its turn comes, and may be repaired until then."""
    frame, later = tmp_path / "film" / "02.png", tmp_path / "film" / "03.png"
    good = frame.read_bytes()
    frame.write_bytes(later.read_bytes())
    fault = refused_and_unchanged(half_film)
    assert fault.code == "target_changed"
    assert str(frame) in fault.message
    frame.write_bytes(good)
    later.write_bytes(good)
    assert not resume_job(half_film).cancelled


@pytest.mark.parametrize(
    "name", ["target_mask", "keep_in", "keep_out", "weight_map", "background", "mask of region 1", "mask of region 2"]
)
def test_another_picture_in_the_place_of_any_is_noticed(tmp_path: Path, name: str) -> None:
    white, black = np.full((64, 96), 255, np.uint8), np.zeros((64, 96), np.uint8)
    black[:10, :10] = 40  # below half, and not nothing
    half, right = white.copy(), white.copy()
    half[:, :48], right[:, 40:] = 0, 0
    masks = {"target_mask": white, "keep_in": white, "keep_out": black, "weight_map": white, "background": white}
    paths = {n: str(save(tmp_path / f"{n}.png", pixels)) for n, pixels in masks.items()}
    regions = tuple(RegionSpec(str(save(tmp_path / f"{n}.png", mask)), 5) for n, mask in ((1, half), (2, right)))
    stopped(small_job(tmp_path, regions=regions, count=0, **paths), tmp_path / "job", 6)
    path = Path(read_job(tmp_path / "job" / "job.json").paths[name])
    before = path.read_bytes()
    save(path, np.flipud(np.asarray(Image.open(path))) // 2 + 100)
    fault = refused_and_unchanged(tmp_path / "job")
    assert fault.code == "input_changed"
    assert fault.message.startswith(f"{path}: has changed")
    path.write_bytes(before)
    assert not resume_job(tmp_path / "job").cancelled


def test_a_mask_that_is_gone_is_named(tmp_path: Path) -> None:
    mask = save(tmp_path / "mask.png", np.full((8, 8), 255, np.uint8))
    stopped(small_job(tmp_path, target_mask=str(mask)), tmp_path / "job", 6)
    mask.unlink()
    assert refused_and_unchanged(tmp_path / "job").message == f"{mask}: does not exist."


def test_a_mask_left_out_of_the_job_file_is_noticed(tmp_path: Path) -> None:
    mask = save(tmp_path / "mask.png", np.full((8, 8), 255, np.uint8))
    stopped(small_job(tmp_path, keep_in=str(mask)), tmp_path / "job", 6)
    path = tmp_path / "job" / "job.json"
    write_job(path, replace(read_job(path), keep_in=None))
    fault = refused_and_unchanged(tmp_path / "job")
    assert fault.code == "input_changed"
    assert fault.message.startswith("keep_in: has changed")


def test_a_checkpoint_that_says_nothing_of_the_files_is_resumed(half: Path, tmp_path: Path) -> None:
    """Earlier versions wrote such."""
    run_job(small_job(tmp_path), tmp_path / "whole")
    path = half / "checkpoint.npz"
    write_arrays(path, {n: a for n, a in read_arrays(path).items() if not n.startswith("sources.")})
    assert not resume_job(half).cancelled
    assert same_result(half, tmp_path / "whole")


def test_a_film_is_read_once_and_not_at_each_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    whole = fingerprints._hash_of
    monkeypatch.setattr(fingerprints, "_hash_of", lambda path: hashed.append(path.name) or whole(path))
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", 0.0)
    run_job(small_job(tmp_path, target=str(film(tmp_path / "film"))), tmp_path / "job")
    assert hashed == ["01.png", "02.png", "03.png"]


def test_a_target_that_is_gone_is_named_and_once_back_the_job_goes_on(half: Path) -> None:
    target = Path(read_job(half / "job.json").target)
    target.rename(target.with_name("away.png"))
    assert str(target) in refused_and_unchanged(half).message
    target.with_name("away.png").rename(target)
    assert not resume_job(half).cancelled


def test_a_bitmap_missing_from_the_job_is_named(half: Path) -> None:
    (half / "templates" / "0002.png").unlink()
    assert str(half / "templates" / "0002.png") in refused_and_unchanged(half).message


def test_the_folder_of_primitives_is_not_needed_to_resume(half: Path, tmp_path: Path) -> None:
    for file in (tmp_path / "primitives").iterdir():
        file.unlink()
    assert not resume_job(half).cancelled


# What is in the way of a new job.


def test_the_folder_of_another_job_stays_as_it_is(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    run_job(job, tmp_path / "job")
    before = contents(tmp_path / "job")
    assert refused(lambda: run_job(replace(job, seed=1), tmp_path / "job")).code == "output_holds_job"
    assert contents(tmp_path / "job") == before


def test_a_folder_with_other_files_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("Dear")
    for overwrite in (False, True):
        fault = refused(lambda o=overwrite: run_job(small_job(tmp_path), tmp_path / "letters", overwrite=o))
        assert fault.code == "output_not_empty"
    assert contents(tmp_path / "letters") == {"dear.txt": b"Dear"}


def test_a_file_in_the_place_of_the_folder_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    assert refused(lambda: run_job(small_job(tmp_path), tmp_path / "file")).code == "output_not_folder"
    assert refused(lambda: run_job(small_job(tmp_path), tmp_path / "file" / "job")).code == "cannot_write"
    assert (tmp_path / "file").read_text() == "here"


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    run_job(small_job(tmp_path), tmp_path / "job")
    assert (tmp_path / "job" / "report.json").exists()


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    run_job(small_job(tmp_path), tmp_path / "link")
    assert (tmp_path / "real" / "report.json").exists()


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert refused(lambda: run_job(small_job(tmp_path), tmp_path / "link")).code == "cannot_write"
    assert not (tmp_path / "nowhere").exists()


def test_the_job_may_lie_inside_the_folder_of_primitives(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    run_job(job, Path(job.primitives) / "job")
    assert len(load_composition(Path(job.primitives) / "job").templates) == 2


def test_overwriting_replaces_the_job_and_keeps_what_is_not_of_a_job(tmp_path: Path) -> None:
    run_job(small_job(tmp_path, target=str(film(tmp_path / "film"))), tmp_path / "job")
    (tmp_path / "job" / "notes.txt").write_text("mine")
    run_job(small_job(tmp_path), tmp_path / "job", overwrite=True)
    present = set(contents(tmp_path / "job"))
    assert present == FINISHED | {"templates/0001.png", "templates/0002.png", "notes.txt"}
    assert not (tmp_path / "job" / "render").exists()
    assert len((tmp_path / "job" / "engine.log").read_text().splitlines()) == 2


@pytest.mark.parametrize("change", [{"target": "missing.png"}, {"primitives": "missing"}, {"count": 0}], ids=str)
def test_a_job_that_cannot_begin_leaves_the_one_it_would_replace(tmp_path: Path, change: dict[str, Any]) -> None:
    run_job(small_job(tmp_path), tmp_path / "job")
    before = contents(tmp_path / "job")
    refused(lambda: run_job(small_job(tmp_path, **change), tmp_path / "job", overwrite=True))
    assert contents(tmp_path / "job") == before


@pytest.mark.parametrize(
    "name", ["target", "primitives", "background", "target_mask", "keep_in", "keep_out", "weight_map"]
)
def test_a_job_does_not_replace_its_own_pictures(tmp_path: Path, name: str) -> None:
    run_job(small_job(tmp_path), tmp_path / "job")
    before = contents(tmp_path / "job")
    inside = tmp_path / "job" / ("templates" if name == "primitives" else "render.png")
    (tmp_path / "link").symlink_to(inside)
    for path in (inside, tmp_path / "link"):
        fault = refused(lambda p=path: run_job(small_job(tmp_path, **{name: str(p)}), tmp_path / "job", overwrite=True))
        assert fault.code == "input_in_output"
        assert str(path) in fault.message
    assert contents(tmp_path / "job") == before


@pytest.mark.parametrize("name", ["mask", "primitives"])
def test_a_job_does_not_replace_the_pictures_of_its_regions(tmp_path: Path, name: str) -> None:
    run_job(small_job(tmp_path), tmp_path / "job")
    before = contents(tmp_path / "job")
    inside = tmp_path / "job" / ("templates" if name == "primitives" else "render.png")
    region = RegionSpec(**{"mask": str(tmp_path / "target.png"), "count": 3, name: str(inside)})
    fault = refused(lambda: run_job(small_job(tmp_path, regions=(region,)), tmp_path / "job", overwrite=True))
    assert fault.code == "input_in_output"
    assert str(inside) in fault.message
    assert contents(tmp_path / "job") == before


# Two at once.


@pytest.mark.parametrize("work", ["run", "overwrite", "resume"])
def test_a_second_process_does_not_touch_a_job_at_work(tmp_path: Path, work: str) -> None:
    job, out = small_job(tmp_path), tmp_path / "job"
    faults: list[SmaltiError] = []

    def intrude() -> None:
        before = contents(out)
        if work == "resume":
            faults.append(refused(lambda: resume_job(out)))
        else:
            faults.append(refused(lambda: run_job(job, out, overwrite=work == "overwrite")))
        after = contents(out)
        # Both jobs run in this process and share its log, which only grows.
        assert after.pop("engine.log").startswith(before.pop("engine.log"))
        assert after == before

    run_job(job, tmp_path / "whole")
    run_job(job, out, listener=Heard(5, intrude))
    assert [fault.code for fault in faults] == ["output_holds_job" if work == "run" else "job_busy"]
    assert same_result(out, tmp_path / "whole")


def test_two_that_find_the_folder_free_do_not_both_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second looks before the first has written anything, and starts to write when the first is done."""
    job, out = small_job(tmp_path), tmp_path / "job"
    read_inputs = run.read_inputs

    def slowly(*args: Any) -> Any:
        monkeypatch.setattr(run, "read_inputs", read_inputs)
        run_job(replace(job, seed=9), out)
        return read_inputs(*args)

    monkeypatch.setattr(run, "read_inputs", slowly)
    assert refused(lambda: run_job(job, out)).code == "output_holds_job"
    assert read_job(out / "job.json").seed == 9
    assert set(contents(out)) == FINISHED | {"templates/0001.png", "templates/0002.png"}


def test_a_new_job_waits_for_none_that_is_done(tmp_path: Path) -> None:
    job = small_job(tmp_path)
    for overwrite in (False, True, True):
        run_job(job, tmp_path / "job", overwrite=overwrite)


# Trouble on the way.


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("exists", [False, True])
def test_a_disk_that_is_full_from_the_start_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    out = tmp_path / "new" / "job"
    if exists:
        out.mkdir(parents=True)
    monkeypatch.setattr(atomic.os, "fsync", no_space)
    fault = refused(lambda: run_job(small_job(tmp_path), out))
    assert str(out) in fault.message
    assert "No space left" in fault.message
    assert out.exists() == exists
    assert (tmp_path / "new").exists() == exists
    assert not exists or not list(out.iterdir())


def test_a_disk_that_fills_up_on_the_way_leaves_the_last_checkpoint_and_the_job_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", 0.0)
    job, out = small_job(tmp_path), tmp_path / "job"
    run_job(job, tmp_path / "whole")
    with monkeypatch.context() as full:
        then = Heard(7, lambda: full.setattr(atomic.os, "fsync", no_space))
        assert "No space left" in refused(lambda: run_job(job, out, listener=then)).message
    assert int(read_arrays(out / "checkpoint.npz")["done"]) == 6
    assert not resume_job(out).cancelled
    assert same_result(out, tmp_path / "whole")
    assert set(contents(out)) == set(contents(tmp_path / "whole"))


def test_a_really_full_disk_leaves_nothing_at_the_start_and_a_good_checkpoint_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", 0.0)
    job = small_job(tmp_path)
    run_job(job, tmp_path / "whole")
    with mounted(tmp_path / "disk", "size=1m") as disk:
        out = disk / "job"
        filler = fill(disk)
        assert "No space left" in refused(lambda: run_job(job, out)).message
        assert not out.exists()
        filler.unlink()
        refused(lambda: run_job(job, out, listener=Heard(7, lambda: fill(disk))))
        assert "No space left" in refused(lambda: resume_job(out)).message
        filler.unlink()
        assert not resume_job(out).cancelled
        assert same_result(out, tmp_path / "whole")
        assert set(contents(out)) == set(contents(tmp_path / "whole"))


def test_a_read_only_disk_is_refused(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ro") as disk:
        fault = refused(lambda: run_job(small_job(tmp_path), disk / "job"))
    assert fault.code == "cannot_write"
    assert "Read-only file system" in fault.message


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_must_not_be_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def mkdir(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    job = small_job(tmp_path)
    monkeypatch.setattr(Path, "mkdir", mkdir)
    fault = refused(lambda: run_job(job, tmp_path / "job"))
    assert fault.code == "cannot_write"
    assert f"{tmp_path / 'job'}: cannot be created ({os.strerror(number)})" in fault.message


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    stopped(small_job(tmp_path), tmp_path / "job", 3)
    (tmp_path / "job" / "engine.log").unlink()
    (tmp_path / "job" / "engine.log").mkdir()
    fault = refused(lambda: resume_job(tmp_path / "job"))
    assert fault.code == "cannot_write"
    assert "engine.log" in fault.message


@pytest.mark.parametrize("fault", [KeyboardInterrupt, MemoryError, RuntimeError])
def test_whatever_ends_a_job_before_its_first_step_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    def write_job(*_: object) -> None:
        raise fault

    monkeypatch.setattr(run, "write_job", write_job)
    with pytest.raises(fault):
        run_job(small_job(tmp_path), tmp_path / "new" / "job")
    assert not (tmp_path / "new").exists()


def test_an_exception_on_the_way_keeps_the_checkpoint_and_is_told_in_the_log(tmp_path: Path) -> None:
    def fail() -> None:
        raise ZeroDivisionError("on purpose")

    job, out = small_job(tmp_path), tmp_path / "job"
    with pytest.raises(ZeroDivisionError):
        run_job(job, out, listener=Heard(4, fail))
    log = (out / "engine.log").read_text()
    assert "Traceback" in log
    assert "on purpose" in log
    run_job(job, tmp_path / "whole")
    resume_job(out)
    assert same_result(out, tmp_path / "whole")


def test_a_loss_that_is_not_a_number_ends_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Fit.step

    def astray(self: Fit) -> float:
        step(self)
        return float("nan")

    monkeypatch.setattr(Fit, "step", astray)
    fault = refused(lambda: run_job(small_job(tmp_path), tmp_path / "job"))
    assert fault.code == "diverged"
    assert str(tmp_path / "job") in fault.hint
    assert (tmp_path / "job" / "checkpoint.npz").exists()


def test_a_frame_broken_inside_is_named_when_its_turn_comes_and_once_repaired_the_film_goes_on(tmp_path: Path) -> None:
    folder = film(tmp_path / "film")
    job, out = small_job(tmp_path, target=str(folder)), tmp_path / "job"
    run_job(job, tmp_path / "whole")
    whole = (folder / "03.png").read_bytes()
    (folder / "03.png").write_bytes(whole[: len(whole) // 2])
    fault = refused(lambda: run_job(job, out))
    assert fault.code == "picture_damaged"
    assert str(folder / "03.png") in fault.message
    (folder / "03.png").write_bytes(whole)
    resume_job(out)
    assert same_result(out, tmp_path / "whole")


def test_the_loggers_are_left_as_they_were(tmp_path: Path) -> None:
    logger = logging.getLogger("smalti")
    before = logger.level, list(logger.handlers)
    run_job(small_job(tmp_path), tmp_path / "job")
    refused(lambda: resume_job(tmp_path / "job"))
    assert (logger.level, logger.handlers) == before
