# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitting: where sprites start (start.py), how they move (optimiser.py), and frames one after another (sequence.py).

Nothing here knows of files: arrays come in and arrays go out.
"""
