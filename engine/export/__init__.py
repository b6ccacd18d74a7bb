# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand-off files of finished jobs.

A format of one frame is a row of `smalti.bridge.formats.FORMATS` and a module of its name here; those of films are rows
of `smalti.bridge.formats.FILMS`, which the module `film` writes.

The function `write(job, path, frame, size)` of a format's module writes one frame (from 0) of the finished job in the
folder `job` as the file `path`, in one step, with a canvas of `size` pixels on the longer side (None: that of the fit).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from smalti.bridge.errors import SmaltiError
from smalti.bridge.formats import FILMS, FORMATS


def export_job(
    job: Path | str,
    name: str,
    path: Path | str | None = None,
    frame: int = 0,
    size: int | None = None,
    shutter: float = 0.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write a hand-off file of a finished job.

    Args:
        job: the job folder.
        name: a key of `FORMATS` or `FILMS`.
        path: the file; None takes the format's usual name in the job folder. An older file is replaced in one step.
        frame: which frame of a film, from 0; the formats of films have all of them.
        size: longer side of the canvas in pixels; None for the size of the fit. The file's usual name tells it.
        shutter: motion blur of films, see `smalti.engine.composition.shutter`.
        progress: called with how many frames of a film are done, and of how many.

    Returns:
        The path of the file.

    Raises:
        SmaltiError: code ``"unknown_format"``, or what the format's `write` raises.
    """
    formats = FORMATS | FILMS
    if name not in formats:
        raise SmaltiError(
            f"{name!r} is not a hand-off format.", f"The formats are {', '.join(formats)}.", "unknown_format"
        )
    job = Path(job)
    usual = Path(formats[name].file_name)
    if size is not None:
        usual = usual.with_stem(f"{usual.stem}-{size}")
    path = job / usual if path is None else Path(path)
    if name in FILMS:
        from .film import write as write_film

        write_film(job, name, path, size, shutter, progress)
        return path
    write: Callable[[Path, Path, int, int | None], None] = import_module(f".{name}", __name__).write
    write(job, path, frame, size)
    return path
