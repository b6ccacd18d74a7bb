# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that both processes show to a user."""


class SmaltiError(Exception):
    """Something a user can put right.

    Args:
        message: one sentence that names the file or setting and says what is wrong with it.
        hint: what to do about it; may be empty.
        code: a stable identifier for programs (``snake_case``), e.g. ``"target_missing"``.
    """

    def __init__(self, message: str, hint: str = "", code: str = "bad_input") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()
