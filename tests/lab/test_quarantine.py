# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the helper keeps its hands off: a device that is not trusted, and a host that wants none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .declared import GRACE, main_rules
from .dying import uptime
from .managed import ManagedHost
from .watching import sleeping_on

LAB = {"shape": "small"}
GIVEN_UP_WITHIN = 300  # seconds; the kernel asks a lost device a minute long, after each reset

CARDS = ("nic", "disk", "rng")
OFF = "/etc/vfio-power/off"


def all_asleep(host: ManagedHost, seconds: float = 20) -> None:
    """Wait until every card is held and asleep."""
    for card in CARDS:
        host.reaches(card, "D3hot" if card == "rng" else "D3cold", seconds=seconds)
    assert host.held(*CARDS)


def left_alone(host: ManagedHost, *cards: str) -> None:
    """See that cards are not held, also when the helper had the time to take them."""
    host.lab.wait_for(lambda: uptime(host) > GRACE + 5, GRACE + 60, "the grace to be over")
    assert host.openable(*cards)


@contextmanager
def beyond_reach(host: ManagedHost, card: str) -> Iterator[None]:
    """Have nobody answer what is read from a card, as when it fell off its link: all ones."""
    (port,) = host.ports(card)
    registers = ("SECONDARY_BUS", "SUBORDINATE_BUS")
    numbers = host.lab.ssh(f"setpci -s {port} {' '.join(registers)}").stdout.split()
    nowhere, back = (
        " ".join(f"{register}={number}" for register, number in zip(registers, buses, strict=True))
        for buses in (("fe", "fe"), numbers)
    )
    host.lab.ssh(f"setpci -s {port} {nowhere}")
    try:
        yield
    finally:
        host.lab.ssh(f"setpci -s {port} {back}", timeout=GIVEN_UP_WITHIN)


@contextmanager
def errors_passed_on(host: ManagedHost, card: str) -> Iterator[None]:
    """Have a card's port pass on errors, which the emulator does by these bits alone."""
    (port,) = host.ports(card)
    registers = ("COMMAND", "BRIDGE_CONTROL")
    before = host.lab.ssh(f"setpci -s {port} {' '.join(registers)}").stdout.split()
    back = " ".join(f"{register}={was}" for register, was in zip(registers, before, strict=True))
    host.lab.ssh(f"setpci -s {port} COMMAND=100:100 BRIDGE_CONTROL=2:2")
    try:
        yield
    finally:
        host.lab.ssh(f"setpci -s {port} {back}")


class TestCrashes:
    def test_a_host_that_died_leaves_alone_what_slept_for_the_first_time(self, main):
        main.lab.reboot()  # in good order, which is no crash
        all_asleep(main, seconds=GRACE + 30)
        main.wake("nic")  # it came back once and sleeps again: not what kills the host
        main.lab.power_cut()
        main.reaches("nic", "D3cold", seconds=GRACE + 60)
        assert main.held("nic")
        left_alone(main, "disk", "rng")
        assert main.codes("disk") == main.codes("rng") == {"quarantined": "drift"}
        assert "the host died" in main.ctl(f"show {main.address('disk')}").stdout
        assert main.declare(*main_rules(main))["failed"]
        assert main.openable("disk", "rng")
        main.ctl(f"clear {main.address('disk')} {main.address('rng')}")
        all_asleep(main)
        assert not main.info()["drifted"]


class TestStandingBack:
    def test_a_pause_lets_all_go_and_outlives_a_reboot(self, main):
        main.ctl("pause")
        assert main.openable(*CARDS)
        main.reaches("nic", "D0")
        assert main.codes("nic") == {"paused": "excused"}
        assert not main.declare(*main_rules(main))["failed"]
        main.lab.reboot()
        left_alone(main, *CARDS)
        main.ctl("resume")
        all_asleep(main)

    def test_the_off_switch_of_a_host_is_stronger_than_resume(self, main):
        main.lab.ssh(f"mkdir -p $(dirname {OFF}); touch {OFF}; systemctl restart vfio-powerd")
        try:
            main.lab.wait_for(lambda: main.openable(*CARDS), 30, "all to be let go")
            refused = main.ctl("resume", check=False)
            assert refused.returncode == 1
            assert OFF in refused.stderr
            assert main.openable(*CARDS)
        finally:
            main.lab.ssh(f"rm {OFF}; rmdir --ignore-fail-on-non-empty $(dirname {OFF})")
        main.ctl("resume")
        all_asleep(main)

    def test_so_is_a_word_on_the_kernel_command_line(self, main):
        main.lab.restart(command_line="vfio_power=off")
        try:
            left_alone(main, *CARDS)
            assert "vfio_power=off" in main.ctl("list").stdout
        finally:
            main.lab.restart(command_line="")
        all_asleep(main, seconds=GRACE + 60)

    def test_all_devices_are_released_at_once(self, main):
        main.ctl("release --all --holder maintenance")
        assert main.openable(*CARDS)
        main.ctl(f"reclaim {' '.join(main.address(card) for card in CARDS)}")
        all_asleep(main)


@pytest.mark.soak  # two and a half minutes of waiting, all of them the kernel's
class TestLostDevices:
    def test_a_device_that_does_not_come_back_is_not_taken_again_until_it_is_cleared(self, main):
        address = main.address("nic")
        with beyond_reach(main, "nic"):
            refused = main.ctl(f"release {address} --holder guest", check=False)
            assert refused.returncode == 1
        main.lab.wait_for(lambda: main.openable("nic"), 120, "the reset to be over")
        assert main.codes("nic") == {"power-error": "drift"}
        refused = main.ctl(f"reclaim {address}", check=False)
        assert refused.returncode == 1
        assert f"vfio-powerctl clear {address}" in refused.stderr
        assert main.openable("nic")
        main.ctl(f"clear {address}")
        all_asleep(main)


class TestErrors:
    def test_a_device_with_an_uncorrectable_error_is_let_go_until_it_is_cleared(self, main):
        address = main.address("nic")
        error = "pcie_aer_inject_error port-nic COMP_ABORT"  # what its port says of a lost answer
        with sleeping_on(main, "disk", "rng"):
            with errors_passed_on(main, "nic"):
                told = main.lab.qmp("human-monitor-command", command_line=error)
                assert told.startswith("OK"), told
                main.lab.wait_for(lambda: main.openable("nic"), 30, "the device to be let go")
            assert main.codes("nic") == {"quarantined": "drift"}
            assert "uncorrectable error" in main.ctl(f"show {address}").stdout
            refused = main.ctl(f"reclaim {address}", check=False)
            assert refused.returncode == 1
            assert f"vfio-powerctl clear {address}" in refused.stderr
            main.ctl(f"clear {address}")
        all_asleep(main)
        assert not main.info()["drifted"]
