# SPDX-License-Identifier: GPL-3.0-or-later
"""Which back ends this machine can compute on. Imports nothing heavy, so that the worker can say so at once."""

from __future__ import annotations


def available_devices() -> tuple[str, ...]:
    """The devices that a job can ask for here, fastest first (``"auto"`` is allowed besides)."""
    return ("cpu", "reference")


def default_device() -> str:
    """What ``"auto"`` means here."""
    return available_devices()[0]
