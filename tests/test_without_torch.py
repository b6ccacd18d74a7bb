# SPDX-License-Identifier: GPL-3.0-or-later
"""Smalti without PyTorch: all is there but the back end "reference" and the loss vgg, and these say what to install."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jobs import bitmaps, pixels_of, ramp, save
from PIL import Image

HIDDEN = {
    "blocked": "sys.modules['torch'] = None\n",
    "absent": """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'torch':
            raise ModuleNotFoundError('No module named ' + repr(name), name=name)
sys.meta_path.insert(0, Finder())
""",
}
"""Ways in which an import of torch fails."""
COMMAND = "from smalti.engine.cli import main\nsys.exit(main(sys.argv[1:]))"


def without_torch(
    script: str, *arguments: object, hidden: str = "absent", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python in a process that has no torch."""
    code = f"import sys\n{HIDDEN[hidden]}{script}"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a target, bitmaps and a mask."""
    save(tmp_path / "target.png", ramp(64, 48))
    bitmaps(tmp_path / "marks")
    mask = Image.new("L", (64, 48), 0)
    mask.paste(255, (8, 6, 56, 42))
    mask.save(tmp_path / "mask.png")
    return tmp_path


FIT = """
from pathlib import Path
from smalti.bridge.job import JobSpec
from smalti.engine import resume_job, run_job
job = JobSpec(
    "target.png", "marks", 30, steps=20, loss="l1+ssim+0.5*edges", min_visibility=0.1, max_overlap=2.0,
    keep_in="mask.png", background="transparent", preset="balanced",
)
steps = iter(range(100))
assert run_job(job, Path("job"), should_stop=lambda: next(steps) >= 9).cancelled
outcome = resume_job(Path("job"))
assert not outcome.cancelled
run_job(job, Path("whole"))
assert "torch" not in {name.partition(".")[0] for name, module in sys.modules.items() if module is not None}
"""


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_job_is_fitted_resumed_exported_and_drawn(here: Path, hidden: str) -> None:
    ended = without_torch(FIT, hidden=hidden, cwd=here)
    assert ended.returncode == 0, ended.stderr
    job = here / "job"
    assert (job / "frames.npz").read_bytes() == (here / "whole" / "frames.npz").read_bytes()
    for command in (("export", job, "--psd"), ("render", job, "--size", 128)):
        ended = without_torch(COMMAND, *command, hidden=hidden, cwd=here)
        assert ended.returncode == 0, ended.stderr
    assert (job / "layers.psd").is_file()
    assert pixels_of(job / "render-128.png").shape == (96, 128, 4)
    shown = pixels_of(job / "render.png")
    assert shown[..., 3].max() > 0.5
    assert shown[:4, :, 3].max() < 1 / 255


@pytest.mark.parametrize("hidden", HIDDEN)
def test_the_reference_says_what_to_install(here: Path, hidden: str) -> None:
    fit = "fit", "target.png", "--primitives", "marks", "--out", "out", "--steps", 3, "--device", "reference"
    ended = without_torch(COMMAND, *fit, hidden=hidden, cwd=here)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "smalti: --device is 'reference', but: PyTorch is not installed. Install it: pip install \"smalti[torch]\"\n"
    )
    assert not (here / "out").exists()


@pytest.mark.parametrize("hidden", HIDDEN)
def test_the_loss_vgg_says_what_to_install(here: Path, hidden: str) -> None:
    (here / "vgg.pth").write_bytes(b"weights")
    fit = "fit", "target.png", "--primitives", "marks", "--out", "out", "--steps", 3
    ended = without_torch(COMMAND, *fit, "--loss", "mse+vgg", "--vgg-weights", "vgg.pth", hidden=hidden, cwd=here)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        'smalti: The loss vgg needs PyTorch, which is not installed. Install it: pip install "smalti[torch]"\n'
    )
    assert not (here / "out").exists()


@pytest.mark.parametrize("hidden", HIDDEN)
def test_the_devices_are_those_that_work(hidden: str) -> None:
    ended = without_torch(
        "from smalti.engine.devices import available_devices\nprint(*available_devices())", hidden=hidden
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "reference" not in ended.stdout
    assert "cpu" in ended.stdout


def test_doctor_finds_nothing_missing() -> None:
    ended = without_torch(COMMAND, "doctor")
    assert ended.returncode == 0, ended.stdout
    assert "MISSING" not in ended.stdout
    devices = next(line for line in ended.stdout.splitlines() if " devices: " in line)
    assert "reference" not in devices


@pytest.mark.slow
def test_a_case_is_timed(here: Path) -> None:
    case = "--sprites", 20, "--size", 16, "--half-size", 3, "--threads", 1
    ended = without_torch(COMMAND, "bench", *case, "--json", "numbers.json", cwd=here)
    assert ended.returncode == 0, ended.stderr
    assert "reference" not in {row["backend"] for row in json.loads((here / "numbers.json").read_text())}
