# SPDX-License-Identifier: GPL-3.0-or-later
"""The CUDA kernels that a wheel carries: compiled for every architecture when it was built, in one file.

Imports nothing heavy, so that the devices of a machine can be listed at once, and runs as a script too: the build
checks a file with it (CMakeLists.txt). `smalti.engine.cuda.build_kernels` writes the file.

The file is a line that names the format, the length of a header (4 bytes), the header as JSON, and the images one after
another, each compressed.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACK = Path(__file__).parent / "cuda" / "kernels.bin"
"""Where a wheel carries it. A checkout of the sources has none: there NVRTC compiles what is needed."""

SOURCES = Path(__file__).parent / "cuda", Path(__file__).parent / "kernels"
"""The folders of the kernels' sources."""

_MAGIC = b"smalti-kernels-1\n"
_LENGTH = struct.Struct("<I")
_COMPRESSION: dict[str, Any] = {"format": lzma.FORMAT_XZ, "check": lzma.CHECK_CRC32, "preset": 9 | lzma.PRESET_EXTREME}


@dataclass(frozen=True)
class KernelPack:
    """What a file of compiled kernels holds.

    Attributes:
        path: the file.
        toolkit: major and minor version of the CUDA toolkit that compiled it.
        source_hash: `source_hash` of the sources that it was compiled from.
        kernels: the names of the kernels.
        images: offset and number of compressed bytes of each image, by name: ``"sm_90"`` holds machine code,
            ``"compute_100"`` is PTX, which a driver compiles for later architectures.
    """

    path: Path
    toolkit: tuple[int, int]
    source_hash: str
    kernels: tuple[str, ...]
    images: Mapping[str, tuple[int, int]]

    def image_for(self, capability: tuple[int, int]) -> str | None:
        """The name of the image for a GPU of this compute capability; None if none runs there."""
        number = 10 * capability[0] + capability[1]
        known = [(kind, int(digits)) for kind, digits in (name.split("_") for name in self.images)]
        # Machine code runs on all later devices of its major version, PTX on all later ones.
        machine = [n for kind, n in known if kind == "sm" and n // 10 == capability[0] and n <= number]
        if machine:
            return f"sm_{max(machine)}"
        portable = [n for kind, n in known if kind == "compute" and n <= number]
        return f"compute_{max(portable)}" if portable else None

    def read(self, image: str) -> bytes:
        """An image, decompressed. Raises OSError or ValueError where the file cannot be read or is damaged."""
        offset, size = self.images[image]
        with self.path.open("rb") as file:
            file.seek(offset)
            try:
                return lzma.decompress(file.read(size))
            except lzma.LZMAError as fault:
                raise ValueError(f"{self.path}: the kernels for {image} are damaged ({fault})") from fault


def read_pack(path: Path) -> KernelPack | None:
    """The header of a file of compiled kernels; None if there is no such file, or it is damaged."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return None
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            header = json.loads(file.read(length))
            size = path.stat().st_size
        images = {str(name): (int(offset), int(count)) for name, (offset, count) in header["images"].items()}
        major, minor = header["toolkit"]
        pack = KernelPack(path, (major, minor), header["source_hash"], tuple(header["kernels"]), images)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None
    whole = all(re.fullmatch(r"(sm|compute)_\d+", name) and sum(place) <= size for name, place in images.items())
    return pack if whole else None


def usable_pack() -> KernelPack | None:
    """What this installation carries; None also where the sources are there and have changed since it was built."""
    pack = read_pack(PACK)
    if pack is None:
        return None
    has_sources = next(source_files(), None) is not None
    return pack if not has_sources or pack.source_hash == source_hash() else None


def source_files(folders: Sequence[Path] | None = None) -> Iterator[Path]:
    """Every source and header of the kernels, or of those in other folders, in an order that is always the same."""
    for folder in folders or SOURCES:
        for path in sorted(folder.glob("*")) if folder.is_dir() else []:
            if path.suffix in (".cu", ".cuh", ".h"):
                yield path


def source_hash() -> str:
    """SHA-256 of the names and contents of all sources and headers. Raises OSError where one cannot be read."""
    digest = hashlib.sha256()
    for path in source_files():
        for part in (path.name.encode(), path.read_bytes().replace(b"\r\n", b"\n")):
            digest.update(struct.pack("<Q", len(part)) + part)
    return digest.hexdigest()


def write_pack(
    path: Path, toolkit: tuple[int, int], hashed: str, kernels: Sequence[str], images: Mapping[str, bytes]
) -> None:
    """Write a file of compiled kernels; the arguments are those of `KernelPack`, but the images as they are."""
    compressed = {name: lzma.compress(image, **_COMPRESSION) for name, image in images.items()}
    header: dict[str, Any] = {"toolkit": toolkit, "source_hash": hashed, "kernels": list(kernels)}

    def with_offsets(start: int) -> bytes:
        places, offset = {}, start
        for name, data in compressed.items():
            places[name] = (offset, len(data))
            offset += len(data)
        return json.dumps({**header, "images": places}).encode()

    # The offsets are part of the header, whose length they depend on: blanks fill up what was reserved for it.
    reserved = len(with_offsets(10**9))
    head = with_offsets(len(_MAGIC) + _LENGTH.size + reserved).ljust(reserved)
    path.write_bytes(_MAGIC + _LENGTH.pack(reserved) + head + b"".join(compressed.values()))


def main() -> int:
    """Check that a file fits the sources beside this script: status 0, or 1 with a sentence."""
    path = Path(sys.argv[1])
    pack = read_pack(path)
    if pack is None:
        print(f"{path}: is no file of compiled kernels, or is damaged; make one: make kernels", file=sys.stderr)
        return 1
    if pack.source_hash != source_hash():
        print(f"{path}: was built from other sources than these; make it again: make kernels", file=sys.stderr)
        return 1
    print(
        f"{path}: {len(pack.kernels)} kernels for {', '.join(pack.images)} by CUDA {'.'.join(map(str, pack.toolkit))}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
