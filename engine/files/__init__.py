# SPDX-License-Identifier: GPL-3.0-or-later
"""How pictures are read, and how files are written so that a crash leaves no half of one."""
