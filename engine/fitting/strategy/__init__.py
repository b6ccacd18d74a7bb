# SPDX-License-Identifier: GPL-3.0-or-later
"""Discrete moves between gradient steps: relocation, proposals, and the presets that choose among them."""
