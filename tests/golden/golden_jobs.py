# SPDX-License-Identifier: GPL-3.0-or-later
"""Small jobs whose results are kept as hashes, so that a change of the code cannot change a result unnoticed.

    python tests/golden/golden_jobs.py              compare with golden.json, and say what differs
    python tests/golden/golden_jobs.py --record     write what is found here into golden.json

Results are the same bits for the same seed on one kind of machine, so hashes are kept for each kind. Quality must be
nearly the same everywhere, and is kept too. Everything goes through the public API, the command line and the worker.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GOLDEN = Path(__file__).parent / "golden.json"
THREADS = 2
VOLATILE = ("seconds", "peak_memory_mb", "engine_version")
"""Keys of report.json that are never the same twice."""

MEASURED = ("legibility", "cuts", "film")
"""Keys of report.json that follow from the composition and its picture, whose hashes stand beside."""

TOLERANCE = 1.0
"""dB by which quality may differ between machines: rounding alone makes small jobs nearly that much better or worse."""

Picture = NDArray[np.uint8]


def save(path: Path, pixels: Picture) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return str(path)


def scene(width: int = 96, height: int = 72, shift: float = 0.0) -> Picture:
    """[height, width, 3]: a sky, a hill and a disc; `shift` moves the disc to the right, a share of the width."""
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    sky = np.stack([0.35 + 0.3 * y, 0.55 + 0.2 * y, 0.9 - 0.2 * x], axis=-1)
    hill = y > 0.65 + 0.12 * np.sin(9 * x)
    sky[hill] = np.stack([0.25 + 0.3 * x, 0.45 - 0.1 * y, 0.2 + 0.1 * np.sin(40 * x * y)], axis=-1)[hill]
    sky[np.hypot(x - 0.3 - shift, y - 0.35) < 0.17] = (0.95, 0.8, 0.35)
    pixels: Picture = np.rint(255 * np.clip(sky, 0, 1)).astype(np.uint8)
    return pixels


def cut_out(size: int = 80) -> Picture:
    """[size, size, 4]: a striped disc with a hole, transparent outside."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    away = np.hypot(x, y)
    rgba = np.zeros((size, size, 4), np.uint8)
    rgba[..., :3] = np.where((np.sin(9 * x) > 0)[..., None], (220, 90, 40), (40, 120, 200))
    rgba[..., 3] = np.rint(255 * np.clip(12 * (0.85 - away), 0, 1) * np.clip(12 * (away - 0.25), 0, 1))
    return rgba


def mask(width: int, height: int, left: float, right: float) -> Picture:
    """[height, width]: white between two shares of the width."""
    x = (np.arange(width) + 0.5) / width
    return np.repeat(np.where((x > left) & (x < right), 255, 0).astype(np.uint8)[None], height, axis=0)


def bitmaps(folder: Path) -> str:
    """Three bitmaps of several shapes and colors."""
    y, x = np.mgrid[-1:1:40j, -1:1:40j]
    for name, alpha, color in (
        ("disc", np.clip(6 * (0.9 - np.hypot(x, y)), 0, 1), (230, 200, 60)),
        ("leaf", np.clip(6 * (0.8 - np.hypot(x, 2.5 * y + 0.4 * x)), 0, 1), (60, 140, 70)),
        ("bar", (abs(y) < 0.35) * 1.0, (50, 80, 160)),
    ):
        rgba = np.empty((40, 40, 4), np.uint8)
        rgba[..., :3] = np.rint(np.array(color) * (0.8 + 0.2 * x[..., None]))
        rgba[..., 3] = np.rint(255 * alpha)
        save(folder / f"{name}.png", rgba)
    return str(folder)


def inputs(root: Path) -> dict[str, str]:
    """Pictures, masks and bitmaps by name; everything that the jobs read."""
    for frame in range(3):
        save(root / "film" / f"{frame + 1:02d}.png", scene(64, 48, 0.08 * frame))
    return {
        "still": save(root / "still.png", scene()),
        "film": str(root / "film"),
        "cut_out": save(root / "cut_out.png", cut_out()),
        "left": save(root / "left.png", mask(96, 72, 0.0, 0.55)),
        "middle": save(root / "middle.png", mask(96, 72, 0.2, 0.8)),
        "bitmaps": bitmaps(root / "bitmaps"),
    }


def jobs(paths: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Settings by the name of the job."""
    usual: dict[str, Any] = {"target": paths["still"], "primitives": paths["bitmaps"], "count": 60, "steps": 60}
    palette = ("#203060", "#e0c040", "#4a7a4a", "#ffffff")
    return {
        "still": usual,
        "mixed": {**usual, "colour_mix": 0.5, "count": 20, "size": 192, "seed": 3, "preset": "best"},
        "film": {**usual, "target": paths["film"], "frame_steps": 12, "coherence": 0.0},
        "cut_out": {**usual, "target": paths["cut_out"], "colour_mix": 0.3},
        "linear": {**usual, "blend_space": "linear", "colour_mix": 1.0},
        "regions": {
            **usual,
            "regions": (
                {"mask": paths["left"], "count": 25, "confine": True},
                {"mask": paths["middle"], "count": 15, "min_size": 6.0},
            ),
        },
        "palette": {**usual, "palette": palette, "rotation_steps": 12},
        "palette_film": {
            **usual,
            "target": paths["film"],
            "frame_steps": 10,
            "palette": palette,
            "rotation_steps": 24,
            "coherence": 0.0,
        },
        "visibility": {**usual, "min_visibility": 0.2},
        "overlap": {**usual, "max_overlap": 1.2, "even_coverage": 0.5},
        "kept_in": {**usual, "keep_in": paths["middle"], "min_visibility": 0.1, "rotation_steps": 4},
        "outline": {**usual, "target": paths["cut_out"], "inside_outline": True, "lock_scale": True},
        "letters": {**usual, "primitives": None, "text": "Smalti &", "lock_rotation": True},
        "published": {**usual, "preset": "published", "steps": None},
        "structure": {**usual, "loss": "l1+0.5*ms_ssim+edges", "weight_map": paths["left"], "detail_weight": 0.5},
        "outlined": {**usual, "target": paths["cut_out"], "loss": "mse+alpha+oklab", "preset": "draft"},
        "resumed": {**usual, "count": 40, "max_overlap": 2.0},
    }


def hash_of(*parts: object) -> str:
    """16 hexadecimal digits for arrays, texts and plain JSON values."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        else:
            total.update(json.dumps(part, sort_keys=True).encode())
    return total.hexdigest()[:16]


def kind_of_machine() -> str:
    """What decides about the last bit: processor, instruction set, NumPy."""
    from smalti.engine.cpu import instruction_set

    model = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line for line in lines if line.startswith("model name")), "")
    return hash_of(platform.machine(), model, instruction_set(), np.__version__)


def without_paths(value: Any, root: str) -> Any:
    """A JSON value, in whose texts the folder `root` is called ROOT."""
    return json.loads(json.dumps(value).replace(json.dumps(root)[1:-1], "ROOT"))


def layer_table(path: Path) -> list[Any]:
    """Names, places, opacities and blend modes of a PSD's layers."""
    from psd_tools import PSDImage

    return [[layer.name, list(layer.bbox), layer.opacity, str(layer.blend_mode)] for layer in PSDImage.open(path)]


def as_recorded(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job.json without its id, which is random, and without what is younger than the hashes and has its default."""
    from smalti.bridge.job import JobSpec
    from smalti.bridge.job_file import ID
    from smalti.bridge.settings import settings_of

    known = json.loads(GOLDEN.read_text(encoding="utf-8"))["settings"]
    young = {name: one.default for name, one in settings_of(JobSpec).items() if name not in known}
    young[ID] = job.get(ID)
    if job["frame_rate"] is None:  # when the hashes were taken, it could not be left open
        job = {**job, "frame_rate": 24.0}
    if job["coherence"] == 0:  # then no film was held together
        young["coherence"] = 0.0
    return {name: value for name, value in job.items() if name not in young or value != young[name]}


def hashes_of(folder: Path, root: Path) -> dict[str, Any]:
    """What a finished job's folder holds, each file as a hash, and its quality in dB."""
    from smalti.engine.cli import main

    with np.load(folder / "frames.npz", allow_pickle=False) as arrays:
        frames = hash_of(*(part for name in sorted(arrays.files) for part in (name, arrays[name])))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    renders = sorted([*folder.glob("render.png"), *folder.glob("render/*.png")])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    found = {
        "psnr": report["psnr"],
        "frames": frames,
        "job": hash_of(without_paths(as_recorded(job), str(root))),
        "report": hash_of({name: value for name, value in report.items() if name not in VOLATILE + MEASURED}),
        "render": hash_of(*(np.asarray(Image.open(path)) for path in renders)),
    }
    if job["blend_space"] == "srgb":  # a PSD cannot show the other
        with contextlib.redirect_stdout(io.StringIO()):
            assert main(["export", str(folder), "--psd"]) == 0
        found["layers"] = hash_of(layer_table(folder / "layers.psd"))
    return found


def run(name: str, settings: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Do one job, here and through the worker."""
    from smalti.bridge.job import JobSpec
    from smalti.bridge.schema import from_mapping
    from smalti.engine import resume_job, run_job
    from smalti.engine.thread_count import on_threads

    job = from_mapping(JobSpec, dict(settings), name)
    out = root / f"job-{name}"
    with on_threads(THREADS):
        if name == "resumed":
            steps = iter(range(1000))
            run_job(job, out, should_stop=lambda: next(steps) >= 35)
            resume_job(out)
        else:
            run_job(job, out)
    found = hashes_of(out, root)
    if name in ("still", "film"):
        found["events"] = hash_of(events_of(dict(settings), root / f"worker-{name}"))
    return found


def events_of(settings: Mapping[str, Any], out: Path) -> list[Any]:
    """The kinds of the worker's events in order of their first arrival with their keys, and the result's report."""
    requests: list[dict[str, Any]] = [
        {"type": "fit", "id": "1", "job": dict(settings), "out": str(out)},
        {"type": "shutdown"},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "smalti.engine", "worker"],
        input="".join(json.dumps(request) + "\n" for request in requests),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": str(THREADS)},
    )
    seen: list[Any] = []
    for line in done.stdout.splitlines():
        event = json.loads(line)
        if event["type"] in ("progress", "preview", "log"):  # how many of these come depends on the clock
            kind: list[Any] = [event["type"], event.get("stage"), sorted(event)]
        elif event["type"] == "result":
            report = {name: value for name, value in event["report"].items() if name not in VOLATILE + MEASURED}
            kind = ["result", report, sorted(event)]
        else:
            kind = [event["type"], sorted(event)]
        if kind not in seen and event["type"] not in ("preview", "log"):
            seen.append(kind)
    return seen


def found_here(names: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Hashes and quality by the name of the job; None for all jobs."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        table = jobs(inputs(root))
        return {name: run(name, table[name], root) for name in names or table}


def differences(found: Mapping[str, Mapping[str, Any]], golden: Mapping[str, Any], machine: str) -> list[str]:
    """A line for each thing that is not as it was; on an unknown kind of machine only quality is compared."""
    lines = []
    known = golden["machines"].get(machine)
    for name, values in found.items():
        loss = golden["psnr"][name] - values["psnr"]
        if abs(loss) > TOLERANCE:
            lines.append(f"{name}: {values['psnr']:.2f} dB instead of {golden['psnr'][name]:.2f}")
        if known is not None:
            lines += [
                f"{name}: another {what}" for what in values if what != "psnr" and values[what] != known[name][what]
            ]
    return lines


def main() -> int:
    machine = kind_of_machine()
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    found = found_here(names or None)
    if "--record" in sys.argv:
        golden = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {"psnr": {}, "machines": {}}
        golden["psnr"] |= {name: values["psnr"] for name, values in found.items()}
        known = golden["machines"].setdefault(machine, {})
        known |= {name: {n: v for n, v in values.items() if n != "psnr"} for name, values in found.items()}
        GOLDEN.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
        return 0
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    lines = differences(found, golden, machine)
    print("\n".join(lines) or f"{len(found)} jobs as they were{'' if machine in golden['machines'] else ' (quality)'}")
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
