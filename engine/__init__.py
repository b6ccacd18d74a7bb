# SPDX-License-Identifier: GPL-3.0-or-later
"""Smalti's engine."""
