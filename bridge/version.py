# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that states Smalti's version (packaging and the Blender manifest are checked against it)."""

VERSION = "0.1.0"
