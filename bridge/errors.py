# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that both processes show to a user, and how its text names settings.

A setting has three names: the command line's option (``--min-size``), the panel's label (*Smallest Sprite*), and the
key of job.json (``min_size``). A message is written once, with `named` around the key, and each front door puts its own
name there (`SmaltiError.worded`). Otherwise the key is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable

NameOf = Callable[[str], str]
"""What a front door calls a setting, given its key: ``"min_size"``, or ``"regions.min_size"`` for one of a region."""

# Two of Unicode's noncharacters, which are for use inside of programs: no file name or text of a user's has them.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_MARKED = re.compile(f"{_OPEN}([a-z_.]+){_CLOSE}")


def named(key: str) -> str:
    """The setting with this key, to be put into a text that is shown to a user."""
    return f"{_OPEN}{key}{_CLOSE}"


def last_part(key: str) -> str:
    """How job.json and Python name a setting: ``"min_size"`` for ``"regions.min_size"`` too."""
    return key.rpartition(".")[2]


def worded(text: str, name_of: NameOf = last_part) -> str:
    """A text in which every setting that was `named` has the name that `name_of` gives it."""
    return _MARKED.sub(lambda found: name_of(found[1]), text)


class SmaltiError(Exception):
    """Something a user can put right.

    Args:
        message: one sentence that names the file or setting and says what is wrong with it.
        hint: what to do about it; may be empty.
        code: a stable identifier for programs (``snake_case``), e.g. ``"target_missing"``.
        setting: key of the setting that is at fault, where one is.
        value: what that setting was.
        rule: what it must be, to be read after "must be".
        region: which region has the setting, from 1; None for the job's own.

    Settings in `message`, `hint` and `rule` are `named`; the attributes of the same names have the keys in their
    place, and `marked` is message and hint as they were given.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        code: str = "bad_input",
        *,
        setting: str | None = None,
        value: object = None,
        rule: str = "",
        region: int | None = None,
    ) -> None:
        super().__init__(worded(message))
        self.marked = (message, hint)
        self.message = worded(message)
        self.hint = worded(hint)
        self.code = code
        self.setting = setting
        self.value = value
        self.rule = worded(rule)
        self.region = region

    def worded(self, name_of: NameOf) -> str:
        """Message and hint, with the names that a front door has for settings."""
        return worded(" ".join(self.marked).rstrip(), name_of)

    def __str__(self) -> str:
        return self.worded(last_part)


def bad_setting(setting: str, value: object, rule: str, region: int | None = None, hint: str = "") -> SmaltiError:
    """The error that says "SETTING is VALUE, but must be RULE.", code ``"bad_setting"``; arguments as `SmaltiError`."""
    name = named(setting) if region is None else f"{named(f'regions.{setting}')} of region {region}"
    text = shown(value)
    text = text if len(text) <= 200 else f"{text[:200]}..."
    return SmaltiError(
        f"{name} is {text}, but must be {rule}.",
        hint,
        "bad_setting",
        setting=setting,
        value=value,
        rule=rule,
        region=region,
    )


def shown(value: object) -> str:
    """A setting's value in a message."""
    if value is None:
        return "missing"
    if value == ():
        return "empty"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) if isinstance(value[0], (str, float)) else f"a list of {len(value)}"
    return repr(value)
