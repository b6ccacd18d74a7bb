# SPDX-License-Identifier: GPL-3.0-or-later
"""The finished frames of a film at work: written once, read back, and nowhere else."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import contents, film, slow, small_job
from runs import Recorder, refused_and_unchanged, same_result, stopped

from smalti.bridge.composition import PER_FRAME
from smalti.bridge.job import JobSpec
from smalti.engine.composition import load_composition, read_arrays, write_arrays
from smalti.engine.job.run import resume_job, run_job

FRAME_STEPS = 4
"""Of each later frame; the first has 12."""


@pytest.fixture
def half_film(tmp_path: Path) -> Path:
    """The folder of a film of four frames that was stopped in the third."""
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 4)))
    stopped(job, tmp_path / "job", 18)
    return tmp_path / "job"


def test_each_finished_frame_is_written_once_and_no_checkpoint_holds_it(tmp_path: Path) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 5)))
    out = tmp_path / "job"
    written: dict[str, set[tuple[int, int]]] = {}
    sizes = []

    class Watching(Recorder):
        def progress(self, stage: str, done: int, total: int, loss: float | None, eta: float | None) -> None:
            super().progress(stage, done, total, loss, eta)
            for path in (out / "tracks").glob("*"):
                written.setdefault(path.name, set()).add((path.stat().st_ino, path.stat().st_mtime_ns))
            if loss is not None:
                sizes.append((out / "checkpoint.npz").stat().st_size)

    run_job(job, out, listener=Watching())
    assert sorted(written) == [f"{frame:06d}.npz" for frame in (1, 2, 3, 4)], "the last one goes into the result"
    assert all(len(versions) == 1 for versions in written.values())
    assert max(sizes) - min(sizes) < 5 * 400, "a frame's hash and its PSNR, but not its 24 sprites"
    assert not (out / "tracks").exists()


def test_the_result_is_that_of_numpy_byte_for_byte(tmp_path: Path) -> None:
    run_job(small_job(tmp_path, target=str(film(tmp_path / "film", 3))), tmp_path / "job")
    made = load_composition(tmp_path / "job")
    np.savez(tmp_path / "same.npz", template=made.template, **{name: getattr(made, name) for name in PER_FRAME})
    assert (tmp_path / "same.npz").read_bytes() == (tmp_path / "job" / "frames.npz").read_bytes()


def test_a_resumed_film_draws_no_finished_frame_again_unless_its_picture_is_gone(half_film: Path) -> None:
    pictures = [half_film / "render" / f"000{frame}.png" for frame in (1, 2, 3)]
    before = [path.stat().st_ino for path in pictures]
    pictures[0].unlink()
    resume_job(half_film)
    assert pictures[1].stat().st_ino == before[1]
    assert pictures[2].stat().st_ino != before[2], "that was of a frame at work"
    assert pictures[0].is_file()


def test_a_film_of_an_earlier_version_whose_checkpoint_holds_all_frames_is_resumed(half_film: Path) -> None:
    run_job(small_job(half_film.parent, target=str(half_film.parent / "film")), half_film.parent / "whole")
    tracks = sorted((half_film / "tracks").iterdir())
    frames = [read_arrays(path) for path in tracks]
    state = {**read_arrays(half_film / "checkpoint.npz")}
    state |= {f"done.{name}": np.stack([frame[name] for frame in frames]) for name in PER_FRAME}
    del state["psnrs"], state["legibility"]
    write_arrays(half_film / "checkpoint.npz", state)
    for path in tracks:
        path.unlink()
    (half_film / "tracks").rmdir()
    resume_job(half_film)
    assert same_result(half_film, half_film.parent / "whole")
    assert set(contents(half_film)) == set(contents(half_film.parent / "whole"))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200] ^= 1  # in the numbers of the first array
    path.write_bytes(data)


def _with(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        arrays = read_arrays(path)
        write_arrays(path, {**arrays, name: change(arrays[name])})

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        _cut,
        _flip,
        _with("x", lambda a: a[:-1]),
        _with("y", lambda a: a.astype(np.int64)),
        _with("theta", lambda a: a * np.nan),
        _with("tint", lambda a: a + 2),
    ],
    ids=["missing", "cut", "flipped bit", "other count", "integers", "not a number", "out of range"],
)
def test_a_damaged_frame_is_named_and_the_job_left_as_it_is(half_film: Path, damage: Callable[[Path], None]) -> None:
    path = half_film / "tracks" / "000001.npz"
    damage(path)
    assert str(path) in refused_and_unchanged(half_film).message


def test_a_new_job_in_the_folder_of_a_film_removes_its_frames(half_film: Path) -> None:
    run_job(small_job(half_film.parent), half_film, overwrite=True)
    assert not (half_film / "tracks").exists()


KILLED = """
import sys
sys.path[:] = {path!r}
from pathlib import Path
from smalti.engine.job import run
class Listener(run.NullListener):
    def progress(self, stage, done, total, loss, eta):
        print(stage, done, flush=True)
try:
    run.resume_job(Path({out!r}), listener=Listener())
except run.SmaltiError as fault:
    print(fault.code)
"""


def kill_at_random(job: JobSpec, out: Path, kills: int, seed: int) -> list[float]:
    """Begin a job and kill it, and each of its resumptions, at random moments; then let it end.

    Returns:
        for each kill the the frames that were fitted again, and their parts.
    """
    moments = random.Random(seed)
    stopped(job, out, 1)
    redone = []
    last = 1
    for number in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED.format(path=sys.path, out=str(out))], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        lines = moments.randrange(1, max(2, 2 * (total_steps(job) - last) // (kills - number)))
        seen = []
        for line in process.stdout:
            seen.append(line.split())
            if len(seen) == lines:
                process.kill()
        process.wait()
        seen = [words for words in seen if words[0] != "render"]
        if not seen or seen[0] == ["job_finished"]:
            break
        redone.append(max(0, frame_at(last) - frame_at(int(seen[0][-1]) - 1)))
        last = int(seen[-1][-1])
    if (out / "checkpoint.npz").exists():
        recorder = Recorder()
        resume_job(out, listener=recorder)
        first = next((done for stage, done, _ in recorder.stages if stage != "render"), last + 1)
        redone.append(max(0, frame_at(last) - frame_at(first - 1)))
    return redone


def total_steps(job: JobSpec) -> int:
    """Of a film in a folder."""
    return 12 + FRAME_STEPS * (len(list(Path(job.target).iterdir())) - 1)


def frame_at(steps: int) -> float:
    """How many frames after the first so many steps are."""
    return max(0.0, (steps - 12) / FRAME_STEPS)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("seed", [0, slow(1), slow(2)])
def test_a_film_killed_at_random_moments_has_the_same_tracks_and_redoes_two_frames_at_most(
    tmp_path: Path, seed: int
) -> None:
    job = small_job(tmp_path, target=str(film(tmp_path / "film", 12)))
    run_job(job, tmp_path / "whole")
    redone = kill_at_random(job, tmp_path / "job", 3, seed)
    assert redone
    assert max(redone) <= 2
    assert same_result(tmp_path / "job", tmp_path / "whole")
    assert set(contents(tmp_path / "job")) == set(contents(tmp_path / "whole"))
