# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled kernels that a wheel carries: what is chosen, and that they are never used with other sources."""

from __future__ import annotations

import ctypes
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cuda_host import KERNELS, HostGpu, library

from smalti.bridge.errors import SmaltiError
from smalti.engine import kernel_pack
from smalti.engine.cuda import binning, build_kernels, compiler, device, launcher, nvrtc
from smalti.engine.cuda.driver import DriverError

IMAGES = {"sm_75": b"old", "sm_86": bytes(range(256)) * 400, "sm_89": b"ada", "sm_120": b"new", "compute_100": b"ptx"}


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What this installation carries."""
    path = tmp_path / "kernels.bin"
    kernel_pack.write_pack(path, (13, 0), kernel_pack.source_hash(), ["a", "b"], IMAGES)
    monkeypatch.setattr(kernel_pack, "PACK", path)
    return path


def test_what_was_written_is_read(pack: Path) -> None:
    found = kernel_pack.usable_pack()
    assert found is not None
    assert (found.toolkit, found.kernels, found.source_hash) == ((13, 0), ("a", "b"), kernel_pack.source_hash())
    assert {name: found.read(name) for name in found.images} == IMAGES
    assert pack.stat().st_size < 2000


@pytest.mark.parametrize(
    ("capability", "image"),
    [
        ((7, 5), "sm_75"),
        ((8, 0), None),  # machine code of 8.6 does not run there
        ((8, 6), "sm_86"),
        ((8, 7), "sm_86"),
        ((8, 9), "sm_89"),
        ((9, 0), None),
        ((10, 3), "compute_100"),
        ((11, 0), "compute_100"),
        ((12, 1), "sm_120"),
        ((13, 0), "compute_100"),
    ],
)
@pytest.mark.usefixtures("pack")
def test_the_image_for_a_gpu(capability: tuple[int, int], image: str | None) -> None:
    found = kernel_pack.usable_pack()
    assert found is not None
    assert found.image_for(capability) == image


def test_kernels_of_other_sources_are_not_used(
    pack: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_pack, "SOURCES", (tmp_path / "cuda", tmp_path / "kernels"))
    assert kernel_pack.usable_pack() is None
    kernel_pack.write_pack(pack, (13, 0), kernel_pack.source_hash(), ["a"], IMAGES)
    assert kernel_pack.usable_pack() is not None
    source.write_bytes(source.read_bytes().replace(b"\n", b"\r\n"))  # as another system checks them out
    assert kernel_pack.usable_pack() is not None
    source.write_text(source.read_text() + "\n")
    assert kernel_pack.usable_pack() is None
    monkeypatch.setattr(kernel_pack, "SOURCES", (tmp_path / "none",))
    assert kernel_pack.usable_pack() is not None  # an installation without sources


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:40],
        lambda data: b"x" + data[1:],
        lambda data: data[:-1],
        lambda data: data.replace(b"images", b"imagos"),
        lambda data: data.replace(b"toolkit", b"toolbox"),
        lambda data: data.replace(b"sm_75", b"75_sm"),
    ],
)
def test_a_damaged_file_is_none(damage: Callable[[bytes], bytes], pack: Path) -> None:
    pack.write_bytes(damage(pack.read_bytes()))
    assert kernel_pack.usable_pack() is None


def test_a_damaged_image_is_one_sentence(pack: Path) -> None:
    found = kernel_pack.read_pack(pack)
    assert found is not None
    data = bytearray(pack.read_bytes())
    data[found.images["sm_86"][0] + 20] ^= 255
    pack.write_bytes(data)
    with pytest.raises(SmaltiError, match="The compiled CUDA kernels cannot be read") as caught:
        launcher.image_for((8, 6))
    assert caught.value.code == "cuda_missing"


def test_the_build_checks_a_file_before_a_wheel_carries_it(pack: Path) -> None:
    def checked() -> tuple[int, str]:
        script = [sys.executable, str(kernel_pack.__file__), str(pack)]
        done = subprocess.run(script, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    status, said = checked()
    assert status == 0
    assert "2 kernels for sm_75, sm_86, sm_89, sm_120, compute_100 by CUDA 13.0" in said
    kernel_pack.write_pack(pack, (13, 0), "another", ["a"], IMAGES)
    status, said = checked()
    assert (status, "was built from other sources" in said) == (1, True)
    pack.write_bytes(b"x")
    status, said = checked()
    assert (status, "is no file of compiled kernels" in said) == (1, True)


def test_what_is_built_already_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def compiled(name: str, *rest: object) -> nvrtc.Program:
        made.append(name)
        return nvrtc.Program(b"image\0", "Compiling entry function 'k' for 'sm_75'\nUsed 8 registers\n")

    for module in (build_kernels, compiler):
        monkeypatch.setattr(module, "compile_image", compiled)
    monkeypatch.setattr(sys, "argv", ["build_kernels", str(tmp_path / "new")])
    assert build_kernels.main() == build_kernels.main() == 0
    assert sorted(made) == sorted([*compiler.ARCHITECTURES, compiler.PORTABLE])
    found = kernel_pack.read_pack(tmp_path / "new" / "kernels.bin")
    assert found is not None
    assert (found.kernels, found.read("compute_100"), found.read("sm_75")) == (("k",), b"image", b"image\0")


def test_a_build_without_the_compiler_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nvrtc, "files", lambda package: [])
    monkeypatch.setattr(sys, "argv", ["build_kernels", str(tmp_path)])
    assert build_kernels.main() == 2
    assert "pip install nvidia-cuda-nvrtc" in capsys.readouterr().err


# The real kernels, by way of the driver on the host.


@pytest.fixture(scope="module")
def built() -> kernel_pack.KernelPack:
    """As `make kernels` builds them; kept, for that takes half a minute."""
    path = build_kernels.build(Path(__file__).resolve().parents[2] / "build" / "kernels")
    found = kernel_pack.read_pack(path)
    assert found is not None
    return found


@pytest.mark.slow
def test_the_kernels_of_every_architecture_load_by_name(
    built: kernel_pack.KernelPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert built.path.stat().st_size < 1.5 * 2**20  # of the 8 MB that a wheel may have
    assert built.kernels == KERNELS
    assert [*built.images] == [*compiler.ARCHITECTURES, compiler.PORTABLE]
    gpu = HostGpu(monkeypatch)
    monkeypatch.setattr(kernel_pack, "PACK", built.path)
    for name in built.images:
        number = 130 if name == compiler.PORTABLE else int(name.split("_")[1])
        gpu.library.shim_device(number // 10, number % 10, 13000, 1, 2**30)
        device.device.cache_clear()
        loaded = launcher.Kernels(device.device())
        assert loaded.image.name == name
        assert sorted(loaded.occupied()) == list(KERNELS)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", compiler.ARCHITECTURES)
def test_the_parameters_of_each_kernel_are_those_of_its_source(
    architecture: str, built: kernel_pack.KernelPack
) -> None:
    found = parameter_sizes(built.read(architecture))
    for name in KERNELS:
        assert found[name] == host_sizes(name), name


@pytest.mark.slow
def test_no_kernel_of_the_tiles_keeps_numbers_in_local_memory(built: kernel_pack.KernelPack) -> None:
    """An array that is indexed at run time would be; the resource report does not tell, the PTX does."""
    entries = re.split(r"\.entry (\w+)", built.read(compiler.PORTABLE).decode())
    found = dict(zip(entries[1::2], entries[2::2]))
    assert "step_tint" in found
    for name, text in found.items():
        # Those left out have a thread or a warp for each sprite.
        if not name.startswith(("combine_", "count_", "list_", "place_", "project_")):
            assert "__local_depot" not in text.split(".func")[0], name


def host_sizes(name: str) -> list[int]:
    """Sizes of a kernel's parameters where the host compiles it."""
    sizes = (ctypes.c_size_t * 64)()
    count = library().shim_parameters(name.encode(), sizes)
    return sizes[:count]


def parameter_sizes(cubin: bytes) -> dict[str, list[int]]:
    """Sizes of the parameters of each kernel, by the sections .nv.info.NAME of a cubin."""
    (at,), (size, count, names) = struct.unpack_from("<Q", cubin, 40), struct.unpack_from("<3H", cubin, 58)
    sections = [struct.unpack_from("<IIQQQQ", cubin, at + size * i) for i in range(count)]
    start = sections[names][4]
    found: dict[str, list[int]] = {}
    for name_at, _, _, _, offset, length in sections:
        name = cubin[start + name_at : cubin.index(b"\0", start + name_at)].decode()
        if name.startswith(".nv.info."):
            found[name.removeprefix(".nv.info.")] = _parameters(cubin[offset : offset + length])
    return found


def _parameters(info: bytes) -> list[int]:
    parameter, with_size = 0x17, 4  # EIATTR_KPARAM_INFO, EIFMT_SVAL
    sizes: dict[int, int] = {}
    at = 0
    while at < len(info):
        kind, attribute, value = struct.unpack_from("<BBH", info, at)
        if (kind, attribute) == (with_size, parameter):
            _, number, _, packed = struct.unpack_from("<IHHI", info, at + 4)
            sizes[number] = packed >> 18
        at += 4 + (value if kind == with_size else 0)
    return [sizes[number] for number in sorted(sizes)]


def test_an_image_without_a_kernel_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    HostGpu(monkeypatch, b".version 9.0\n.visible .entry sum_losses(\n", "compute_90")
    with pytest.raises(DriverError, match="CUDA_ERROR_NOT_FOUND, candidates_mixed"):
        binning.current_launcher()
