# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compiled once is kept, and compiled again when anything that it depends on has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_kernels import SMALL

from smalti.engine.cuda import compiler, nvrtc


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Architectures that were really compiled for."""
    made: list[str] = []
    true = compiler.compile_image

    def counted(architecture: str, *arguments: Any) -> nvrtc.Program:
        made.append(architecture)
        return true(architecture, *arguments)

    monkeypatch.setattr(compiler, "compile_image", counted)
    return made


def test_what_is_cached_is_not_compiled_again(source: Path, calls: list[str]) -> None:
    first = compiler.compile_kernels("sm_90", source)
    again = compiler.compile_kernels("sm_90", source)
    assert calls == ["sm_90"]
    assert (first.cached, again.cached) == (False, True)
    assert (first.cubin, first.log) == (again.cubin, again.log)


def test_everything_that_the_result_depends_on_is_in_the_key(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [compiler.cache_key("sm_90", source)]
    assert compiler.cache_key("sm_90", source) == keys[0]
    keys.append(compiler.cache_key("sm_80", source))
    keys.append(compiler.cache_key("sm_90", source, (*compiler.OPTIONS, "--fmad=false")))
    header = source.parent.parent / "kernels" / "twice.h"
    header.write_text(header.read_text() + "\n")
    keys.append(compiler.cache_key("sm_90", source))
    (source.parent / "more.cuh").write_text("\n")
    keys.append(compiler.cache_key("sm_90", source))
    source.write_text(SMALL + "\n")
    keys.append(compiler.cache_key("sm_90", source))
    monkeypatch.setattr(compiler, "nvrtc_version", lambda: (99, 1))
    keys.append(compiler.cache_key("sm_90", source))
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 for key in keys)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: b"x" + data[1:],
        lambda data: data[:20],
    ],
)
def test_a_damaged_file_is_made_anew(
    damage: Callable[[bytes], bytes], source: Path, cache: Path, calls: list[str]
) -> None:
    good = compiler.compile_kernels("sm_75", source)
    (path,) = cache.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    again = compiler.compile_kernels("sm_75", source)
    assert len(calls) == 2
    assert again.cubin[:4] == good.cubin[:4]
    assert compiler.compile_kernels("sm_75", source).cached


def test_a_folder_that_cannot_be_written_costs_only_time(source: Path, tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    for _ in range(2):
        assert compiler.compile_kernels("sm_75", source).cubin
    assert len(calls) == 2


def test_a_cached_name_that_is_a_folder_costs_only_time(source: Path, cache: Path) -> None:
    (cache / f"sm_75-{compiler.cache_key('sm_75', source)}.bin").mkdir(parents=True)
    assert not compiler.compile_kernels("sm_75", source).cached


def test_the_oldest_files_of_an_architecture_go(source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "compile_image", lambda *arguments: nvrtc.Program(b"\x7fELF", "log"))
    compiler.compile_kernels("sm_80", source)
    names: list[str] = []
    for k in range(compiler.KEPT + 2):
        source.write_text(f"// {k}\n")
        compiler.compile_kernels("sm_75", source)
        (new,) = {p.name for p in cache.glob("sm_75-*")} - set(names)
        names.append(new)
        os.utime(cache / new, (k, k))
    assert {p.name for p in cache.glob("sm_75-*")} == set(names[-compiler.KEPT :])
    assert len(list(cache.glob("sm_80-*"))) == 1


@pytest.mark.slow
def test_two_processes_at_once(source: Path, cache: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from smalti.engine.cuda import compiler;"
        "print(len(compiler.compile_kernels('sm_90', Path(sys.argv[1])).cubin))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, source], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sizes = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sizes[0] == sizes[1]
    assert [path.suffix for path in cache.iterdir()] == [".bin"]
    assert compiler.compile_kernels("sm_90", source).cached


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {}, "~/.cache/smalti/cuda"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/smalti/cuda"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/Smalti/cuda"),
        ("darwin", {}, "~/Library/Caches/smalti/cuda"),
        ("linux", {"SMALTI_CACHE": "/own"}, "/own/cuda"),
    ],
)
def test_the_folder_is_the_platforms(
    platform: str, variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "SMALTI_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert compiler.cache_folder() == Path(folder).expanduser()
