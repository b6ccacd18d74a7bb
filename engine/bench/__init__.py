# SPDX-License-Identifier: GPL-3.0-or-later
"""`smalti bench`: how fast this machine is (scene, speed, memory, report, plot), and a published task (circles)."""
