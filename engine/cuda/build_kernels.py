# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the kernels for every architecture, for a wheel to carry: `make kernels`. Needs NVRTC, but no GPU.

What the cache of `compiler.compile_kernels` has is not compiled again. Several are compiled at a time.

python -m smalti.engine.cuda.build_kernels FOLDER
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from smalti.bridge.errors import SmaltiError

from ..kernel_pack import PACK, read_pack, source_hash, write_pack
from .compiler import (
    ARCHITECTURES,
    PACK_OPTIONS,
    PORTABLE,
    PTX_OPTIONS,
    SOURCE,
    compile_image,
    compile_kernels,
    nvrtc_version,
    resources,
)


def build(folder: Path) -> Path:
    """Write the compiled kernels into a folder, unless those that are there fit the sources and the compiler.

    Raises:
        SmaltiError: as `smalti.engine.cuda.compiler.compile_kernels`.
        OSError: a source cannot be read, or the file cannot be written.
    """
    path, hashed, toolkit = folder / PACK.name, source_hash(), nvrtc_version()
    old = read_pack(path)
    if old and (old.source_hash, old.toolkit, set(old.images)) == (hashed, toolkit, {*ARCHITECTURES, PORTABLE}):
        return path
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        portable = pool.submit(compile_image, PORTABLE, SOURCE, PTX_OPTIONS, "PTX")
        programs = dict(zip(ARCHITECTURES, pool.map(partial(compile_kernels, options=PACK_OPTIONS), ARCHITECTURES)))
    images = {name: program.cubin for name, program in programs.items()}
    images[PORTABLE] = portable.result().image.rstrip(b"\0")
    folder.mkdir(parents=True, exist_ok=True)
    write_pack(path, toolkit, hashed, list(resources(programs[ARCHITECTURES[0]].log)), images)
    return path


def main() -> int:
    """The command: status 0, or 2 with one sentence."""
    began = time.monotonic()
    try:
        path = build(Path(sys.argv[1]))
    except (SmaltiError, OSError) as fault:
        print(fault, file=sys.stderr)
        return 2
    print(f"{path}: {path.stat().st_size:,} bytes, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
