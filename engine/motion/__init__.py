# SPDX-License-Identifier: GPL-3.0-or-later
"""What moves in a film: the optical flow between its frames, and how closely sprites follow it."""

from __future__ import annotations

from .flow import Flow, flow_between, grey, moved

__all__ = ["Flow", "flow_between", "grey", "moved"]
