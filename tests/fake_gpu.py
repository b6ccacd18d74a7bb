# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with a GPU that objects stand for, which answer like NVIDIA's libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from smalti.engine import devices
from smalti.engine.cuda import device, driver, launcher, nvrtc
from smalti.engine.cuda.driver import DriverError


def forget() -> None:
    """Let nothing be remembered of this machine's GPU."""
    remembered = devices.nvidia_gpu, devices._kernels_unavailable, driver.driver, device.device, nvrtc._library
    for function in (*remembered, launcher.why_not, launcher.kernels):
        function.cache_clear()


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


def machine_maker(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that makes this a machine with a GPU, good but for its arguments."""

    def make(library: Library | OSError | None = None, compiler: int | None = 13, works: bool = True) -> None:
        def load() -> Any:
            if isinstance(library, OSError):
                raise library
            return library or Library()

        def opened() -> object:
            if not works:
                raise DriverError("CUDA_ERROR_DEVICE_UNAVAILABLE", "cuDevicePrimaryCtxRetain")
            return object()

        monkeypatch.setattr(devices, "_load_driver", load)
        monkeypatch.setattr(devices, "_compiler_major", lambda: compiler)
        monkeypatch.setattr(launcher, "device", opened)

    return make
