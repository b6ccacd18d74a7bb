# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault has left: processes, a job's folder, logs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from smalti.bridge.errors import SmaltiError
from smalti.bridge.folder import CHECKPOINT, COMPOSITION, JOB, LOG
from smalti.bridge.job_file import read_job
from smalti.engine.composition import load_composition
from smalti.engine.job.run import resume_job, run_job

_TRACE = re.compile(
    r"^Traceback .*\n(?:[ \t].*\n|\n)*(?P<error>\S.*)(?P<chained>\n\n(?:The above|During handling))?", re.M
)


def processes_of(leader: int) -> list[int]:
    """The processes of the group of `leader` that are not gone, nor only waiting for their parent to take note."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(group) == leader and state not in "ZX":
            found.append(int(folder.name))
    return found


def job_faults(folder: Path) -> tuple[str, list[str]]:
    """What a job folder holds, in a word, and what is wrong with it. The job in it is brought to its end."""
    names = {path.name for path in folder.iterdir()}
    if not names - {LOG}:
        return "nothing", []
    if JOB not in names:
        return "no job", [f"files without a job: {sorted(names)}"]
    try:
        job = read_job(folder / JOB)
        if COMPOSITION in names:
            load_composition(folder)
        if CHECKPOINT in names:
            what = "interrupted"
            resume_job(folder)
        elif COMPOSITION in names:
            what = "finished"
        else:
            what = "not begun"
            run_job(replace(job, steps=20), folder, overwrite=True)
        load_composition(folder)
    except SmaltiError as fault:
        return "damaged", [f"the job cannot be brought to its end: {fault}"]
    rest = [path.name for path in folder.rglob("*") if path.name.startswith(".")]
    return what, [f"files are left in the job's folder: {rest}"] if rest else []


def traces(log: Path) -> list[str]:
    """The errors whose tracebacks are in an engine's log, but for those of users, which are kept there on purpose."""
    text = log.read_text(encoding="utf-8", errors="replace")
    found = [trace["error"] for trace in _TRACE.finditer(text) if trace["chained"] is None]
    return [error for error in found if not error.startswith("smalti.bridge.errors.SmaltiError")]
