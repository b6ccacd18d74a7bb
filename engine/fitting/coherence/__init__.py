# SPDX-License-Identifier: GPL-3.0-or-later
"""Coherence: what makes the frames of a film one moving picture instead of many.

Each idea has its module: sprites follow the flow (follow.py), the target is blended with the last picture (blend.py),
gates keep still what did not get worse (gate.py), sprites of no use fade out and come back elsewhere (rebirth.py), and
none leaps (continuity.py). start.py puts them together for one frame, film.py for all of them.
"""

from __future__ import annotations

from .film import CoherentFilm

__all__ = ["CoherentFilm"]
