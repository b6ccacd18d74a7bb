# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fit minimizes: the canvas with its goal, and the losses that compare a picture with it."""
