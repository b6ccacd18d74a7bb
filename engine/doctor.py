# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine can do, and what to install where something is missing."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from smalti.bridge.version import VERSION

from .devices import available_devices, default_device

FREE_DISK_MB = 500
"""A job's folder with its PSD rarely needs more."""


@dataclass(frozen=True)
class Check:
    """One finding: what was looked at, whether it is as it should be, what was found, what to do."""

    name: str
    good: bool
    found: str
    hint: str = ""


def checks() -> Iterator[Check]:
    """Look at everything that a job needs, the likeliest trouble first."""
    yield Check(
        "Smalti", True, f"{VERSION}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    for package, module in (
        ("torch", "torch"),
        ("numpy", "numpy"),
        ("pillow", "PIL"),
        ("psd-tools", "psd_tools"),
        ("tqdm", "tqdm"),
    ):
        yield _package(package, module)
    yield _kernels()
    yield Check("devices", True, f"{', '.join(available_devices())}; auto means {default_device()}")
    yield _disk()


def _disk() -> Check:
    try:
        free = shutil.disk_usage(Path.cwd()).free // 2**20
    except OSError as fault:
        return Check(
            "disk", False, f"the current folder cannot be read ({fault.strerror})", "Change to another folder."
        )
    return Check(
        "disk",
        free >= FREE_DISK_MB,
        f"{free:,} MB free in the current folder",
        "" if free >= FREE_DISK_MB else f"Free some space: jobs want {FREE_DISK_MB} MB.",
    )


def _package(package: str, module: str) -> Check:
    try:
        import_module(module)
        return Check(package, True, version(package))
    except (ImportError, PackageNotFoundError, OSError) as fault:
        return Check(package, False, f"cannot be imported ({fault})", f"Install it: pip install {package}")


def _kernels() -> Check:
    """Draw and differentiate one sprite, for a module that imports may still not run here."""
    try:
        import numpy as np
        import torch

        from . import cpu
        from .raster import build_atlas, composite

        affine = torch.tensor([[0.25, 0, -1, 0, 0.25, -1]], dtype=torch.float64, requires_grad=True)
        tint, template = torch.ones(1, 3, dtype=torch.float64), torch.zeros(1, dtype=torch.int32)
        image = composite(affine, torch.ones(1), tint, template, build_atlas([np.ones((8, 8, 4))]), (8, 8))
        image.sum().backward()  # type: ignore[no-untyped-call]
        assert affine.grad is not None
        good = abs(float(image[4, 4, 3].detach()) - 1) < 1e-5 and bool(torch.isfinite(affine.grad).all())
        found = f"{cpu.instruction_set()}, {torch.get_num_threads()} of {os.cpu_count()} threads"
        return Check("CPU kernels", good, found if good else "give a wrong result", "" if good else "Reinstall Smalti.")
    except Exception as fault:  # whatever it is, the user wants to read it rather than a traceback
        return Check(
            "CPU kernels", False, f"do not run ({fault})", "Reinstall Smalti: pip install --force-reinstall smalti"
        )
