# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells the next boot of a crash, and which devices are not trusted: both survive on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.distrust import (
    Distrusted,
    DistrustFile,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.marked import (
    MARKS,
    Mark,
    MarkFiles,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Identity
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import Quarantined

NIC = PciAddress.parse("0000:41:00.0")
DISK = PciAddress.parse("0000:42:00.0")
CARD = Identity("8086", "10d3", "8086", "a01f", "020000")
GONE = Quarantined("power-error", "gone", 7.5)


@pytest.fixture
def files(tmp_path: Path) -> MarkFiles:
    return MarkFiles(str(tmp_path), str(tmp_path))


def test_a_mark_is_read_as_it_was_written(files: MarkFiles) -> None:
    files.write(NIC, Mark("boot", CARD, 12))
    files.write(DISK, Mark("boot", None))
    assert files.load() == {NIC: Mark("boot", CARD, 12), DISK: Mark("boot", None, 0)}
    files.remove(NIC)
    files.remove(NIC)
    assert list(files.load()) == [DISK]


def test_a_mark_is_on_the_disk_before_anything_is_done(
    files: MarkFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write(DISK, Mark("boot", CARD))  # the folder is there now
    done: list[str] = []
    real_sync, real_rename = os.fsync, os.rename

    def sync(number: int) -> None:
        done.append("sync " + os.path.basename(os.readlink(f"/proc/self/fd/{number}")))
        real_sync(number)

    def rename(old: str, new: str, **folders: int) -> None:
        done.append(f"rename {new}")
        real_rename(old, new, **folders)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", rename)
    files.write(NIC, Mark("boot", CARD))
    assert done == [f"sync {NIC}.new", f"rename {NIC}", f"sync {MARKS}"]
    done.clear()
    files.remove(NIC)
    assert done == [f"sync {MARKS}"]


def test_what_has_proven_harmless_is_no_longer_marked(files: MarkFiles) -> None:
    files.write(NIC, Mark("boot", CARD))
    files.prove(NIC, Mark("boot", CARD))
    assert files.load() == {}
    assert files.proven() == {NIC: Mark("boot", CARD)}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1, "content": {}}', "\0"])
def test_a_damaged_mark_is_of_no_boot_and_hides_no_other(
    files: MarkFiles, tmp_path: Path, content: str
) -> None:
    files.write(NIC, Mark("boot", CARD))
    (tmp_path / MARKS / str(DISK)).write_text(content)
    (tmp_path / MARKS / f"{DISK}.new").write_text(content)
    assert files.load() == {NIC: Mark("boot", CARD), DISK: Mark("", None)}


def test_the_quarantine_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = DistrustFile(str(tmp_path))
    assert file.load() == ((), "")
    devices = (Distrusted(NIC, CARD, GONE), Distrusted(DISK, None, GONE))
    file.save(devices)
    assert DistrustFile(str(tmp_path)).load() == (devices, "")


@pytest.mark.parametrize("content", ["{", '{"format": 1, "crc32": "0", "content": []}'])
def test_of_a_damaged_quarantine_the_previous_one_is_used(tmp_path: Path, content: str) -> None:
    file = DistrustFile(str(tmp_path))
    file.save([Distrusted(NIC, CARD, GONE)])
    file.save([Distrusted(NIC, CARD, GONE), Distrusted(DISK, CARD, GONE)])
    (tmp_path / "quarantine.json").write_text(content)
    devices, damaged = file.load()
    assert devices == (Distrusted(NIC, CARD, GONE),)
    assert "previous generation" in damaged
