# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases last for the boot, and are never in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.leases import (
    LEASES,
    Leases,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import Lease

NIC = PciAddress.parse("0000:02:00.0")
DISK = PciAddress.parse("0000:03:00.0")
GIVEN = (
    Lease(NIC, "libvirt:web", 1763900000.5),
    Lease(DISK, "me", 1763900001.0, 1763900601.0, 612.5),
)


def test_a_boot_begins_without_leases(tmp_path: Path) -> None:
    leases = Leases(str(tmp_path / "run"))
    assert leases.load() == ()
    assert leases.damaged == ""


def test_leases_are_found_again_by_the_next_helper(tmp_path: Path) -> None:
    assert Leases(str(tmp_path)).save(reversed(GIVEN))
    assert Leases(str(tmp_path)).load() == GIVEN


def test_saving_the_same_leases_writes_nothing(tmp_path: Path) -> None:
    leases = Leases(str(tmp_path))
    leases.save(GIVEN)
    assert not leases.save(GIVEN)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'[{"address": "x"}]', b"\xff"])
def test_damaged_leases_are_told_and_taken_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LEASES).write_bytes(content)
    leases = Leases(str(tmp_path))
    assert leases.load() == ()
    assert "is damaged and taken as empty" in leases.damaged
    leases.save(GIVEN)
    assert leases.load() == GIVEN
    assert leases.damaged == ""


def test_leases_wait_for_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int) -> None:
        raise OSError(5, "synced")

    monkeypatch.setattr(os, "fsync", refuse)
    Leases(str(tmp_path / "run")).save(GIVEN)
