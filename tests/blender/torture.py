# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounds of faults in the middle of a fit: what is left behind, and what the panel says.

    python tests/blender/torture.py ROUNDS SEED

Each round is a Blender of its own (see scripts/faults.py), with an engine that is long at work. A round is good if
nothing is left of the engine, the job's folder holds no job, one that resumes to its end or one that is finished, no
program has written a traceback, and the panel tells what to do next.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from blenders import RESULT, ROOT, SCRIPTS, Blender, environments, python_of
from left_behind import job_faults, processes_of, traces

RESUME = "Resume goes on from what was kept last"
IMPORT = "the best so far is kept"
EITHER = f"{RESUME}|Fit begins"
SAID = {
    "worker_killed": f"The engine stopped.*SIGKILL.*({EITHER})",
    "worker_stopped": f"The engine stopped.*SIGKILL.*({EITHER})",
    "worker_hangs": f"The engine did not answer.*({EITHER})|no engine answered.*Check that",
    "blender_killed": EITHER,
    "blender_quits": EITHER,
    "file_opened": f"canceled, ({IMPORT}|nothing was kept)",
    "file_new": f"canceled, ({IMPORT}|nothing was kept)",
    "disabled": EITHER,
    "updated": EITHER,
    "folder_moved": "is not there any more.*Put it back",
    "folder_removed": "is not there any more.*Put it back",
    "disk_full": f"No space left on device.*Free some space.*({EITHER})?",
    "second_blender": f"canceled, ({IMPORT}|nothing was kept)",
    "garbage random_bytes": "cannot be read, so it was stopped.*Fit begins.*Check that",
    "garbage endless_line": "The engine stopped.*Fit begins",
    "garbage flood": "cannot be read, so it was stopped.*Fit begins.*Check that",
    "garbage half": "The engine stopped.*Fit begins",
    "garbage other_protocol": "speaks protocol.*Update Smalti",
    "garbage odd_events": "Fit begins",
    "garbage silence": "no engine answered.*Check that",
    "garbage deafness": "The engine did not answer.*Fit begins",
}
"""Kind of fault -> a pattern of what the panel then says, in which the next step is."""

WITHOUT_A_WORD = ("blender_killed", "blender_quits", "disabled", "updated")
"""Kinds after which there is nothing to say where the job had not begun: the panel is as it was before Fit."""

SECOND = {
    "fit": "holds another job.*Choose another folder|another Smalti is at work.*Wait",
    "overwrite": "another Smalti is at work.*Wait until it is done, or stop it",
    "resume_job": "another Smalti is at work.*Wait until it is done, or stop it",
}
"""What a second Blender says that begins a job in the same folder."""

AT_ONCE = 4  # Blenders, which wait most of the time
SLOWEST = 0.5  # seconds of computing in one call of Blender's timer


@dataclass(frozen=True)
class Round:
    """One fault: `kind` is a key of `SAID`."""

    kind: str
    seed: int
    environment: Path


@dataclass
class Found:
    """How a round went.

    Attributes:
        kind, seed, version: which it was, in which Blender.
        step: of the fit, at which it happened; None before or after it.
        said: what the panel said.
        left: what is in the job's folder.
        faults: what was wrong; empty where all is good.
    """

    kind: str
    seed: int
    version: str
    step: int | None = None
    said: str = ""
    left: str = ""
    faults: list[str] = field(default_factory=list)


def rounds(count: int, seed: int, folders: list[Path]) -> list[Round]:
    """So many rounds: all kinds as often as possible, in a random order, in one Blender after the other."""
    chance, kinds = random.Random(seed), list(SAID)
    if not can_mount():
        print("disk_full is left out, as only root can mount a small disk")
        kinds.remove("disk_full")
    chosen: list[str] = []
    while len(chosen) < count:
        chosen += chance.sample(kinds, len(kinds))
    return [Round(kind, seed + number, folders[number % len(folders)]) for number, kind in enumerate(chosen[:count])]


def can_mount() -> bool:
    """Whether a small disk can be mounted."""
    return sys.platform == "linux" and os.geteuid() == 0


def play(one: Round, installed: Path, extension: Path, folder: Path) -> Found:
    """Play one round.

    Args:
        one: which.
        installed: user resources of a Blender in which the extension is installed; a copy is used.
        extension: the zip.
        folder: an empty one.
    """
    kind, _, mode = one.kind.partition(" ")
    shutil.copytree(installed, folder / "resources")
    blender = Blender(python_of(one.environment), folder / "resources")
    with _disk(folder / "disk", small=kind == "disk_full") as disk:
        given = {
            "kind": kind,
            "mode": mode,
            "seed": one.seed,
            "begun": one.seed % 4 > 0,  # else at any time, maybe before the first step
            "python": _program(folder, mode, one.seed),
            "zip": extension,
            "blend": folder / "other.blend",
            "elsewhere": disk / "moved",
            "settings": {
                "target": ROOT / "examples" / "target" / "lighthouse.png",
                "primitives": ROOT / "examples" / "primitives",
                "output": disk / "job",
                **{"count": 30, "size": 64, "steps": 3000},
            },
        }
        found = Found(one.kind, one.seed, one.environment.name)
        told = _blender(blender, given, found)
        if kind in ("blender_killed", "blender_quits"):
            told = _blender(blender, {**given, "kind": "after"}, found)
        places = [place for place in (disk / "job", disk / "moved") if place.exists()]
        if places or "text" not in told or told["text"] or kind not in WITHOUT_A_WORD:
            _judge(found, told)
        (disk / "filler").unlink(missing_ok=True)
        left = [job_faults(place) for place in places]
        found.left = ", ".join(what for what, _ in left) or "nothing"
        found.faults += [fault for _, faults in left for fault in faults]
        logs = [*folder.rglob("engine.log")]
        found.faults += [f"{log.name}: {trace}" for log in logs for trace in traces(log)]
    return found


def play_all(todo: list[Round], extension: Path, base: Path) -> Iterator[Found]:
    """Play rounds, some at once; `base` is an empty folder. Yields how each went, in order."""
    installed = {}
    for folder in {one.environment for one in todo}:
        installed[folder] = base / folder.name
        Blender(python_of(folder), installed[folder]).run("install", zip=extension)
    homes = [base / f"round {number}" for number in range(len(todo))]
    for home in homes:
        home.mkdir()
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        played = [pool.submit(play, one, installed[one.environment], extension, home) for one, home in zip(todo, homes)]
        for one in played:
            yield one.result()


@contextmanager
def _disk(folder: Path, small: bool) -> Iterator[Path]:
    """A folder; where it is to be a small disk, of 4 MB."""
    folder.mkdir()
    if not small:
        yield folder
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _program(folder: Path, mode: str, seed: int) -> Path:
    """A program that is started like the engine's Python: the engine, or one that writes garbage."""
    here = Path(__file__).parent
    script = f'{here / "garbage_worker.py"}" {mode} {seed}' if mode else f'{here / "eager_worker.py"}"'
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -u "{script}\n')
    path.chmod(0o755)
    return path


def _blender(blender: Blender, given: dict[str, Any], found: Found) -> dict[str, Any]:
    """Run the script in a Blender. Returns what it told; what was wrong goes into `found`."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k != "VIRTUAL_ENV"}
    environment |= {"BLENDER_USER_RESOURCES": str(blender.resources), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(blender.python), str(SCRIPTS / "faults.py"), json.dumps(given, default=str)]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            status = process.wait(180)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
            found.faults.append("Blender was stuck")
        output.seek(0)
        text = output.read()
    if "Traceback" in text:
        found.faults.append(f"Blender wrote: {text[text.index('Traceback') :][:3000]}")
    if status != 0 and not (given["kind"] == "blender_killed" and status == -9):
        found.faults.append(f"Blender ended with status {status}: {text[-500:]}")
    worker = re.search(r"^SMALTI_PID (\d+)$", text, re.MULTILINE)
    if worker is not None:
        until = time.monotonic() + 5
        while (left := processes_of(int(worker[1]))) and time.monotonic() < until:
            time.sleep(0.1)
        if left:
            found.faults.append(f"processes are left: {left}")
        for pid in left:
            with suppress(OSError):
                os.kill(pid, 9)
    line = next((line for line in text.splitlines() if line.startswith(RESULT)), "")
    told: dict[str, Any] = json.loads(line.removeprefix(RESULT)) if line else {}
    return told


def _judge(found: Found, told: dict[str, Any]) -> None:
    """Compare what a Blender told with what it should."""
    found.step = told.get("step")
    labels = " ".join(told.get("labels", ()))
    found.said = " ".join(f"{told.get('text', '')} {told.get('advice', '')}".split()) or " ".join(labels.split())
    if re.search(SAID[found.kind], found.said) is None:
        found.faults.append(f"the panel says {found.said!r}")
    if "Traceback" in labels:
        found.faults.append(f"the panel shows a traceback: {labels}")
    if told.get("drawing"):
        found.faults.append(f"panels cannot be drawn: {told['drawing']}")
    if told.get("task"):
        found.faults.append("a job is at work for ever")
    if told.get("left"):
        found.faults.append("the engine outlives the add-on")
    if told.get("slowest", 0) > SLOWEST:
        found.faults.append(f"Blender stands still for {told['slowest']:.2f} s")
    for press, pattern in SECOND.items() if "second" in told else ():
        said = " ".join(told["second"][press])
        if re.search(pattern, " ".join(said.split())) is None:
            found.faults.append(f"{press} in a second Blender says {said!r}")


def main() -> int:
    """Play the rounds that the command line says, and print what was found; 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rounds", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("--kind", choices=SAID, help="this fault alone")
    parser.add_argument("--extension", type=Path, required=True, help="the zip, without wheels")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        todo = rounds(given.rounds, given.seed, environments())
        if given.kind:
            todo = [Round(given.kind, one.seed, one.environment) for one in todo]
        found = []
        for one in play_all(todo, given.extension, Path(base)):
            found.append(one)
            print(f"{len(found):4} {one.version} {one.kind:22} step {one.step}  [{one.left}]  {one.said[:250]}")
            for fault in one.faults:
                print(f"     FAULT (seed {one.seed}) {fault}")
            sys.stdout.flush()
    print_table(found)
    return int(any(one.faults for one in found))


def print_table(found: list[Found]) -> None:
    """How many rounds of each kind were good."""
    by_kind = defaultdict(list)
    for one in found:
        by_kind[one.kind].append(one)
    for kind, those in sorted(by_kind.items()):
        print(f"{kind:24} {len(those):4} rounds, {sum(bool(one.faults) for one in those)} with faults")


if __name__ == "__main__":
    sys.exit(main())
