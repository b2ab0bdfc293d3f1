# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal is told of the catalog when it comes, changes and goes, and at no other time."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils import _catalog
from ansible_collections.vfio.power.plugins.module_utils._catalog import (
    CATALOG,
    DATABASE,
    installed,
    is_outdated,
    remaking,
)
from ansible_collections.vfio.power.plugins.modules import helper_code

SHIPPED = Path(_catalog.__file__).parents[2] / "roles/helper/files/vfio-powerd.catalog"
OTHER = """\
-- 0123456789abcdef0123456789abcdef
Subject: Another one
Defined-By: systemd

Its text.
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host's root folder, with a catalog of somebody else's."""
    for path in (CATALOG, DATABASE):
        (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / CATALOG).with_name("systemd.catalog").write_text(OTHER)
    return tmp_path


def remake(root: Path) -> None:
    """Make the database as the journal does, by its own hands where it is at hand."""
    if shutil.which("journalctl"):
        subprocess.run(remaking(str(root)), check=True)
    else:
        (root / DATABASE).write_bytes(b"KSLP\0" + b"\0".join(installed(root)))


def test_it_is_told_of_a_catalog_that_comes_changes_and_goes(root: Path) -> None:
    remake(root)
    assert not is_outdated(root)
    shutil.copy(SHIPPED, root / CATALOG)
    assert is_outdated(root)
    remake(root)
    assert not is_outdated(root)
    (root / CATALOG).write_text(SHIPPED.read_text().replace("Somebody said so", "You said so"))
    assert is_outdated(root)
    remake(root)
    assert not is_outdated(root)
    (root / CATALOG).unlink()
    assert is_outdated(root)
    remake(root)
    assert not is_outdated(root)
    assert b"vfio.power" not in (root / DATABASE).read_bytes()


def test_a_host_without_a_database_gets_none(root: Path) -> None:
    shutil.copy(SHIPPED, root / CATALOG)
    assert not is_outdated(root)


def test_another_root_is_told_to_the_journal() -> None:
    assert remaking("/") == ["journalctl", "--update-catalog"]
    assert remaking("/mnt") == ["journalctl", "--root=/mnt", "--update-catalog"]


class Module:
    """Runs nothing, and notes what it was to run."""

    def __init__(self, root: Path, complaint: str = "") -> None:
        self.params = {"root": str(root)}
        self.ran: list[list[str]] = []
        self.warnings: list[str] = []
        self._complaint = complaint

    def run_command(self, command: list[str], **_how: object) -> tuple[int, str, str]:
        """Note it."""
        self.ran.append(command)
        return int(bool(self._complaint)), "", self._complaint

    def warn(self, text: str) -> None:
        """Note it."""
        self.warnings.append(text)


def test_the_module_has_the_database_remade_where_that_is_needed(root: Path) -> None:
    remake(root)
    module = Module(root)
    helper_code.bring_catalog_up_to_date(module)
    assert module.ran == []
    shutil.copy(SHIPPED, root / CATALOG)
    helper_code.bring_catalog_up_to_date(module)
    assert module.ran == [remaking(str(root))]
    assert module.warnings == []


def test_a_journal_that_cannot_be_told_is_a_warning(root: Path) -> None:
    remake(root)
    shutil.copy(SHIPPED, root / CATALOG)
    module = Module(root, "No space left on device\n")
    helper_code.bring_catalog_up_to_date(module)
    (warning,) = module.warnings
    assert "No space left on device" in warning
