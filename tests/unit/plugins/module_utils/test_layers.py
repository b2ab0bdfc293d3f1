# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program's layers, read from its source: who imports whom, and who touches the world."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PROGRAM = Path(__file__).parents[4] / "plugins" / "module_utils" / "vfio_power"

LAYERS = (("uapi",), ("words",), ("think",), ("touch",), ("hold",), ("ask", "cli", "wait"))
"""From the bottom up; those side by side do not know each other."""

RANK = {layer: rank for rank, layers in enumerate(LAYERS) for layer in layers}

PURE = {"__future__", "collections", "difflib", "enum", "fnmatch", "json", "re", "typing"}
"""All that thinking needs: nothing in here has a clock, a file or a socket."""

FILES = sorted(PROGRAM.rglob("*.py"))


def parts_of(path):
    """Return the place of a file below the program's folder."""
    return path.relative_to(PROGRAM).with_suffix("").parts


@cache
def nodes_of(path):
    """Return everything in a file's syntax tree."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports_of(path):
    """Return (dots, module) of each import in a file, at its top or inside of a function."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.level, node.module
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.level, alias.name) for alias in node.names)


def layers_used_by(path):
    """Return the layers of our own that a file imports from."""
    package = parts_of(path)[:-1]
    for dots, module in imports_of(path):
        if dots:
            yield (*package[: len(package) + 1 - dots], *module.split("."))[0]


def outside_modules_of(path):
    """Return the top-level names that a file imports from outside of the program."""
    return {module.split(".")[0] for dots, module in imports_of(path) if not dots}


def is_import(node):
    """Tell whether a statement is an import."""
    return isinstance(node, (ast.Import, ast.ImportFrom))


def those_that(breaks_the_rule, files=FILES):
    """Return the names of the files of which that is true."""
    return ["/".join(parts_of(path)) for path in files if breaks_the_rule(path)]


def test_there_is_a_program_to_read():
    assert {parts_of(path)[0] for path in FILES} == {"__init__", *RANK}


def test_each_layer_imports_only_from_itself_and_from_below():
    def reaches_up(path):
        own = parts_of(path)[0]
        others = {used for used in layers_used_by(path) if used != own}
        return own != "__init__" and any(RANK[used] >= RANK[own] for used in others)

    assert those_that(reaches_up) == []


def test_what_holds_devices_does_not_travel_with_the_modules():
    """They ask by ``ask``, and take along what that imports."""
    asking = sorted(PROGRAM.glob("ask/*.py"))
    assert those_that(lambda path: "hold" in layers_used_by(path), asking) == []


def test_nothing_of_ansible_is_imported():
    ansible = {"ansible", "ansible_collections"}
    assert those_that(lambda path: outside_modules_of(path) & ansible) == []


def test_pyudev_is_imported_late_and_in_one_place():
    assert those_that(lambda path: "pyudev" in outside_modules_of(path)) == ["touch/udev"]
    tops = ast.parse((PROGRAM / "touch/udev.py").read_text(encoding="utf-8")).body
    assert not any("pyudev" in ast.dump(node) for node in tops if is_import(node))


def test_thinking_touches_nothing():
    def touches(path):
        called = {node.func for node in nodes_of(path) if isinstance(node, ast.Call)}
        names = {name.id for name in called if isinstance(name, ast.Name)}
        return outside_modules_of(path) - PURE or names & {"open", "__import__"}

    assert those_that(touches, sorted(PROGRAM.glob("think/*.py"))) == []


def test_only_the_device_layer_calls_ioctl():
    def names_ioctl(path):
        named = {getattr(node, "attr", getattr(node, "id", "")) for node in nodes_of(path)}
        imported = {
            alias.name
            for node in nodes_of(path)
            if isinstance(node, ast.ImportFrom) and node.module == "fcntl"
            for alias in node.names
        }
        return "ioctl" in named | imported

    assert those_that(names_ioctl) == ["touch/backends", "touch/device", "touch/kernel"]
    assert those_that(lambda path: "fcntl" in outside_modules_of(path)) == [
        "touch/files",  # for its lock
        "touch/kernel",
    ]


def test_packages_say_nothing():
    packages = [path for path in FILES if path.name == "__init__.py"]
    assert those_that(lambda path: path.read_bytes() != b"", packages) == []
