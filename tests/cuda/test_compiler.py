# SPDX-License-Identifier: GPL-3.0-or-later
"""The CUDA kernels compile for every architecture, without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from smalti.bridge.errors import SmaltiError
from smalti.engine.cuda import compiler, nvrtc
from smalti.engine.cuda.binning import OF_STEPS, STEP_PIXELS, THREADS


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


def built(architecture: str) -> compiler.Compiled:
    """The real kernels as a wheel carries them, which `make kernels` may have compiled already."""
    return compiler.compile_kernels(architecture, options=compiler.PACK_OPTIONS)


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


@pytest.mark.slow
@pytest.mark.usefixtures("kept_cache")
@pytest.mark.parametrize("architecture", compiler.ARCHITECTURES)
def test_the_kernels_compile_for_each_architecture(architecture: str) -> None:
    found = compiler.resources(built(architecture).log)
    assert found
    assert all(r.registers > 0 for r in found.values())


@pytest.mark.slow
@pytest.mark.usefixtures("kept_cache")
def test_what_the_kernels_take(capsys: pytest.CaptureFixture[str]) -> None:
    found = {architecture: compiler.resources(built(architecture).log) for architecture in compiler.ARCHITECTURES}
    with capsys.disabled():  # for `make cuda`
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


def test_a_missing_compiler_is_one_sentence(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "files", lambda package: [])
    with pytest.raises(SmaltiError) as caught:
        compiler.compile_kernels("sm_90", source)
    assert caught.value.code == "cuda_missing"
    assert caught.value.message == (
        "The compiler for NVIDIA GPUs is missing or broken (nvidia-cuda-nvrtc is not installed)."
    )
    assert caught.value.hint.startswith("Install it: pip install nvidia-cuda-nvrtc.")


def test_a_broken_compiler_is_one_sentence(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "libnvrtc.so.13"
    broken.write_text("no library")
    monkeypatch.setattr(nvrtc, "_candidates", lambda: [broken])
    with pytest.raises(SmaltiError, match=r"missing or broken \(.*libnvrtc\.so\.13: ") as caught:
        compiler.compile_kernels("sm_90", source)
    assert caught.value.code == "cuda_missing"


@pytest.mark.slow
@pytest.mark.usefixtures("kept_cache")
def test_a_multiprocessor_of_the_smallest_kind_is_full_of_blocks() -> None:
    """Turing has room for 1,024 threads and 64 KB of shared memory: a block may take no more than its part of both."""
    taken = compiler.resources(built("sm_75").log)
    passes = ("draw", "show", "differentiate", "compare", "step", "step_terms")
    found = {
        f"{name}_{kind}": (THREADS // STEP_PIXELS if name in OF_STEPS else THREADS)
        for name in passes
        for kind in ("tint", "mixed", "shaded")
    }
    for name, threads in found.items():
        assert taken[name].registers <= 64, name
        assert 1024 // threads * taken[name].shared <= 64 * 1024, name
