# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device a job computes on, tried out before it is chosen."""

from __future__ import annotations

import logging
from functools import cache

from smalti.bridge.choices import AUTO
from smalti.bridge.errors import SmaltiError, named

from ..devices import BACK_ENDS, available_devices, default_device

logger = logging.getLogger(__name__)


def resolve_device(requested: str) -> str:
    """The device for a job that requests one by name, or ``"auto"``. Why no GPU is used is logged.

    Raises:
        SmaltiError: code ``"device_missing"``: this machine has no such device, or it does not work.
    """
    device = default_device() if requested == AUTO else requested
    if device not in available_devices():
        unavailable = BACK_ENDS[device].unavailable() if device in BACK_ENDS else None
        if unavailable is not None:
            raise SmaltiError(
                f"{named('device')} is {device!r}, but: {unavailable.reason}", unavailable.hint, "device_missing"
            )
        raise SmaltiError(
            f"{named('device')} is {requested!r}, but this machine offers {', '.join(available_devices())}.",
            "Choose one of them, or auto.",
            "device_missing",
        )
    if BACK_ENDS[device].is_gpu:
        if reason := _fault(device):
            if requested == device:
                raise SmaltiError(f"{named('device')} is {device!r}, but: {reason}", code="device_missing")
            logger.warning("The GPU is not used: %s", reason)
            device = next(name for name in available_devices() if not BACK_ENDS[name].is_gpu)
    elif requested == AUTO:
        gpus = (back_end.unavailable() for back_end in BACK_ENDS.values() if back_end.is_gpu)
        for unavailable in filter(None, gpus):
            level = logging.WARNING if unavailable.fixable else logging.INFO
            logger.log(level, "The GPU is not used: %s", unavailable)
    return device


def _fault(device: str) -> str | None:
    """What is wrong with a GPU that should work, or None."""
    from ..raster.backends import why_not

    return why_not(device) or _wrong_result(device)


@cache
def _wrong_result(device: str) -> str | None:
    """What is wrong with a GPU's drawing, found by a test scene that it draws once; None if nothing is."""
    from ..raster.self_check import agrees_with_cpu

    try:
        return None if agrees_with_cpu(device) else "It computes something else than the CPU does (see smalti doctor)."
    except Exception as fault:  # a driver can fail in any way, and the CPU is there
        return f"It fails ({' '.join(str(fault).split())[:200]})."
