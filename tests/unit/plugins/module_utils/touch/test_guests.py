# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest goes by the name that its owner gave it, and nothing else of its process is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.guests import (
    guest_of,
    named_in,
)

SECRET = "secret,id=disk,data=hunter2"
SCOPE = r"0::/machine.slice/machine-qemu\x2d3\x2dweb\x2d1.scope/libvirt/emulator"


def process(folder: Path, group: str = "0::/user.slice", *arguments: str) -> str:
    """Make a process 812; return its /proc."""
    place = folder / "proc" / "812"
    place.mkdir(parents=True)
    (place / "cgroup").write_text(group + "\n")
    (place / "cmdline").write_bytes("\0".join(["qemu", *arguments, ""]).encode())
    return str(folder / "proc")


def guest(folder: Path, proc: str, command: str = "qemu-system-x86") -> str | None:
    return guest_of(812, command, proc, str(folder / "run"))


@pytest.mark.parametrize("owner", ["libvirt/qemu", "qemu-server"])
def test_the_file_with_the_pid_has_the_whole_name(tmp_path: Path, owner: str) -> None:
    place = tmp_path / "run" / owner
    place.mkdir(parents=True)
    (place / "another.pid").write_text("813\n")
    (place / "web_1 of two.pid").write_text("812")
    assert guest(tmp_path, process(tmp_path, SCOPE)) == "web_1 of two"


@pytest.mark.parametrize(
    ("group", "name"),
    [
        (SCOPE, "web-1"),
        ("4:cpu:/\n1:name=systemd:/machine/qemu-12-web.libvirt-qemu/emulator", "web"),
        ("0::/qemu.slice/100.scope", "100"),
        ("0::/system.slice/ssh.service", None),
    ],
)
def test_the_control_group_has_it_as_well(tmp_path: Path, group: str, name: str | None) -> None:
    assert guest(tmp_path, process(tmp_path, group)) == name


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["-name", "web"], "web"),
        (["-name", "guest=web,debug-threads=on"], "web"),
        (["-name", "debug-threads=on,guest=a,,b"], "a,b"),
        (["-object", SECRET], None),
        (["-name"], None),
        (["-name", "debug-threads=on"], None),
    ],
)
def test_a_qemu_started_by_hand_says_it_itself(arguments: list[str], name: str | None) -> None:
    assert named_in(["qemu", "-m", "64", *arguments]) == name


def test_nothing_else_of_the_arguments_is_kept(tmp_path: Path) -> None:
    proc = process(tmp_path, "0::/", "-object", SECRET, "-name", "web", "-append", "hunter2")
    assert guest(tmp_path, proc) == "web"


def test_the_arguments_of_anything_but_qemu_are_left_alone(tmp_path: Path) -> None:
    proc = process(tmp_path, "0::/", "-name", "hunter2")
    assert guest(tmp_path, proc, "dpdk-testpmd") is None


def test_a_name_does_no_harm_to_a_terminal(tmp_path: Path) -> None:
    proc = process(tmp_path, "0::/", "-name", "web\033[2J\n")
    assert guest(tmp_path, proc) == "web?[2J?"


def test_a_process_that_ended_runs_none(tmp_path: Path) -> None:
    assert guest(tmp_path, str(tmp_path / "proc")) is None
