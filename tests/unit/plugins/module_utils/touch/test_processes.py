# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a task of the trace is: process, guest or unit, and never what it was told to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.trace import Began
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.processes import who_is
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.waker import Kind, Waker

SECRET = "hunter2"
USER, KERNEL = 0x00400000, 0x04208060


class Processes:
    """Some that are there."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.run = folder / "proc", folder / "run"

    def add(
        self, task: int, command: str, group: int = 0, flags: int = USER, groups: str = "0::/"
    ) -> None:
        place = self.proc / str(task)
        place.mkdir(parents=True)
        (place / "comm").write_text(f"{command}\n")
        (place / "status").write_text(f"Name:\t{command}\nTgid:\t{group or task}\nNgid:\t0\n")
        (place / "stat").write_text(f"{task} ({command}) S 1 {task} {task} 0 -1 {flags} 1 0 0\n")
        (place / "cgroup").write_text(f"{groups}\n")
        (place / "cmdline").write_text(f"{command}\0--password={SECRET}\0")

    def who(self, task: int, command: str, in_interrupt: bool = False) -> Waker:
        call = Began(PciAddress(0, 1, 0, 0), task, 1.0, command, in_interrupt, asynchronous=False)
        return who_is(call, 447, str(self.proc), str(self.run))


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path)


def test_one_that_is_gone_goes_by_what_the_trace_has(processes: Processes) -> None:
    assert processes.who(812, "lspci") == Waker(Kind.PROCESS, "lspci", 812)
    assert processes.who(812, "<...>") == Waker(Kind.PROCESS, None, 812)


@pytest.mark.parametrize("noted", ["<...>", "sh"])
def test_one_that_is_there_has_its_name_from_after_the_exec(
    processes: Processes, noted: str
) -> None:
    processes.add(812, "lspci")
    assert processes.who(812, noted) == Waker(Kind.PROCESS, "lspci", 812)


@pytest.mark.parametrize(
    ("groups", "unit"),
    [
        ("0::/system.slice/node-exporter.service", "node-exporter.service"),
        ("0::/user.slice/user-0.slice/session-3.scope", "session-3.scope"),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/it.service", "it.service"),
        ("4:cpu:/\n1:name=systemd:/system.slice/cron.service/inner", "cron.service"),
        ("0::/init.scope\x1b[2J.scope", "init.scope?[2J.scope"),
        ("0::/", None),
    ],
)
def test_its_unit_is_told(processes: Processes, groups: str, unit: str | None) -> None:
    processes.add(812, "sh", groups=groups)
    assert processes.who(812, "sh") == Waker(Kind.PROCESS, "sh", 812, unit=unit)


def test_a_thread_goes_by_its_process_and_a_guest_by_its_name(processes: Processes) -> None:
    owner = processes.run / "libvirt" / "qemu"
    owner.mkdir(parents=True)
    (owner / "web.pid").write_text("812")
    scope = r"0::/machine.slice/machine-qemu\x2d3\x2dweb.scope"
    processes.add(812, "qemu-system-x86", groups=scope)
    processes.add(815, "CPU 0/KVM", group=812, groups=scope)
    told = processes.who(815, "CPU 0/KVM")
    assert (told.command, told.pid, told.guest) == ("qemu-system-x86", 812, "web")


def test_a_thread_of_the_helper_is_our_own(processes: Processes) -> None:
    processes.add(447, "python3")
    processes.add(454, "python3", group=447)
    assert processes.who(454, "python3").kind is Kind.OWN


@pytest.mark.parametrize("command", ["kworker/1:1-pm", "irq/24-pciehp", "odd) name"])
def test_a_thread_of_the_kernel_is_known_by_its_flags(processes: Processes, command: str) -> None:
    processes.add(45, command, flags=KERNEL)
    assert processes.who(45, command) == Waker(Kind.KERNEL, command, 45)


def test_a_worker_of_the_kernel_that_ended_is_known_by_its_name(processes: Processes) -> None:
    assert processes.who(45, "kworker/1:1") == Waker(Kind.KERNEL, "kworker/1:1", 45)
    assert processes.who(0, "<idle>").kind is Kind.KERNEL


def test_who_ran_when_an_interrupt_came_has_nothing_to_do_with_it(processes: Processes) -> None:
    processes.add(812, "sh")
    assert processes.who(812, "sh", in_interrupt=True) == Waker(Kind.INTERRUPT)


def test_nothing_of_its_arguments_is_told_and_no_control_character(processes: Processes) -> None:
    processes.add(812, "sh\x1b[2J")
    told = processes.who(812, "sh\x1b[2J")
    assert told.command == "sh?[2J"
    assert SECRET not in repr(told)
