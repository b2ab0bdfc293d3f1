# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed program is complete, and what is installed can be taken away again."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils import _program
from ansible_collections.vfio.power.plugins.module_utils._installation import (
    File,
    Installation,
    Link,
)

PROGRAM = Path(_program.__file__).parent / "vfio_power"

UNIT = File("/etc/systemd/system/some.service", "[Unit]\n")
COMMAND = Link("/usr/local/sbin/some", "/opt/some/current/some")


@pytest.fixture
def root(tmp_path):
    """A host's root folder with little in it."""
    (tmp_path / "usr").mkdir()
    return tmp_path


def install(root, *, version="1", program=None, files=(UNIT,), links=(COMMAND,), write=True):
    """Install something small; return the paths that changed."""
    program = {"some": "one\n"} if program is None else program
    tree = {path: File(path, text) for path, text in program.items()}
    changes = Installation(Path("/opt/some"), root).install(
        version, tree, files, links, write=write
    )
    return {change.path.removeprefix(str(root)) for change in changes}


def uninstall(root, *more, write=True):
    """Remove it; return the paths that changed."""
    changes = Installation(Path("/opt/some"), root).uninstall(more, write=write)
    return {change.path.removeprefix(str(root)) for change in changes}


def everything_in(root):
    """Return the relative paths of all that is in a folder."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def test_every_part_of_the_program_travels_with_the_module():
    tree = ast.parse(Path(_program.__file__).read_text(encoding="utf-8"))
    named = {
        f"{node.module.removeprefix(_program.PACKAGE + '.')}/{alias.name}.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith(_program.PACKAGE)
        for alias in node.names
    }
    parts = {path.relative_to(PROGRAM).as_posix() for path in PROGRAM.rglob("*.py")}
    assert named == {part for part in parts if not part.endswith("__init__.py")}


def test_the_source_that_is_installed_is_the_source_that_runs_here():
    installed = _program.program_files()
    for path in PROGRAM.rglob("*.py"):
        name = f"vfio_power/{path.relative_to(PROGRAM).as_posix()}"
        assert installed[name] == path.read_text(encoding="utf-8")


def test_each_start_script_is_python_and_names_a_part_of_the_program():
    for name, text in _program.start_scripts("/usr/bin/python3").items():
        assert text.startswith("#!/usr/bin/python3 -IB\n")
        compile(text, name, "exec")
    for module, _name in _program.COMMANDS.values():
        assert (PROGRAM / f"{module.replace('.', '/')}.py").exists()


def test_the_second_installation_changes_nothing(root):
    assert install(root)
    before = {path: path.lstat().st_mtime_ns for path in root.rglob("*")}
    assert not install(root)
    assert {path: path.lstat().st_mtime_ns for path in root.rglob("*")} == before


def test_looking_what_would_be_installed_writes_nothing(root):
    before = everything_in(root)
    assert install(root, write=False) == install(root, write=False) != set()
    assert everything_in(root) == before


def test_the_link_follows_the_version_and_the_older_one_goes(root):
    install(root)
    install(root, version="2")
    base = root / "opt/some"
    assert (base / "current").resolve() == base / "2"
    assert not (base / "1").exists()


def test_nothing_of_an_older_program_stays_in_the_folder(root):
    install(root, program={"a/one": "", "two": ""})
    assert install(root, program={"two": "", "three": ""}) == {"/opt/some/1"}
    assert everything_in(root / "opt/some/1") == {"two", "three"}


def test_a_file_that_somebody_edited_is_put_right(root):
    install(root)
    (root / "etc/systemd/system/some.service").write_text("edited\n")
    assert install(root) == {UNIT.path}
    assert (root / "etc/systemd/system/some.service").read_text() == UNIT.content


def test_a_file_that_is_no_longer_shipped_is_removed(root):
    install(root)
    assert install(root, files=()) == {UNIT.path}
    assert not (root / "etc/systemd/system/some.service").exists()


def test_removal_leaves_the_host_as_it_was_found(root):
    (root / "etc").mkdir()
    (root / "etc/theirs").write_text("")
    before = everything_in(root)
    install(root)
    uninstall(root)
    assert everything_in(root) == before


def test_removal_leaves_folders_that_others_have_come_to_use(root):
    install(root)
    (root / "usr/local/sbin/theirs").write_text("")
    uninstall(root)
    assert (root / "usr/local/sbin/theirs").exists()
    assert not (root / "usr/local/sbin/some").is_symlink()


def test_removal_takes_what_the_helper_stored_when_told_to(root):
    install(root)
    (root / "var/lib/some").mkdir(parents=True)
    assert "/var/lib/some" in uninstall(root, "/var/lib/some")
    assert not (root / "var/lib/some").exists()


def test_removing_what_is_not_installed_changes_nothing(root):
    assert not uninstall(root, "/var/lib/some")


def test_looking_what_would_be_removed_removes_nothing(root):
    install(root)
    before = everything_in(root)
    assert uninstall(root, write=False)
    assert everything_in(root) == before
