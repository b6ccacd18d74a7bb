# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of CONTRIBUTING.md that a program can check. Exceptions, each with its reason, stand in house_tables.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import house_tables as tables
import pytest
from house_rules import (
    ROOT,
    array_aliases,
    foreign_imports,
    literals_compared,
    long_files,
    long_functions,
    long_parameter_lists,
    measured_stories,
    module_numbers,
    native_functions,
    settings_named,
    sources,
    unasserted_mirrors,
    undocumented,
    unexpected,
    words_found,
    written,
)

from smalti.bridge.job import JobSpec


def files_are_short() -> list[str]:
    """No file has more than 400 lines."""
    return unexpected(long_files(), tables.LONG_FILES)


def functions_are_short() -> list[str]:
    """No function has more than 60 lines."""
    return unexpected(long_functions(), tables.LONG_FUNCTIONS)


def parameter_lists_are_short() -> list[str]:
    """No function has more than 7 parameters."""
    return unexpected(long_parameter_lists(), tables.LONG_PARAMETER_LISTS)


def bridge_and_addon_need_no_package() -> list[str]:
    """The bridge needs the standard library alone, the add-on what Blender brings besides."""
    return foreign_imports("bridge") + foreign_imports(
        "addon", ("bpy", "bl_operators", "bl_ui", "blf", "mathutils", "numpy")
    )


def settings_stand_in_their_table() -> list[str]:
    """The front doors loop over the table of settings, and name none of them."""
    names = {field.name for field in fields(JobSpec)}
    files = {path.relative_to(ROOT).as_posix(): path for path in sources((".py",))}
    doors = [
        path for name, path in files.items() if name.startswith(tables.FRONT_DOORS) and name != tables.DRAWING_ORDER
    ]
    return unexpected(settings_named(names, doors), tables.SETTINGS_NAMED)


def choices_stand_in_their_table() -> list[str]:
    """No preset, device or format is compared with a literal."""
    return unexpected(literals_compared(tables.CHOICES), tables.CHOICES_COMPARED)


def tuned_numbers_are_fields() -> list[str]:
    """A number that was tuned is a field of a settings class, so that a caller can pass another one."""
    return unexpected(module_numbers("engine/fitting"), tables.NUMBERS)


def array_types_stand_in_one_module() -> list[str]:
    """Types of arrays have their names in engine/arrays.py."""
    return unexpected(
        {key: text for key, text in array_aliases("engine").items() if not key.startswith("engine/arrays.py:")}, {}
    )


def docstrings_tell_no_measurements() -> list[str]:
    """Figures of an experiment stand in docs/*-measurements.md."""
    return measured_stories(("engine", "bridge", "addon"))


def mirrored_numbers_are_asserted() -> list[str]:
    """A number that Python and C++ share has a static_assert that names the Python constant."""
    return unasserted_mirrors(("engine/cuda", "engine/cpu", "engine/raster"), ("engine",))


def words_are_those_of_the_glossary() -> list[str]:
    """Code, comments, pages and messages use the field's words, in plain English."""
    return unexpected(words_found((*tables.GLOSSARY, *tables.DIALECT), written()), tables.WORDS_ALLOWED)


def everything_public_has_a_docstring() -> list[str]:
    """Modules, classes and functions without an underscore say what they are."""
    return undocumented(("addon", "bridge", "engine", "benchmarks"))


RULES: tuple[Callable[[], list[str]], ...] = (
    files_are_short,
    functions_are_short,
    parameter_lists_are_short,
    bridge_and_addon_need_no_package,
    settings_stand_in_their_table,
    choices_stand_in_their_table,
    tuned_numbers_are_fields,
    array_types_stand_in_one_module,
    docstrings_tell_no_measurements,
    mirrored_numbers_are_asserted,
    words_are_those_of_the_glossary,
    everything_public_has_a_docstring,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_sources_follow_the_rule(rule: Callable[[], list[str]]) -> None:
    assert rule() == [], rule.__doc__


# The readers themselves.


def test_functions_of_native_sources_are_measured_from_their_signature_to_their_last_brace() -> None:
    text = """\
// A comment with a { brace.
#define OPEN {
namespace smalti {
struct Point {
    int x = {};
    int twice() const { return 2 * x; }
};
template <class T>
__global__ void __launch_bounds__(256, 2) shade(
    const T* in, int n) {
    auto inner = [&](int i) {
        return in[i];
    };
    const char* text = "}";
}
int table[] = {1, 2, 3};
Point::Point(int a) : x(a) {
}
}  // namespace
"""
    found = {function.name: function.lines for function in native_functions(text)}
    assert found == {"twice": 1, "shade": 8, "Point": 2}


def test_an_exception_that_nothing_needs_is_a_finding() -> None:
    assert unexpected({"a.py": "a.py: 500 lines"}, {"a.py": "a table"}) == []
    assert unexpected({}, {"a.py": "a table"}) == ["a.py: this exception is no longer needed"]
