# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx makes pages of the docstrings: `make docs`."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from smalti.bridge.version import VERSION

HERE = Path(__file__).parent

project = "Smalti"
author = "the Smalti contributors"
version = release = VERSION

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.apidoc", "sphinx.ext.autosummary"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Pictures out of your own bitmaps, as layers",
    "page_width": "1100px",
    "sidebar_width": "250px",
    "show_powered_by": False,
}
html_copy_source = False
html_show_copyright = False
exclude_patterns = ["generated/modules.rst", "generated/smalti.rst"]
suppress_warnings = ["ref.python"]  # several classes have a field called width

# A page for each module, written into generated/ first. The links in build/path give the folders their import names.
apidoc_modules = [
    {
        "path": "../../build/path/smalti",
        "destination": "generated",
        "follow_links": True,
        "separate_modules": True,
        "module_first": True,
        "max_depth": 1,
        "exclude_patterns": ["**/__main__.py"],
        "automodule_options": {"members", "show-inheritance"},
    }
]

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
napoleon_custom_sections = ["Returns"]  # the text alone: what stands before a colon is no type here
maximum_signature_line_length = 90


def public_names() -> list[str]:
    """The public names of the engine, each with its module, from the imports of ``__init__.pyi``."""
    stub = ast.parse((HERE.parents[1] / "engine" / "__init__.pyi").read_text("utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return sorted(f"smalti.engine.{node.module}.{alias.name}" for node in imports for alias in node.names)


def write_public_names(app: Any) -> None:
    """Write the table of public names that index.rst includes."""
    folder = HERE / "generated"
    folder.mkdir(exist_ok=True)
    lines = [".. autosummary::", "", *(f"   ~{name}" for name in public_names())]
    (folder / "public.txt").write_text("\n".join(lines) + "\n", "utf-8")


def show_example_as_code(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """The docstring of the package is a sentence and an example, which a test runs as it stands."""
    if name == "smalti.engine":
        lines[2:] = [".. code-block:: python", "", *(f"   {line}" for line in lines[2:])]


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", write_public_names)
    app.connect("autodoc-process-docstring", show_example_as_code)
