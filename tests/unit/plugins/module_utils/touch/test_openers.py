# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has a VFIO node open is found by the links in /proc, with nothing opened."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import openers as module
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.openers import (
    openers,
    openers_of,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.view import Opener
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import (
    Facts,
    Identity,
)

CARD = Facts(
    PciAddress.parse("0000:65:00.0"),
    Identity("10de", "2204", "10de", "1467", "030000"),
    iommu_group=15,
    cdev="vfio3",
)


def process(proc: Path, pid: int, command: str, *links: str) -> None:
    folder = proc / str(pid) / "fd"
    folder.mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(command + "\n")
    for number, target in enumerate(links):
        os.symlink(target, folder / str(number))


def test_a_group_and_a_node_of_its_own_both_mean_the_device(tmp_path: Path) -> None:
    process(tmp_path, 812, "qemu-system-x86", "/dev/null", "/dev/vfio/15", "/dev/vfio/vfio")
    process(tmp_path, 900, "cloud-hypervis", "/dev/vfio/devices/vfio3", "/dev/iommu")
    process(tmp_path, 901, "other", "/dev/vfio/16", "/dev/vfio/devices/vfio33")
    process(tmp_path, 902, "cat", "/tmp/dev/vfio/15", "socket:[15]")
    (tmp_path / "self").symlink_to("812")
    assert openers_of(CARD, openers(str(tmp_path))) == (
        Opener(812, "qemu-system-x86"),
        Opener(900, "cloud-hypervis"),
    )


def test_the_helper_itself_is_left_out(tmp_path: Path) -> None:
    process(tmp_path, 700, "python3", "/dev/vfio/15")
    assert openers(str(tmp_path), without=[700]) == {}


def test_one_that_has_it_open_twice_is_named_once(tmp_path: Path) -> None:
    process(tmp_path, 812, "qemu", "/dev/vfio/15", "/dev/vfio/15", "/dev/vfio/devices/vfio3")
    assert openers_of(CARD, openers(str(tmp_path))) == (Opener(812, "qemu"),)


def test_a_node_of_a_mount_namespace_that_is_gone_is_known(tmp_path: Path) -> None:
    process(tmp_path, 581, "python3", "/vfio/15")
    process(tmp_path, 582, "cat", "/srv/vfio/15")
    assert openers_of(CARD, openers(str(tmp_path))) == (Opener(581, "python3"),)


def test_a_name_that_would_speak_to_the_terminal_does_not(tmp_path: Path) -> None:
    process(tmp_path, 7, "qemu\x1b[2J\nroot", "/dev/vfio/15")
    assert openers(str(tmp_path)) == {"/dev/vfio/15": (Opener(7, "qemu?[2J?root"),)}


def test_processes_that_end_meanwhile_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "5").mkdir()
    process(tmp_path, 6, "qemu", "/dev/vfio/15")
    (tmp_path / "6" / "comm").unlink()
    assert openers(str(tmp_path)) == {"/dev/vfio/15": (Opener(6, "unknown"),)}


def test_a_real_process_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "15"
    node.touch()
    monkeypatch.setattr(module, "NODES", f"{tmp_path}/")
    with (
        node.open() as file,
        subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[file.fileno()]
        ) as child,
    ):
        found = openers(without=[os.getpid()])
        child.communicate(b"\n", timeout=20)
    [[opener]] = list(found.values())
    assert opener.pid == child.pid
