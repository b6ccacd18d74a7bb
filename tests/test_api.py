# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python API: the example of the package's documentation, and fitting in memory."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobs import bitmaps, contents, ramp, save

import smalti.engine
from smalti.bridge.errors import SmaltiError
from smalti.bridge.job import JobSpec
from smalti.engine.api import fit
from smalti.engine.composition import load_composition
from smalti.engine.composition.render import picture
from smalti.engine.job.run import run_job
from smalti.engine.templates import Template, load_templates


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return save(tmp_path / "target.png", ramp(48, 32))


@pytest.fixture
def templates(tmp_path: Path) -> list[Template]:
    return load_templates(bitmaps(tmp_path / "marks"))


def test_a_folder_of_the_same_name_does_not_hide_the_package(tmp_path: Path) -> None:
    (tmp_path / "smalti" / "engine").mkdir(parents=True)
    (tmp_path / "smalti" / "engine" / "__init__.py").write_text("raise ImportError('a clone in the current folder')\n")
    # PathFinder alone, since an editable installation also has a finder of its own, which comes first.
    script = "import smalti.engine, importlib.machinery as m; print(m.PathFinder.find_spec('smalti').origin)"
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found = Path(ended.stdout.strip())
    assert found.name == "__init__.py"
    assert tmp_path not in found.parents


def documented() -> str:
    """The example in the package's docstring, with a smaller job."""
    assert smalti.engine.__doc__ is not None
    example = textwrap.dedent(smalti.engine.__doc__.split("\n\n", 1)[1])
    example, replaced = re.subn(r"count=\d+, size=\d+", "count=20, size=64, steps=5", example)
    example, again = re.subn(r"size=4096", "size=128", example)
    assert (replaced, again) == (1, 1)
    return example


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", "import smalti.engine.job.run, smalti.engine.worker\n"], ids=["first", "later"])
def test_the_documented_example_works_as_written(tmp_path: Path, before: str) -> None:
    save(tmp_path / "portrait.jpg", ramp(96, 64))
    bitmaps(tmp_path / "leaves")
    after = "\nassert image.shape == (86, 128, 4) and image.dtype == 'float32', image"
    script = f"import sys\nsys.path[:] = {sys.path!r}\n{before}{documented()}{after}"
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert load_composition(tmp_path / "portrait-job").header.sprites == 20
    assert (tmp_path / "portrait-job" / "layers.psd").is_file()


def test_every_public_name_is_what_its_module_says_whatever_was_imported_before() -> None:
    for name in vars(smalti.engine)["__all__"]:
        found = getattr(smalti.engine, name)
        assert callable(found), name
        assert found.__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        getattr(smalti.engine, "fi" + "tt")


def test_importing_the_package_does_not_load_torch() -> None:
    script = f"import sys\nsys.path[:] = {sys.path!r}\nimport smalti.engine, smalti.engine.worker, smalti.engine.cli\n"
    script += "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules), set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_fit_in_memory_writes_nothing_and_is_the_jobs_own(
    target: Path, templates: list[Template], tmp_path: Path
) -> None:
    before = contents(tmp_path)
    composition = fit(target, templates, count=20, steps=10, seed=2)
    assert contents(tmp_path) == before
    run_job(JobSpec(str(target), str(tmp_path / "marks"), 20, steps=10, seed=2), tmp_path / "job")
    kept = load_composition(tmp_path / "job")
    assert replace(kept.header, id="") == composition.header  # the id is the folder's
    for name in ("template", "x", "y", "scale", "theta", "opacity", "tint"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(composition, name))


def test_a_saved_fit_is_drawn_alike_when_it_is_loaded_again(
    target: Path, templates: list[Template], tmp_path: Path
) -> None:
    composition = fit(str(target), templates, count=20, steps=10)
    composition.save(tmp_path / "kept")
    np.testing.assert_array_equal(picture(load_composition(tmp_path / "kept")), picture(composition))


def test_progress_is_called_after_every_step(target: Path, templates: list[Template]) -> None:
    reported: list[tuple[int, int, float]] = []
    fit(target, templates, count=5, steps=4, progress=lambda *numbers: reported.append(numbers))
    assert [numbers[:2] for numbers in reported] == [(n, 4) for n in (1, 2, 3, 4)]
    assert all(0 < loss < 1 for _, _, loss in reported)


def test_what_progress_raises_ends_the_fit(target: Path, templates: list[Template]) -> None:
    def enough(done: int, total: int, loss: float) -> None:
        if done == 2:
            raise StopIteration

    with pytest.raises(StopIteration):
        fit(target, templates, count=5, steps=10**6, progress=enough)


def test_paths_may_be_given_as_paths(target: Path, templates: list[Template]) -> None:
    assert fit(target, templates, count=5, steps=1, background=target).background_image is not None


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"count": 0}, "count is 0"),
        ({"count": 2.5}, "'count' must be a whole number"),
        ({"count": "many"}, "'count' must be a whole number"),
        ({"blend_space": "cmyk"}, "'blend_space' must be one of"),
        ({"lock_rotation": 1}, "'lock_rotation' must be true or false"),
        ({"colour_mix": float("nan")}, "'colour_mix' must be a finite number"),
        ({"device": "abacus"}, "'device' must be one of"),
        ({"background": "missing.png"}, "missing.png: does not exist"),
    ],
)
def test_a_setting_that_cannot_be_is_named(
    target: Path, templates: list[Template], settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(SmaltiError, match=re.escape(named)):
        fit(target, templates, **settings)


def test_an_unknown_setting_is_a_type_error(target: Path, templates: list[Template]) -> None:
    with pytest.raises(TypeError, match="sparkle"):
        fit(target, templates, sparkle=1)


def test_no_templates_are_refused(target: Path) -> None:
    with pytest.raises(SmaltiError, match="no bitmaps"):
        fit(target, [])


def test_a_missing_target_is_named(templates: list[Template]) -> None:
    with pytest.raises(SmaltiError, match=r"nowhere\.png: does not exist"):
        fit("nowhere.png", templates)
