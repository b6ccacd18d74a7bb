# SPDX-License-Identifier: GPL-3.0-or-later
"""`smalti bench`: how fast this machine is (speed.py, report.py), and a published task solved again (circles.py)."""
