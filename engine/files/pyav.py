# SPDX-License-Identifier: GPL-3.0-or-later
"""PyAV, which reads and writes films. It is needed for them alone, and imported when it is first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from smalti.bridge.errors import SmaltiError

OLDEST = 18
"""The first version with everything that is used here."""
INSTALL = 'Install it (pip install "smalti[film]"), or take a folder of pictures for a film.'


def load_pyav() -> Any:
    """The module ``av``.

    Raises:
        SmaltiError: code ``"no_pyav"``: it is not installed, or is too old.
    """
    try:
        av = import_module("av")
    except ImportError as fault:
        raise SmaltiError(
            f"Films need the package PyAV, which cannot be imported ({fault}).", INSTALL, "no_pyav"
        ) from fault
    version = str(av.__version__)
    if int(version.partition(".")[0]) < OLDEST:
        raise SmaltiError(f"Films need PyAV {OLDEST} or later, and it is {version}.", INSTALL, "no_pyav")
    av.logging.set_level(None)  # what it has to say is said by its exceptions
    return av


def reason_of(fault: Exception) -> str:
    """What one of PyAV's exceptions says, without the path."""
    return str(getattr(fault, "strerror", None) or fault).strip() or type(fault).__name__
