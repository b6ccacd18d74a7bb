# SPDX-License-Identifier: GPL-3.0-or-later
"""Begin a fit, let one fault happen in its middle, and tell what the panel says then. See tests/blender/torture.py."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import drawing
import inside

given = inside.arguments()
chance = random.Random(given["seed"])
folder = Path(given["settings"]["output"])
result: dict[str, Any] = {}
drawn_faults: list[str] = []
slowest = 0.0


def session() -> Any:
    """The module, which an update makes another."""
    return inside.module("session")


def tick_for(seconds: float) -> None:
    """Let Blender go on for a while; notes the slowest call of its timer."""
    global slowest
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.thread_time()
        session().tick()
        slowest = max(slowest, time.thread_time() - began)
        time.sleep(0.02)


def wait_for_end(seconds: float = 30) -> None:
    """Let Blender go on until there is no task."""
    until = time.monotonic() + seconds
    while session().task is not None:
        if time.monotonic() > until:
            raise TimeoutError(f"task {session().task}, outcome {session().outcome}")
        tick_for(0.05)


def draw() -> list[str]:
    """Draw all panels; returns the texts of their labels."""
    faults, labels = drawing.drawn()
    drawn_faults.extend(faults)
    return [*labels]


def worker() -> int:
    """The process of the worker."""
    return int(session()._engine._process.pid)


def cancel() -> None:
    """Press Cancel, where it can be pressed, and wait for the end."""
    tick_for(0.3)
    draw()
    if session().task is not None:
        bpy.ops.smalti.cancel()
        wait_for_end()


def worker_killed() -> None:
    os.kill(worker(), signal.SIGKILL)
    wait_for_end()


def worker_stopped() -> None:
    os.kill(worker(), signal.SIGSTOP)
    tick_for(chance.uniform(0, 1))
    os.kill(worker(), signal.SIGKILL)
    wait_for_end()


def worker_hangs() -> None:
    os.kill(worker(), signal.SIGSTOP)
    session().CANCEL_LIMIT = 1.0
    cancel()


def blender_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def blender_quits() -> None:
    """Without a word, as there is nobody left who reads it."""
    inside.finish(quit=True)
    sys.exit(0)


def file_opened() -> None:
    bpy.ops.wm.open_mainfile(filepath=given["blend"])
    result["output_after"] = bpy.context.scene.smalti.output
    cancel()


def file_new() -> None:
    bpy.ops.wm.read_homefile(use_empty=chance.random() < 0.5)
    result["output_after"] = bpy.context.scene.smalti.output
    cancel()


def disabled() -> None:
    bpy.ops.preferences.addon_disable(module=inside.MODULE)
    time.sleep(5)
    result["left"] = _runs(result["pid"])
    inside.enable()
    inside.set_up(given["settings"])


def updated() -> None:
    bpy.ops.extensions.package_install_files(
        filepath=given["zip"], repo='user_default', enable_on_install=True, overwrite=True
    )
    time.sleep(5)
    result["left"] = _runs(result["pid"])


def folder_moved() -> None:
    folder.rename(given["elsewhere"])
    wait_for_end()


def folder_removed() -> None:
    for _ in range(50):  # the worker may write into it meanwhile
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
    wait_for_end()


def disk_full() -> None:
    with open(folder.parent / "filler", "wb", buffering=0) as filler:
        size = chance.choice([4096, 65536])
        try:
            while filler.write(b"x" * size) == size:
                pass
        except OSError:
            pass
    wait_for_end()


def second_blender() -> None:
    other = subprocess.Popen(
        [sys.executable, __file__, json.dumps({**given, "kind": "second"})], stdout=subprocess.PIPE, text=True
    )
    while other.poll() is None:
        tick_for(0.1)
    assert other.stdout
    said = next(line for line in other.stdout if line.startswith("SMALTI_RESULT "))
    result["second"] = json.loads(said.removeprefix("SMALTI_RESULT "))
    cancel()


def garbage() -> None:
    session().CANCEL_LIMIT = 1.0
    until = time.monotonic() + 2
    while session().task is not None and time.monotonic() < until:
        tick_for(0.1)
        draw()
    if given["mode"] == "deafness":
        cancel()
    wait_for_end()


def _runs(pid: int) -> bool:
    """Whether a process is at work: neither gone nor only waiting to be taken note of."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


FAULTS: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        worker_killed,
        worker_stopped,
        worker_hangs,
        blender_killed,
        blender_quits,
        file_opened,
        file_new,
        disabled,
        updated,
        folder_moved,
        folder_removed,
        disk_full,
        second_blender,
        garbage,
    )
}


def as_second() -> None:
    """Try everything that begins a job in a folder in which another Blender is at work."""
    said = {"resume": bpy.ops.smalti.resume.poll()}
    for name, press in (
        ("fit", bpy.ops.smalti.fit),
        ("overwrite", lambda: bpy.ops.smalti.fit(overwrite=True)),
        ("resume_job", lambda: bpy.ops.smalti.resume_job(folder=str(folder))),
    ):
        press()
        wait_for_end()
        said[name] = [session().outcome.text, session().outcome.advice(), *draw()]
    session().close()
    inside.finish(**said)


def begin() -> None:
    """Begin a fit, and let it get somewhere."""
    bpy.ops.smalti.fit()
    result["pid"] = worker()
    print(f"SMALTI_PID {result['pid']}", flush=True)
    if given["kind"] != "garbage":
        if given["begun"]:
            inside.wait(lambda: session().task is None or session().task.done > 0, 60)
        elif given["kind"].startswith("folder"):
            inside.wait(folder.exists, 60)
        tick_for(chance.uniform(0, 2))
    task = session().task
    result["step"] = None if task is None else task.done


def tell() -> None:
    """Hand over what the panel says."""
    outcome, task = session().outcome, session().task
    advice = outcome.advice()
    result["labels"] = draw()
    session().close()
    inside.finish(
        **result,
        text=outcome.text,
        advice=advice,
        can_import=outcome.can_import,
        warnings=len(outcome.warnings),
        drawing=drawn_faults,
        slowest=slowest,
        task=task is not None,
    )


def main() -> None:
    if given["kind"] != "second":
        bpy.ops.wm.save_as_mainfile(filepath=given["blend"], copy=True)
    inside.enable(given["python"])
    inside.set_up(given["settings"])
    sys.modules[f"{inside.MODULE}.bridge.client"].START_LIMIT = 4.0  # type: ignore[attr-defined]
    if given["kind"] == "second":
        as_second()
    elif given["kind"] == "after":
        tell()
    else:
        begin()
        FAULTS[given["kind"]]()
        tell()


main()
