# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device a job computes on, tried out before it is chosen."""

from __future__ import annotations

import logging
from functools import cache

from smalti.bridge.choices import AUTO
from smalti.bridge.errors import SmaltiError, named

from ..devices import available_devices, cuda_unavailable, default_device

logger = logging.getLogger(__name__)


def resolve_device(requested: str) -> str:
    """The device for a job that requests one by name, or ``"auto"``. Why no GPU is used is logged.

    Raises:
        SmaltiError: code ``"device_missing"``: this machine has no such device, or it does not work.
    """
    device = default_device() if requested == AUTO else requested
    if device not in available_devices():
        unavailable = cuda_unavailable() if device == "cuda" else None
        if unavailable is not None:
            raise SmaltiError(
                f"{named('device')} is 'cuda', but: {unavailable.reason}", unavailable.hint, "device_missing"
            )
        raise SmaltiError(
            f"{named('device')} is {requested!r}, but this machine offers {', '.join(available_devices())}.",
            "Choose one of them, or auto.",
            "device_missing",
        )
    if device == "cuda":
        from ..cuda.driver import why_not

        if reason := why_not() or _gpu_fault():
            if requested == "cuda":
                raise SmaltiError(f"{named('device')} is 'cuda', but: {reason}", code="device_missing")
            logger.warning("The GPU is not used: %s", reason)
            device = next(name for name in available_devices() if name != "cuda")
    elif requested == AUTO and (unavailable := cuda_unavailable()):
        logger.log(logging.WARNING if unavailable.fixable else logging.INFO, "The GPU is not used: %s", unavailable)
    return device


@cache
def _gpu_fault() -> str | None:
    """What is wrong with a GPU that should work, found by drawing a test scene on it once; None if nothing is."""
    from ..raster.self_check import draws

    try:
        return None if draws("cuda") else "It computes something else than the CPU does (see smalti doctor)."
    except Exception as fault:  # a driver can fail in any way, and the CPU is there
        return f"It fails ({' '.join(str(fault).split())[:200]})."
