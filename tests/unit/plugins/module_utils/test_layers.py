# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program's layers, read from its source: who imports whom, and who touches the world."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

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


@pytest.fixture(params=FILES, ids=lambda path: "/".join(parts_of(path)))
def source(request):
    """Return each file of the program in turn."""
    return request.param


def test_there_is_a_program_to_read():
    assert {parts_of(path)[0] for path in FILES} == {"__init__", *RANK}


def test_each_layer_imports_only_from_itself_and_from_below(source):
    own = parts_of(source)[0]
    if own == "__init__":
        return
    above = {used for used in layers_used_by(source) if used != own and RANK[used] >= RANK[own]}
    assert not above


def test_nothing_of_ansible_is_imported(source):
    assert not outside_modules_of(source) & {"ansible", "ansible_collections"}


def test_pyudev_is_imported_late_and_in_one_place(source):
    if parts_of(source) == ("touch", "udev"):
        tops = ast.parse(source.read_text(encoding="utf-8")).body
        assert not any("pyudev" in ast.dump(node) for node in tops if is_import(node))
    else:
        assert "pyudev" not in outside_modules_of(source)


def test_thinking_touches_nothing(source):
    if parts_of(source)[0] != "think":
        return
    assert outside_modules_of(source) <= PURE
    called = {node.func for node in nodes_of(source) if isinstance(node, ast.Call)}
    assert not {name.id for name in called if isinstance(name, ast.Name)} & {"open", "__import__"}


def test_only_the_device_layer_calls_ioctl(source):
    named = {getattr(node, "attr", getattr(node, "id", "")) for node in nodes_of(source)}
    imported = {
        alias.name
        for node in nodes_of(source)
        if isinstance(node, ast.ImportFrom) and node.module == "fcntl"
        for alias in node.names
    }
    assert "ioctl" not in named | imported or parts_of(source) == ("touch", "device")


def test_packages_say_nothing(source):
    assert source.name != "__init__.py" or source.read_bytes() == b""
