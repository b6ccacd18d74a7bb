# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's life: what it reads, how it runs and resumes, what it leaves in its folder."""
