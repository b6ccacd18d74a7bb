# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the README's tables of settings and of loss terms, which follow from bridge/job.py and bridge/loss.py.

``make settings`` runs it. Each table stands between two comments, and is replaced as a whole.
"""

from __future__ import annotations

import sys
from pathlib import Path

from smalti.bridge.errors import worded
from smalti.bridge.job import JobSpec, RegionSpec
from smalti.bridge.loss import TERMS
from smalti.bridge.settings import Setting, settings_of
from smalti.engine.cli.options import MORE_HELP, POSITIONAL, option_of

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- {}: written by make settings -->", "<!-- end of {} -->"
"""Comments about a table, with its name."""


def table(kind: type, prefix: str = "") -> str:
    """The settings of a dataclass as a table in Markdown; `prefix` is what stands before their keys."""
    rows = ["| command line | in Blender | `job.json` | default | what it does |", "|---|---|---|---|---|"]
    for name, one in settings_of(kind).items():
        cells = (
            f"`{'TARGET' if name == POSITIONAL else option_of(prefix + name)}`",
            f"*{one.label}*" if one.page is not None else "",
            f"`{name}`",
            _default(one),
            _told(one),
        )
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows)


def _default(one: Setting) -> str:
    if one.required:
        return "(needed)"
    if one.default is None:
        return worded(one.none, _in_code)
    if one.kind in (bool, tuple):
        return ""
    return f"`{one.default:g}`" if one.kind is float else f"`{one.default}`"


def _told(one: Setting) -> str:
    """What a setting does, with its range, or the names that it chooses among."""
    text = worded(one.help, _in_code) + MORE_HELP.get(one.name, "")
    if one.range:
        text += f" ({one.range})"
    text = text.replace("*", r"\*")
    if one.choices is not None:
        text += ": " + ", ".join(f"`{name}`" for name in one.choices)
    return text


def _in_code(key: str) -> str:
    return f"`{option_of(key)}`"


def settings() -> str:
    """The tables of all settings of a job and of a region."""
    regions = f"What a region has, as `{option_of('regions')} KEY=VALUE,KEY=VALUE`:"
    return "\n\n".join((table(JobSpec), regions, table(RegionSpec, "regions.")))


def losses() -> str:
    """The loss terms as a table in Markdown."""
    rows = [f"| `{name}` | {info.help} |" for name, info in TERMS.items()]
    return "\n".join(("| term | what it compares |", "|---|---|", *rows))


def updated(readme: str) -> str:
    """A README with the tables as they must be now. Raises ValueError where it lacks one of the comments."""
    for name, text in (("settings", settings()), ("losses", losses())):
        begin, end = BEGIN.format(name), END.format(name)
        before, rest = readme.split(begin)
        _, after = rest.split(end)
        readme = "\n\n".join((before + begin, text, end + after))
    return readme


def main() -> int:
    """Write the tables; returns the exit status."""
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
