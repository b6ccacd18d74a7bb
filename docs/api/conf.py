# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx makes pages of the docstrings: `make docs`."""

from __future__ import annotations

from smalti.bridge.version import VERSION

project = "Smalti"
author = "the Smalti contributors"
version = release = VERSION

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.apidoc"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Pictures out of your own bitmaps, as layers",
    "page_width": "1100px",
    "sidebar_width": "250px",
    "show_powered_by": False,
}
html_copy_source = False
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
        "exclude_patterns": ["**/__main__.py"],
        "automodule_options": {"members", "show-inheritance"},
    }
]

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
maximum_signature_line_length = 90
