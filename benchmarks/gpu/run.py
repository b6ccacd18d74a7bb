# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that wants a GPU, in one go: `python benchmarks/gpu/run.py`. README.md says what it covers.

Each part runs in a process of its own, for a fault on a GPU spoils its process. It prints what it finds and adds lines
to a table that is printed last: what was measured, the figure, the limit, and whether it holds. The exit status is the
number of failures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from agreement import machine, parity, sanitized, small, step_parity
from speed import bench, circles, fits, kernel_times, many_fits, steps, terms
from table import Line, Part, finished

PART_SECONDS = 420

PARTS: dict[str, Part] = {
    "machine": machine,
    "sanitizers": sanitized,
    "parity": parity,
    "step-parity": step_parity,
    "steps": steps,
    "kernels": kernel_times,
    "terms": terms,
    "circles": circles,
    "fits": fits,
    "many-fits": many_fits,
    "bench": bench,
}


def part_file(folder: Path, name: str) -> Path:
    """Where a part leaves its lines."""
    return folder / f"part-{name}.json"


def main() -> int:
    """Run the chosen parts, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="folder with paintings/ and primitives/ (default: examples/, and no circles)"
    )
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "smalti-gpu", help="for files")
    parser.add_argument("--only", default="", help=f"some of {', '.join(PARTS)}, with commas between")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)  # one part, in this process
    options = parser.parse_args()
    if options.only == "small":
        small(options)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = options.only.split(",") if options.only else list(PARTS)
    if unknown := [name for name in chosen if name not in PARTS]:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    if options.alone:
        lines = PARTS[chosen[0]](options)
        part_file(options.out, chosen[0]).write_text(json.dumps([asdict(line) for line in lines]))
        return 0
    from smalti.engine.cuda import why_not

    if reason := why_not():
        print(f"No GPU can be used here: {reason}", file=sys.stderr)
        return 2
    table: list[Line] = []
    for name in chosen:
        began = time.monotonic()
        print(f"== {name}", flush=True)
        part_file(options.out, name).unlink(missing_ok=True)
        log = options.out / f"part-{name}.log"
        folders = ["--out", str(options.out), *(["--data", str(options.data)] if options.data else [])]
        code = finished([sys.executable, __file__, "--only", name, "--alone", *folders], log, PART_SECONDS)
        said = log.read_text(errors="replace")
        print(said[-6000:], flush=True)
        print(f"   {time.monotonic() - began:.0f} s", flush=True)
        if code == 0:
            table += [Line(**line) for line in json.loads(part_file(options.out, name).read_text())]
        else:
            why = "not finished in time" if code is None else (said.strip().splitlines() or ["(silent)"])[-1][:100]
            table.append(Line(name, f"failed: {why}", "", False))
        (options.out / "table.json").write_text(json.dumps([asdict(line) for line in table], indent=1))
    width = max((len(line.what) for line in table), default=0)
    print("\n" + "-" * 60)
    for line in table:
        verdict = {None: "", True: "good", False: "BAD"}[line.good]
        print(f"{line.what:{width}}  {line.figure}{f'  (limit {line.limit})' if line.limit else ''}  {verdict}")
    return sum(line.good is False for line in table)


if __name__ == "__main__":
    sys.exit(main())
