# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of the host's policy on disk, and how an attribute is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.host_policy import (
    Found,
    Write,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import rivals
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.host_policy import (
    FOUND,
    RULES,
    PolicyFiles,
    Remembered,
    write_knob,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.allowance import (
    D3COLD,
    RUNTIME_PM,
    Allowance,
    HostPolicy,
)

from ..fake.host import NIC as CARD

NIC = PciAddress.parse("0000:02:00.0")
FOUND_SO = (
    Found(NIC, CARD, HostPolicy(d3cold=Allowance.ALLOW)),
    Found(NIC._replace(bus=3), CARD, HostPolicy(Allowance.FORBID, Allowance.FORBID)),
)


@pytest.fixture
def files(tmp_path: Path) -> PolicyFiles:
    return PolicyFiles(str(tmp_path / "state"), str(tmp_path / "rules.d" / "62.rules"))


def test_a_host_begins_with_nothing_and_nothing_is_made(files: PolicyFiles, tmp_path: Path) -> None:
    assert files.load() == Remembered()
    files.remember(())
    files.keep("")
    assert list(tmp_path.iterdir()) == []


def test_what_was_found_is_read_again(files: PolicyFiles) -> None:
    files.remember(FOUND_SO)
    assert files.load().found == FOUND_SO
    files.remember(())
    assert files.load() == Remembered()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"format": 1, "crc32": "0", "content": []}', b"\xff"]
)
def test_damage_is_told_and_mended_by_the_next_write(
    files: PolicyFiles, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / FOUND).write_bytes(content)
    assert FOUND in files.load().damaged
    assert files.load().found == ()
    files.remember(())
    assert files.load() == Remembered()


@pytest.mark.parametrize(
    "wrong", [{}, [1], [{"address": "02:00.0"}], [{"address": str(NIC), "d3cold": "perhaps"}]]
)
def test_what_makes_no_sense_is_damage(files: PolicyFiles, tmp_path: Path, wrong: object) -> None:
    files.remember(FOUND_SO)
    with files._folder.writing() as writer:
        files._found.write(writer, wrong)
    told = files.load()
    assert told.found == FOUND_SO, "the generation before"
    assert "the previous generation is used" in told.damaged


def test_rules_are_written_once_for_everybody_to_read_and_taken_away(files: PolicyFiles) -> None:
    files.keep("# rules\n")
    path = Path(files.rules)
    before = path.stat()
    assert (path.read_text(), before.st_mode & 0o777) == ("# rules\n", 0o644)
    files.keep("# rules\n")
    again = path.stat()
    assert (again.st_ino, again.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert files.load().rules == "# rules\n"
    files.keep("")
    assert list(path.parent.iterdir()) == []


def test_our_own_rules_are_nobody_else_s() -> None:
    assert RULES.endswith(f"/{rivals.OURS}")


def test_an_attribute_is_written_and_one_that_is_missing_is_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "bus/pci/devices" / str(NIC)
    folder.mkdir(parents=True)
    (folder / "d3cold_allowed").write_text("1")
    write_knob(Write(NIC, D3COLD, "0"), str(tmp_path))
    assert (folder / "d3cold_allowed").read_text() == "0"
    with pytest.raises(FileNotFoundError):
        write_knob(Write(NIC, RUNTIME_PM, "on"), str(tmp_path))
