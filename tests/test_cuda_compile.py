# SPDX-License-Identifier: GPL-3.0-or-later
"""The CUDA kernels compile for every architecture, without a GPU; the cache; what is said where a GPU cannot be used.

A GPU's driver is replaced by objects that answer like one.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from jobs import ramp
from PIL import Image

from smalti.bridge.errors import SmaltiError
from smalti.engine import cli, devices
from smalti.engine.cli import doctor
from smalti.engine.cuda import compiler, driver
from smalti.engine.job.device import resolve_device
from smalti.engine.raster import self_check as selfcheck

SMALL = """
#include "twice.h"
extern "C" __global__ void plain(float* a, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) a[i] = twice(a[i]);
}
extern "C" __global__ void sharing(float* a) {
    __shared__ float kept[256];
    kept[threadIdx.x] = a[threadIdx.x];
    __syncthreads();
    a[threadIdx.x] = kept[255 - threadIdx.x];
}
// A bound of 32 registers for 64 numbers that are all needed until the end.
extern "C" __global__ void __launch_bounds__(1024, 2) spilling(float* a) {
    float x[64];
    #pragma unroll
    for (int k = 0; k < 64; ++k) x[k] = a[k * 1024 + threadIdx.x];
    __syncthreads();
    #pragma unroll
    for (int k = 0; k < 64; ++k) a[k * 1024 + threadIdx.x] = x[k] * x[63 - k] + x[(k * 7) % 64];
}
"""

NEEDS_SOURCE = pytest.mark.skipif(not compiler.SOURCE.exists(), reason="there is no smalti.cu")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of this test's own, and nothing remembered of this machine's GPU before or after."""
    monkeypatch.setenv("SMALTI_CACHE", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "cache" / "cuda"
    monkeypatch.undo()
    forget()


def forget() -> None:
    for function in (devices.nvidia_gpu, devices._packages_unavailable, driver.why_not, driver.kernels):
        function.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for folder in ("cuda", "kernels"):
        (tmp_path / folder).mkdir()
    (tmp_path / "kernels" / "twice.h").write_text("__device__ float twice(float x) { return 2 * x; }\n")
    (tmp_path / "cuda" / "small.cu").write_text(SMALL)
    return tmp_path / "cuda" / "small.cu"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Architectures that were really compiled for."""
    made: list[str] = []
    true = compiler._compile

    def counted(architecture: str, *arguments: Any) -> tuple[bytes, str]:
        made.append(architecture)
        return true(architecture, *arguments)

    monkeypatch.setattr(compiler, "_compile", counted)
    return made


# Compiling.


@pytest.mark.parametrize("architecture", compiler.ARCHITECTURES)
def test_a_source_compiles_for_each_architecture(architecture: str, source: Path) -> None:
    compiled = compiler.compile_kernels(architecture, source)
    assert compiled.cubin.startswith(b"\x7fELF")
    assert (compiled.architecture, compiled.cached) == (architecture, False)
    found = compiler.resources(compiled.log)
    assert list(found) == ["plain", "sharing", "spilling"]
    assert all(0 < r.registers <= 255 for r in found.values())
    assert found["plain"].shared == 0
    assert found["sharing"].shared == 1024
    assert found["plain"].spill_stores == found["sharing"].spill_loads == 0
    if architecture != "sm_75":  # whose blocks and registers are such that one block is as many as fit
        assert min(found["spilling"].spill_stores, found["spilling"].spill_loads) > 0


@functools.cache
def built(architecture: str) -> compiler.Compiled:
    """The real kernels, compiled once for all tests."""
    return compiler.compile_kernels(architecture)


def table(found: dict[str, dict[str, compiler.Resources]]) -> str:
    """A line for each kernel, a column for each architecture: registers, and spilled bytes where there are any."""

    def cell(taken: compiler.Resources) -> str:
        spilled = taken.spill_stores + taken.spill_loads
        return f"{taken.registers}+{spilled}" if spilled else str(taken.registers)

    names = sorted(set().union(*found.values()))
    width = max(map(len, names))
    lines = [" " * width + "".join(f"{architecture:>9}" for architecture in found) + "   shared"]
    for name in names:
        taken = [kernels[name] for kernels in found.values()]
        lines.append(f"{name:{width}}{''.join(f'{cell(t):>9}' for t in taken)}{max(t.shared for t in taken):9}")
    return "\n".join(lines)


@NEEDS_SOURCE
@pytest.mark.parametrize("architecture", compiler.ARCHITECTURES)
def test_the_kernels_compile_for_each_architecture(architecture: str) -> None:
    found = compiler.resources(built(architecture).log)
    assert found
    assert all(r.registers > 0 for r in found.values())


@NEEDS_SOURCE
def test_what_the_kernels_take(capsys: pytest.CaptureFixture[str]) -> None:
    found = {architecture: compiler.resources(built(architecture).log) for architecture in compiler.ARCHITECTURES}
    with capsys.disabled():  # to be read in every log
        print(f"\nRegisters of a thread, + bytes spilled; bytes of shared memory of a block\n{table(found)}")
    assert len({tuple(kernels) for kernels in found.values()}) == 1


def test_the_report_on_functions_that_are_called_counts_with_the_kernel() -> None:
    log = """ptxas info    : 24 bytes gmem
ptxas info    : Compiling entry function 'a' for 'sm_90'
ptxas info    : Function properties for a
ptxas         .     32 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 20 registers, used 1 barriers, 32 bytes cumulative stack size, 1024 bytes smem
ptxas info    : Compile time = 8.104 ms
ptxas info    : Function properties for _Z1fv
    16 bytes stack frame, 1 bytes spill stores, 2 bytes spill loads
ptxas info    : Compiling entry function 'b' for 'sm_90'
ptxas info    : Function properties for b
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, 364 bytes cmem[0]
"""
    found = compiler.resources(log)
    assert found == {"a": compiler.Resources(20, 5, 10, 1024, 48), "b": compiler.Resources(8, 0, 0, 0, 0)}
    lines = [line.split() for line in table({"sm_90": found}).splitlines()]
    assert lines == [["sm_90", "shared"], ["a", "20+15", "1024"], ["b", "8", "0"]]


def test_a_source_that_does_not_compile_is_one_sentence(source: Path, cache: Path) -> None:
    source.write_text('extern "C" __global__ void k(float* a) {\n    a[0] = nothing;\n}\n')
    with pytest.raises(SmaltiError) as caught:
        compiler.compile_kernels("sm_90", source)
    assert caught.value.code == "cuda_compile"
    assert caught.value.message == (
        'The CUDA kernels do not compile for sm_90: small.cu(2): error: identifier "nothing" is undefined.'
    )
    assert "pip install --upgrade" in caught.value.hint
    assert not cache.exists() or not list(cache.iterdir())


def test_a_kernel_that_asks_too_much_of_the_gpu_is_one_sentence(source: Path) -> None:
    source.write_text(
        'extern "C" __global__ void k(float* a) { __shared__ float b[99999]; b[a[0] > 0] = 1; a[1] = b[0]; }'
    )
    with pytest.raises(SmaltiError, match=r"for sm_80: ptxas error *: Entry function 'k' uses too much shared data"):
        compiler.compile_kernels("sm_80", source)


def test_an_architecture_that_nvrtc_does_not_know(source: Path) -> None:
    with pytest.raises(SmaltiError, match=r"NVRTC \d+\.\d+ cannot compile for sm_61") as caught:
        compiler.compile_kernels("sm_61", source)
    assert caught.value.code == "cuda_compile"


def test_a_newer_gpu_of_a_known_generation_takes_its_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiler.architecture_for((9, 0)) == "sm_90"
    monkeypatch.setattr(compiler, "_known", lambda: [75, 80, 86, 100])
    assert compiler.architecture_for((8, 9)) == "sm_86"
    assert compiler.architecture_for((10, 3)) == "sm_100"
    for capability in ((12, 0), (7, 0)):
        with pytest.raises(SmaltiError, match=f"for sm_{capability[0]}{capability[1]}"):
            compiler.architecture_for(capability)


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match=r"missing\.cu: cannot be read") as caught:
        compiler.compile_kernels("sm_90", tmp_path / "missing.cu")
    assert caught.value.code == "cuda_compile"


@pytest.mark.parametrize("module", ["cuda.core", "cuda.bindings"])
def test_a_missing_package_is_one_sentence(module: str, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SmaltiError, match="packages that compile for NVIDIA GPUs are missing") as caught:
        compiler.compile_kernels("sm_90", source)
    assert caught.value.code == "cuda_missing"
    assert caught.value.hint == 'Install them: pip install "smalti[cuda]"'


def test_a_missing_nvrtc_is_one_sentence(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise RuntimeError('Failure finding "libnvrtc.so":\n No such file')

    monkeypatch.setattr("cuda.bindings.nvrtc.nvrtcVersion", missing)
    with pytest.raises(
        SmaltiError, match=r'missing or broken \(Failure finding "libnvrtc.so": No such file\)'
    ) as caught:
        compiler.compile_kernels("sm_90", source)
    assert caught.value.code == "cuda_missing"


# The cache.


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
    keys.append(compiler.cache_key("sm_90", source, {**compiler.OPTIONS, "fma": False}))
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
    monkeypatch.setattr(compiler, "_compile", lambda architecture, *rest: (b"\x7fELF", "log"))
    compiler.compile_kernels("sm_80", source)
    names = []
    for k in range(compiler.KEPT + 2):
        source.write_text(f"// {k}\n")
        compiler.compile_kernels("sm_75", source)
        (new,) = {p.name for p in cache.glob("sm_75-*")} - set(names)
        names.append(new)
        os.utime(cache / new, (k, k))
    assert {p.name for p in cache.glob("sm_75-*")} == set(names[-compiler.KEPT :])
    assert len(list(cache.glob("sm_80-*"))) == 1


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


# Why a GPU cannot be used.


class Library:
    """libcuda as ctypes shows it: fills what the pointers point to, answers 0."""

    def __init__(self, capability: tuple[int, int] = (8, 6), version: int = 13000, count: int = 1, init: int = 0):
        self.answers = {75: capability[0], 76: capability[1]}
        self.version, self.count, self.init = version, count, init

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.init

    def cuDeviceGetCount(self, number: Any) -> int:  # noqa: N802
        number._obj.value = self.count
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        device._obj.value = index
        return 0

    def cuDriverGetVersion(self, number: Any) -> int:  # noqa: N802
        number._obj.value = self.version
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:  # noqa: N802
        name.value = b"Test RTX"
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:  # noqa: N802
        memory._obj.value = 8 * 2**30
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = self.answers[attribute]
        return 0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a machine with a GPU of this one, good but for what is given."""

    def make(library: Library | OSError | None = None, torch_cuda: int | None = 13, torch_works: bool = True) -> None:
        def load() -> Any:
            if isinstance(library, OSError):
                raise library
            return library or Library()

        def empty(*arguments: Any, **more: Any) -> None:
            if not torch_works:
                raise RuntimeError("CUDA error: all CUDA-capable devices are busy\nor unavailable")

        monkeypatch.setattr(devices, "_load_driver", load)
        monkeypatch.setattr(devices, "_torch_cuda", lambda: torch_cuda)
        monkeypatch.setattr(driver.torch, "empty", empty)

    return make


def test_a_gpu_that_works_comes_first(machine: Callable[..., None]) -> None:
    machine()
    assert devices.nvidia_gpu() == devices.Gpu("Test RTX", (8, 6), 8 * 2**30, (13, 0))
    assert devices.cuda_unavailable() is None
    assert driver.why_not() is None
    assert devices.available_devices() == ("cuda", "cpu", "reference")
    assert devices.default_device() == "cuda"


@pytest.mark.parametrize(
    ("made", "reason", "hint", "fixable"),
    [
        ({"library": OSError("libcuda.so.1")}, "No NVIDIA driver was found on this machine.", "cpu", False),
        ({"library": Library(init=34)}, "No NVIDIA driver was found on this machine.", "cpu", False),
        ({"library": Library(init=100)}, "There is an NVIDIA driver, but no GPU that it can use.", "cpu", False),
        ({"library": Library(count=0)}, "There is an NVIDIA driver, but no GPU that it can use.", "cpu", False),
        ({"library": Library(init=803)}, "The NVIDIA driver does not work (error 803).", "newest NVIDIA driver", True),
        ({"library": object()}, "The NVIDIA driver does not work ('object'", "newest NVIDIA driver", True),
        ({"library": Library((7, 0))}, "Test RTX is too old: it has compute capability 7.0", "cpu", False),
        ({"torch_cuda": None}, "The torch that is installed was built without CUDA.", "stands on pytorch.org", True),
        (
            {"library": Library(version=12080), "torch_cuda": 12},
            "The NVIDIA driver is too old: it knows CUDA 12.8, and NVRTC needs CUDA 13.0.",
            "newest NVIDIA driver",
            True,
        ),
        (
            {"library": Library(version=13020), "torch_cuda": 14},
            "The NVIDIA driver is too old: it knows CUDA 13.2, and torch needs CUDA 14.0.",
            "newest NVIDIA driver",
            True,
        ),
    ],
)
def test_why_a_gpu_cannot_be_used(
    made: dict[str, Any], reason: str, hint: str, fixable: bool, machine: Callable[..., None]
) -> None:
    machine(**made)
    unavailable = devices.cuda_unavailable()
    assert unavailable is not None
    assert unavailable.reason.startswith(reason)
    assert hint in unavailable.hint
    assert unavailable.fixable == fixable
    assert driver.why_not() == str(unavailable)
    assert devices.available_devices() == ("cpu", "reference")


def test_missing_packages_are_named(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    true = devices.find_spec
    monkeypatch.setattr(devices, "find_spec", lambda name: None if name == "cuda.core" else true(name))
    assert "packages for NVIDIA GPUs are not installed (cuda.core)" in str(driver.why_not())
    assert 'pip install "smalti[cuda]"' in str(driver.why_not())


def test_a_gpu_that_torch_or_nvrtc_cannot_use(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine(torch_works=False)
    expected = "torch cannot use the GPU (CUDA error: all CUDA-capable devices are busy or unavailable)."
    assert str(driver.why_not()).startswith(expected)
    forget()

    def missing() -> None:
        raise SmaltiError("NVRTC is missing.", "Install it.", "cuda_missing")

    monkeypatch.setattr(driver, "nvrtc_version", missing)
    assert driver.why_not() == "NVRTC is missing. Install it."


def test_torchs_cuda_is_read_from_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices._torch_cuda() == (int(torch.version.cuda.split(".")[0]) if torch.version.cuda else None)
    monkeypatch.setattr(devices, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    assert devices._torch_cuda() is None
    (tmp_path / "version.py").write_text("debug = False\ncuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n")
    assert devices._torch_cuda() == 13


def test_asking_for_the_devices_imports_nothing_heavy() -> None:
    code = (
        "import sys; from smalti.engine import devices; devices.available_devices();"
        "assert not {'torch', 'numpy', 'smalti.engine.cuda'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# What a user reads.


def test_asking_for_a_gpu_that_cannot_be_used_is_one_line_and_2(
    machine: Callable[..., None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    machine(OSError())
    Image.fromarray(ramp()).save(tmp_path / "target.png")
    arguments = ["fit", str(tmp_path / "target.png"), "--primitives", str(tmp_path), "--out", str(tmp_path / "out")]
    assert cli.main([*arguments, "--device", "cuda"]) == 2
    assert capfd.readouterr().err == (
        "smalti: --device is 'cuda', but: No NVIDIA driver was found on this machine. Choose the device cpu or auto.\n"
    )
    assert not (tmp_path / "out").exists()


def test_auto_computes_on_the_cpu_and_says_why(machine: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smalti")
    machine(OSError())
    assert resolve_device("auto") == "cpu"
    (said,) = caplog.records
    assert (said.levelname, said.getMessage()[:48]) == ("INFO", "The GPU is not used: No NVIDIA driver was found ")
    caplog.clear()
    forget()
    machine(torch_cuda=None)
    assert resolve_device("auto") == "cpu"
    assert [(r.levelname, "built without CUDA" in r.getMessage()) for r in caplog.records] == [("WARNING", True)]
    caplog.clear()
    forget()
    machine(torch_works=False)
    assert resolve_device("auto") == "cpu"
    assert [(r.levelname, "devices are busy" in r.getMessage()) for r in caplog.records] == [("WARNING", True)]
    with pytest.raises(SmaltiError, match="device is 'cuda', but: torch cannot use the GPU"):
        resolve_device("cuda")


def cuda_checks() -> dict[str, doctor.Check]:
    return {check.name: check for check in doctor._cuda()}


def test_doctor_is_calm_about_a_machine_without_a_gpu(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(OSError())
    found = cuda_checks()
    assert list(found) == ["GPU", "CUDA packages", "CUDA kernels"]
    assert all(check.good for check in found.values())
    assert found["GPU"].found == "not used: No NVIDIA driver was found on this machine."
    assert "nvidia-cuda-nvrtc" in found["CUDA packages"].found
    assert found["CUDA kernels"].found.startswith("compiled for sm_75 by NVRTC ")
    monkeypatch.setattr(doctor, "_version", lambda package: "")
    found = cuda_checks()
    assert list(found) == ["GPU", "CUDA packages"]
    assert all(check.good for check in found.values())
    assert found["CUDA packages"].found.endswith("only a GPU needs them")


def test_doctor_tells_of_a_gpu_and_what_it_lacks(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine(torch_cuda=None)
    found = cuda_checks()
    assert found["NVIDIA driver"].found == "for CUDA 13.0"
    assert found["GPU"].found == "Test RTX, 8,192 MB, compute capability 8.6"
    assert found["CUDA kernels"].found.startswith("compiled for sm_86")
    assert not found["GPU drawing"].good
    assert "built without CUDA" in found["GPU drawing"].found
    monkeypatch.setattr(doctor, "_version", lambda package: "")
    packages = cuda_checks()["CUDA packages"]
    assert not packages.good
    assert packages.hint == 'Install them: pip install "smalti[cuda]"'


def test_doctor_draws_with_a_gpu_that_works(machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    monkeypatch.setattr(selfcheck, "draws", lambda back_end: back_end == "cuda")
    assert cuda_checks()["GPU drawing"] == doctor.Check("GPU drawing", True, "works")
    monkeypatch.setattr(selfcheck, "draws", lambda back_end: 1 / 0)
    assert not cuda_checks()["GPU drawing"].good


# Launches.


class Driver:
    """Records the launches, as cuda.bindings.driver would make them."""

    CUresult = SimpleNamespace(CUDA_ERROR_OUT_OF_MEMORY=SimpleNamespace(name="CUDA_ERROR_OUT_OF_MEMORY"))
    CUfunction_attribute = SimpleNamespace(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES=8)
    sizes = (4, 8, 4, 8)

    def __init__(self) -> None:
        self.current = 0
        self.made: list[tuple[Any, ...]] = []
        self.result: Any = 0

    def __getattr__(self, name: str) -> Callable[..., tuple[Any, ...]]:
        return lambda *arguments: (0, 1)

    def cuCtxGetCurrent(self) -> tuple[int, int]:  # noqa: N802
        return 0, self.current

    def cuCtxPushCurrent(self, context: int) -> tuple[int]:  # noqa: N802
        self.current = context
        return (0,)

    def cuCtxPopCurrent(self) -> tuple[int, int]:  # noqa: N802
        self.current = 0
        return 0, 1

    def cuModuleGetFunction(self, module: int, name: bytes) -> tuple[int, bytes]:  # noqa: N802
        return 0, name

    def cuFuncGetParamInfo(self, function: bytes, index: int) -> tuple[int, int, int]:  # noqa: N802
        return (0, 0, self.sizes[index]) if index < len(self.sizes) else (1, 0, 0)

    def cuFuncSetAttribute(self, *arguments: Any) -> tuple[int]:  # noqa: N802
        self.made.append(arguments)
        return (0,)

    def cuLaunchKernel(self, *arguments: Any) -> tuple[Any]:  # noqa: N802
        assert self.current == 1
        places = (ctypes.c_void_p * len(self.sizes)).from_address(arguments[9])
        whole, pointer, number, null = (ctypes.string_at(place, size) for place, size in zip(places, self.sizes))
        kinds = (ctypes.c_int32, ctypes.c_uint64, ctypes.c_float, ctypes.c_uint64)
        read = [kind.from_buffer_copy(raw).value for kind, raw in zip(kinds, (whole, pointer, number, null))]
        self.made.append((*arguments[:9], *read))
        return (self.result,)


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> driver.Kernels:
    """On the CPU, whose memory no launch touches."""
    log = "Compiling entry function 'k' for 'sm_90'\nUsed 8 registers\n"
    compiled = compiler.Compiled("sm_90", b"\x7fELF", log, True, 0.0)
    monkeypatch.setattr("cuda.bindings.driver", Driver())
    monkeypatch.setattr(driver, "compile_kernels", lambda architecture: compiled)
    monkeypatch.setattr(driver.torch.cuda, "init", lambda: None)
    monkeypatch.setattr(driver.torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(driver.torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=77))
    return driver.Kernels(torch.device("cpu"))


def test_a_launch_passes_its_arguments(kernels: driver.Kernels) -> None:
    assert (kernels.architecture, list(kernels.resources)) == ("sm_90", ["k"])
    numbers = torch.zeros(3)
    kernels.launch("k", (5, 2, 1), (256, 1, 1), -7, numbers, 1.5, None)
    assert kernels._driver.made == [(b"k", 5, 2, 1, 256, 1, 1, 0, 77, -7, numbers.data_ptr(), 1.5, 0)]
    assert kernels._driver.current == 0


def test_much_shared_memory_is_asked_for_once(kernels: driver.Kernels) -> None:
    for _ in range(2):
        kernels.launch("k", (1, 1, 1), (1, 1, 1), 1, None, 1.0, None, shared=60000)
    first, *launches = kernels._driver.made
    assert first == (b"k", 8, 60000)
    assert [launch[7] for launch in launches] == [60000, 60000]


@pytest.mark.parametrize(
    ("name", "arguments", "named"),
    [
        ("none", (), "no kernel 'none'"),
        ("k", (2**31, None, 1.0, None), "does not fit into 32 bits"),
        ("k", (1, None, 1e300, None), "does not fit into 32 bits"),
        ("k", (1, None, 1.0), r"takes arguments of \[4, 8, 4, 8\] bytes, not of \[4, 8, 4\]"),
        ("k", (1, 2, 1.0, None), r"not of \[4, 4, 4, 8\]"),
        ("k", (1, torch.zeros(2, 2).T, 1.0, None), "argument 1: needs a contiguous tensor"),
        ("k", (1, torch.zeros(2, device="meta"), 1.0, None), "argument 1: needs a contiguous tensor on cpu"),
        ("k", ("1",), "argument 0: is a str"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(
    name: str, arguments: tuple[Any, ...], named: str, kernels: driver.Kernels
) -> None:
    with pytest.raises(ValueError, match=named):
        kernels.launch(name, (1, 1, 1), (1, 1, 1), *arguments)
    assert kernels._driver.made == []


def test_a_launch_that_the_driver_refuses(kernels: driver.Kernels) -> None:
    kernels._driver.result = SimpleNamespace(name="CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES")
    with pytest.raises(RuntimeError, match="CUDA: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, k"):
        kernels.launch("k", (1, 1, 1), (1, 1, 1), 1, None, 1.0, None)
    kernels._driver.result = kernels._driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY
    with pytest.raises(SmaltiError, match="this canvas needs 5 MB"), driver.memory_errors(5 * 2**20, "this canvas"):
        kernels.launch("k", (1, 1, 1), (1, 1, 1), 1, None, 1.0, None)


def test_a_full_gpu_says_how_much_was_needed_and_what_to_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver.torch.cuda, "mem_get_info", lambda device: (3 * 2**20, 8 * 2**30))
    monkeypatch.setattr(driver.torch.cuda, "memory_reserved", lambda device: 3 * 2**20)
    monkeypatch.setattr(driver.torch.cuda, "memory_allocated", lambda device: 2**20)
    with pytest.raises(SmaltiError) as caught, driver.memory_errors(2**32 + 1, "a canvas of 9000 x 9000 pixels"):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")
    assert caught.value.code == "out_of_memory"
    assert caught.value.message == (
        "The GPU has too little memory: a canvas of 9000 x 9000 pixels needs 4,097 MB, and 5 MB are free."
    )
    assert "smaller size or count" in caught.value.hint
    with pytest.raises(ZeroDivisionError), driver.memory_errors(1, "this"):
        _ = 1 / 0


def test_no_kernel_of_the_tiles_keeps_numbers_in_local_memory() -> None:
    """An array that is indexed at run time would be; the resource report does not tell, the PTX does."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc")

    def checked(result: tuple[Any, ...]) -> Any:
        assert int(result[0]) == 0, result
        return result[1] if len(result) > 1 else None

    program = checked(nvrtc.nvrtcCreateProgram(compiler.SOURCE.read_bytes(), b"smalti.cu", 0, [], []))
    options = [b"--gpu-architecture=compute_90", b"--std=c++17", f"-I{compiler.SOURCE.parent}".encode()]
    checked(nvrtc.nvrtcCompileProgram(program, len(options), options))
    size = checked(nvrtc.nvrtcGetPTXSize(program))
    ptx = b" " * size
    checked(nvrtc.nvrtcGetPTX(program, ptx))
    entries = re.split(r"\.entry (\w+)", ptx.decode())
    found = dict(zip(entries[1::2], entries[2::2]))
    assert "step_tint" in found
    for name, text in found.items():
        if name.startswith(("draw_", "step_", "differentiate_", "removal_", "appraise_", "merge_", "update_")):
            assert "__local_depot" not in text.split(".func")[0], name
