# SPDX-License-Identifier: GPL-3.0-or-later
"""Launches, memory and recorded launches by way of the driver, and what is said when it refuses."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest
import torch
from cuda_host import HostGpu

from smalti.bridge.errors import SmaltiError
from smalti.engine import devices
from smalti.engine.cuda import device, launcher
from smalti.engine.cuda.device import PLAIN_MEMORY, Device
from smalti.engine.cuda.driver import DriverError
from smalti.engine.cuda.launcher import Kernels
from smalti.engine.cuda.memory import DeviceArray, copied, memory_errors, to_device, to_host, zeros

pytestmark = pytest.mark.usefixtures("gpu")

OUT_OF_MEMORY, INVALID_IMAGE, UNAVAILABLE, ILLEGAL_ADDRESS = 2, 200, 46, 700


@pytest.fixture
def on(gpu: HostGpu) -> Device:
    return device.device()


@pytest.fixture
def kernels(gpu: HostGpu) -> Kernels:
    return launcher.kernels()


def sum_losses(kernels: Kernels, *changed: Any) -> float:
    """The sum of 1, 2, 3 times 0.5, by the kernel."""
    losses = copied(np.array([1, 2, 3], np.float32), kernels.device)
    status, sums = zeros(kernels.device, (4,), np.int32), zeros(kernels.device, (1,), np.float64)
    arguments = changed or (3, losses, 0.5, status, sums)
    kernels.launch("sum_losses", (1, 1, 1), (256, 1, 1), *arguments)
    return float(sums.numpy()[0])


def test_a_launch_passes_its_arguments(gpu: HostGpu, kernels: Kernels) -> None:
    assert kernels.image.name == "sm_90"
    assert "sum_losses" in kernels.image.kernels
    assert sum_losses(kernels) == 3.0
    assert gpu.launched == ["sum_losses"]


def test_a_launch_from_another_thread(kernels: Kernels) -> None:
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.append(sum_losses(kernels)))
    thread.start()
    thread.join()
    assert found == [3.0]


def test_much_shared_memory_is_requested(kernels: Kernels, gpu: HostGpu) -> None:
    arguments = 0, None, 1.0, zeros(kernels.device, (4,), np.int32), zeros(kernels.device, (1,), np.float64)
    for _ in range(2):
        kernels.launch("sum_losses", (1, 1, 1), (256, 1, 1), *arguments, shared=60000)
    gpu.fail("cuFuncSetAttribute", 1)
    kernels.launch("sum_losses", (1, 1, 1), (256, 1, 1), *arguments, shared=60000)  # it is not requested again
    with pytest.raises(DriverError, match="CUDA_ERROR_INVALID_VALUE, sum_losses"):
        kernels.launch("sum_losses", (1, 1, 1), (256, 1, 1), *arguments, shared=61000)


@pytest.mark.parametrize(
    ("name", "arguments", "named"),
    [
        ("none", (), "no kernel 'none'"),
        ("sum_losses", (2**31, None, 1.0, None, None), "does not fit into 32 bits"),
        ("sum_losses", (1, None, 1e300, None, None), "does not fit into 32 bits"),
        ("sum_losses", (1, None), r"takes arguments of \[4, 8, 4, 8, 8\] bytes, not of \[4, 8\]"),
        ("sum_losses", (1, None, 1.0, 2, None), r"not of \[4, 8, 4, 4, 8\]"),
        ("sum_losses", ("1",), "argument 0: is a str"),
        ("sum_losses", (1, np.zeros(2)), "argument 1: is a ndarray"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused(
    name: str, arguments: tuple[Any, ...], named: str, kernels: Kernels, gpu: HostGpu
) -> None:
    with pytest.raises(ValueError, match=named):
        kernels.launch(name, (1, 1, 1), (1, 1, 1), *arguments)
    assert gpu.launched == []


def test_an_array_of_another_device_is_refused(kernels: Kernels) -> None:
    from smalti.engine.cuda import driver

    other = zeros(Device(driver.driver()), (4,), np.int32)
    with pytest.raises(ValueError, match="argument 1: needs an array on this device"):
        kernels.launch("sum_losses", (1, 1, 1), (1, 1, 1), 1, other)


def test_a_launch_that_the_driver_refuses(kernels: Kernels, gpu: HostGpu) -> None:
    gpu.fail("cuLaunchKernel", 701)
    with pytest.raises(DriverError, match="CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, sum_losses"):
        sum_losses(kernels)
    gpu.fail("cuLaunchKernel", OUT_OF_MEMORY)
    with pytest.raises(SmaltiError, match="this canvas needs 5 MB"), memory_errors(5 * 2**20, "this canvas"):
        sum_losses(kernels)
    assert sum_losses(kernels) == 3.0


def test_kernels_that_the_driver_refuses_are_one_sentence(gpu: HostGpu) -> None:
    gpu.fail("cuModuleLoadData", INVALID_IMAGE)
    with pytest.raises(SmaltiError) as caught:
        launcher.kernels()
    assert caught.value.code == "cuda_driver"
    assert caught.value.message == "The NVIDIA driver refuses the kernels for sm_90 (CUDA_ERROR_INVALID_IMAGE)."


@pytest.mark.parametrize("function", ["cuInit", "cuDevicePrimaryCtxRetain", "cuStreamCreate"])
def test_a_gpu_that_cannot_be_opened_is_one_sentence(function: str, gpu: HostGpu) -> None:
    assert devices.cuda_unavailable() is None
    gpu.fail(function, UNAVAILABLE)
    said = launcher.why_not()
    assert said == f"The GPU cannot be used (CUDA_ERROR_DEVICE_UNAVAILABLE, {function}). Choose the device cpu."


@pytest.mark.parametrize("plain", [False, True])
def test_memory_is_given_back(plain: bool, gpu: HostGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    if plain:
        monkeypatch.setenv(PLAIN_MEMORY, "1")
        gpu.library.shim_device(9, 0, 13000, 0, 2**30)
    on = device.device()
    before = gpu.allocated()
    array = copied(np.arange(6, dtype=np.float32).reshape(3, 2), on)
    rows = array[1:]
    assert (rows.shape, rows.numpy().tolist()) == ((2, 2), [[2, 3], [4, 5]])
    del array
    assert gpu.allocated() == before + 24  # the rows are part of it
    assert (on.allocated, on.peak) == (24, 24)
    del rows
    assert gpu.allocated() == before
    assert (on.allocated, on.peak) == (0, 24)
    on.reset_peak()
    assert on.peak == 0
    assert DeviceArray(on, (0, 3), np.float64).numpy().shape == (0, 3)


def test_a_full_gpu_says_how_much_was_needed_and_what_to_lower(gpu: HostGpu, on: Device) -> None:
    gpu.library.shim_device(9, 0, 13000, 1, gpu.allocated() + 5 * 2**20)
    with pytest.raises(SmaltiError) as caught, memory_errors(2**32 + 1, "a canvas of 9000 x 9000 pixels"):
        DeviceArray(on, (2**23,), np.uint8)
    assert caught.value.code == "out_of_memory"
    assert caught.value.message == (
        "The GPU has too little memory: a canvas of 9000 x 9000 pixels needs 4,097 MB, and 5 MB are free."
    )
    assert "smaller size or count" in caught.value.hint
    with pytest.raises(ZeroDivisionError), memory_errors(1, "this"):
        _ = 1 / 0


def test_memory_that_is_full_for_a_moment_is_tried_again(gpu: HostGpu, on: Device) -> None:
    gpu.fail("cuMemAllocAsync", OUT_OF_MEMORY)
    assert copied(np.arange(3), on).numpy().tolist() == [0, 1, 2]


def test_recorded_launches_are_made_when_they_are_replayed(gpu: HostGpu, kernels: Kernels) -> None:
    losses = copied(np.ones(4, np.float32), kernels.device)
    status, sums = zeros(kernels.device, (4,), np.int32), zeros(kernels.device, (1,), np.float64)
    unused = [zeros(kernels.device, (8,), np.int32)]

    def launches() -> None:
        unused.clear()  # as Python's collector may at any time
        kernels.launch("sum_losses", (1, 1, 1), (256, 1, 1), 4, losses, 2.0, status, sums)

    graph = kernels.device.record(launches)
    assert gpu.launched == []
    assert float(sums.numpy()[0]) == 0
    for _ in range(2):
        losses.copy_from(losses.numpy() + 1)
        graph.replay()
    assert float(sums.numpy()[0]) == 24
    assert gpu.launched == ["sum_losses"] * 2
    before = gpu.allocated()
    del graph, launches
    gc.collect()
    assert gpu.allocated() == before


@pytest.mark.parametrize("launches", [lambda on: zeros(on, (3,), np.int32), lambda on: on.synchronize()])
def test_what_cannot_be_recorded_is_refused_and_leaves_the_stream_as_it_was(launches: Any, on: Device) -> None:
    with pytest.raises(DriverError, match="CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"):
        on.record(lambda: launches(on))
    assert copied(np.arange(3), on).numpy().tolist() == [0, 1, 2]


class Foreign:
    """An array in the GPU's memory that another library owns."""

    def __init__(self, base: DeviceArray, array: np.ndarray[Any, Any], **more: Any) -> None:
        """As a view of the memory of `base`, which lies as that of `array` does."""
        self.base = base
        whole = array.base if isinstance(array.base, np.ndarray) else array
        offset = array.ctypes.data - whole.ctypes.data
        self.__cuda_array_interface__ = {
            "version": 3,
            "shape": array.shape,
            "typestr": array.dtype.str,
            "strides": array.strides,
            "data": (base.pointer + offset, False),
            **more,
        }


def test_arrays_of_other_libraries_are_taken_without_a_copy_where_they_fit(gpu: HostGpu, on: Device) -> None:
    numbers = np.arange(12, dtype=np.float32).reshape(3, 4)
    base = copied(numbers, on)
    before = gpu.allocated()
    for more in ({}, {"stream": None}, {"stream": 1}, {"stream": on.stream}):
        taken = to_device(Foreign(base, numbers, **more), on)
        assert (taken.pointer, taken.shape) == (base.pointer, (3, 4))
    assert gpu.allocated() == before
    for view in (numbers.T, numbers[::-1, 1:], numbers[:, ::2], numbers[:0]):
        foreign = Foreign(base, view)
        np.testing.assert_array_equal(to_device(foreign, on).numpy(), view)
        np.testing.assert_array_equal(to_device(foreign, on, np.int32).numpy(), view.astype(np.int32))
        np.testing.assert_array_equal(to_host(foreign, on), view)


def test_a_foreign_array_lives_as_long_as_ours_that_shares_its_memory(on: Device) -> None:
    base = copied(np.arange(3, dtype=np.float32), on)
    foreign = Foreign(base, np.arange(3, dtype=np.float32))
    taken = to_device(foreign, on)
    del base, foreign
    assert taken.numpy().tolist() == [0, 1, 2]


def test_our_arrays_are_given_as_the_interface_says(on: Device) -> None:
    array = copied(np.arange(6, dtype=np.float64).reshape(2, 3), on)
    interface = array.__cuda_array_interface__
    assert interface == {
        "version": 3,
        "shape": (2, 3),
        "typestr": "<f8",
        "data": (array.pointer, False),
        "strides": None,
        "stream": on.stream,
    }


def test_what_is_no_array_is_refused(on: Device) -> None:
    for wrong in ([1, 2], torch.zeros(2)):
        with pytest.raises(TypeError, match="neither a NumPy array nor one on a GPU"):
            to_device(wrong, on)
    with pytest.raises(ValueError, match=r"needs an array of shape \(2,\), not \(3,\)"):
        zeros(on, (2,), np.int32).copy_from(np.zeros(3))
    with pytest.raises(ValueError, match="one after another"):
        zeros(on, (4,), np.int32)[::2]


def test_an_earlier_failure_of_a_kernel_is_reported_and_freeing_after_it_is_silent(gpu: HostGpu, on: Device) -> None:
    array = zeros(on, (3,), np.int32)
    gpu.fail("cuStreamSynchronize", ILLEGAL_ADDRESS)
    with pytest.raises(DriverError, match="CUDA_ERROR_ILLEGAL_ADDRESS"):
        array.numpy()
    gpu.fail("cuMemFreeAsync", ILLEGAL_ADDRESS)
    del array


def test_a_fault_without_a_name_is_a_number(gpu: HostGpu, on: Device) -> None:
    gpu.fail("cuStreamSynchronize", 12345)
    with pytest.raises(DriverError, match="CUDA error 12345, cuStreamSynchronize"):
        on.synchronize()
