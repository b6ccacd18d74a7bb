# SPDX-License-Identifier: GPL-3.0-or-later
"""How kernels are launched, and what is said when the driver refuses. An object answers in place of the driver."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from smalti.bridge.errors import SmaltiError
from smalti.engine.cuda import compiler, driver


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
        kinds: tuple[Any, ...] = (ctypes.c_int32, ctypes.c_uint64, ctypes.c_float, ctypes.c_uint64)
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
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=77))
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
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * 2**20, 8 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 3 * 2**20)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2**20)
    with pytest.raises(SmaltiError) as caught, driver.memory_errors(2**32 + 1, "a canvas of 9000 x 9000 pixels"):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")
    assert caught.value.code == "out_of_memory"
    assert caught.value.message == (
        "The GPU has too little memory: a canvas of 9000 x 9000 pixels needs 4,097 MB, and 5 MB are free."
    )
    assert "smaller size or count" in caught.value.hint
    with pytest.raises(ZeroDivisionError), driver.memory_errors(1, "this"):
        _ = 1 / 0
