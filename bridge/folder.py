# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of the files in a job folder. Hand-off files have theirs from `bridge.formats`.

Everything but the log is written in one step: a file is either there as a whole or not at all.
"""

from __future__ import annotations

JOB = "job.json"
"""The settings of the job (`bridge.job`)."""
CHECKPOINT = "checkpoint.npz"
"""From where an interrupted job goes on; a finished one has none."""
TRACK_FOLDER = "tracks"
"""The finished frames of a film that is at work or was interrupted, a file each."""
LAST_FRAME = "last_frame.npz"
"""Of a finished film: from where it goes on when it is to have more frames."""
PREVIEW = "preview.png"
"""The picture so far, while the job is at work."""

COMPOSITION = "composition.json"
"""The result but for its arrays (`bridge.composition`)."""
ARRAYS = "frames.npz"
"""The result's arrays."""
TEMPLATE_FOLDER = "templates"
"""The bitmaps, one PNG each."""
LEVEL_FOLDER = "levels"
"""The bitmaps reduced to the sizes at which they are shown (`bridge.levels`)."""
LEVELS = f"{LEVEL_FOLDER}/levels.json"
"""What is on these pictures."""
BACKGROUND = "background.png"
"""The background, where it is an image."""

RENDER = "render.png"
"""The picture of a finished still."""
RENDER_FOLDER = "render"
"""The pictures of a finished film."""
REPORT = "report.json"
"""What the job came to: PSNR in dB, seconds, steps, memory."""
LOG = "engine.log"
"""What was chosen, and what went wrong."""


def picture_file(frame: int, frames: int) -> str:
    """The finished picture of one frame, from 0, of `frames`; relative to the job folder, with slashes."""
    return RENDER if frames == 1 else f"{RENDER_FOLDER}/{picture_name(frame)}"


def picture_name(frame: int) -> str:
    """The name of the picture of one frame, from 0, in a folder of them."""
    return f"{frame + 1:04d}.png"


def track_file(frame: int) -> str:
    """The sprites of a finished frame, from 0, of a film at work, relative to the job folder, with slashes."""
    return f"{TRACK_FOLDER}/{frame + 1:06d}.npz"


def template_file(index: int) -> str:
    """The bitmap with this index in the composition, relative to the job folder, with slashes."""
    return f"{TEMPLATE_FOLDER}/{index + 1:04d}.png"


def level_file(index: int) -> str:
    """The reduced sizes of the bitmap with this index, relative to the job folder, with slashes."""
    return f"{LEVEL_FOLDER}/{index + 1:04d}.png"
