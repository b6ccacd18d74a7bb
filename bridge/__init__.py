# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract between Blender and the engine: job and event types, and the client of the worker process.

Standard library only, relative imports only: the same folder lies in the engine's package as ``smalti.bridge`` and in
the Blender extension as ``.bridge``.
"""
