# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the helper keeps its hands off: a device that is not trusted, and a host that wants none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conditions import beyond_reach, report_error
from .declared import GRACE, main_rules
from .dying import uptime
from .managed import ManagedHost
from .sights import Sight, commands, everywhere, gone
from .upgrading import collection_with
from .watching import sleeping_on

LAB = {"shape": "small"}

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
def impatient(host: ManagedHost, collections: Path, folder: Path) -> Iterator[ManagedHost]:
    """Have those who look find it too long after a second that a device is let go.

    The kernel gives up on a device before it is found too long otherwise.
    """
    file, (patient, hasty) = "think/deadlines.py", ("LET_GO.value: 130.0", "LET_GO.value: 1.0")
    others = collection_with(collections, folder, {file: (patient, hasty)})
    edit = "sed -i 's/{}/{}/' /usr/local/lib/vfio-power/current/vfio_power/" + file
    host.lab.ssh(edit.format(patient, hasty))
    try:
        yield ManagedHost(host.lab, others, host.bin_folder)
    finally:
        host.lab.ssh(edit.format(hasty, patient))


def look_at_the_log(host: ManagedHost, hint: str) -> None:
    """See that there is something."""
    assert hint.startswith("Look at the kernel log"), hint
    host.lab.ssh(f"journalctl -k | grep {host.address('nic')}")


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
    @pytest.mark.soak  # a boot each; on the fake kernel both are seen in every run
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

    @pytest.mark.soak
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
    def test_a_device_that_does_not_come_back_is_not_taken_again_until_it_is_cleared(
        self, main, collections, tmp_path
    ):
        address, rules = main.address("nic"), main_rules(main)
        stuck = Sight("stuck", "nic", "has not returned from the kernel for", look_at_the_log)
        lost = Sight("power-error", "nic", "did not come back", commands)
        with beyond_reach(main, "nic"), impatient(main, collections, tmp_path) as sooner:
            refused = main.ctl(f"release {address} --holder guest", check=False)
            assert refused.returncode == 1
            told = everywhere(sooner, stuck, vfio_power_devices=rules)
            stuck.follow(main, told[stuck]["hint"])
        main.lab.wait_for(lambda: main.openable("nic"), 120, "the reset to be over")
        assert main.codes("nic") == {"power-error": "drift"}
        told = everywhere(main, lost, vfio_power_devices=rules)
        refused = main.ctl(f"reclaim {address}", check=False)
        assert refused.returncode == 1
        assert f"vfio-powerctl clear {address}" in refused.stderr
        assert main.openable("nic")
        lost.follow(main, told[lost]["hint"])
        all_asleep(main)
        gone(main, [stuck, lost], seconds=30)


class TestErrors:
    def test_a_device_with_an_uncorrectable_error_is_let_go_until_it_is_cleared(self, main):
        address = main.address("nic")
        with sleeping_on(main, "disk", "rng"):
            report_error(main, "nic")
            assert main.codes("nic") == {"quarantined": "drift"}
            assert "uncorrectable error" in main.ctl(f"show {address}").stdout
            refused = main.ctl(f"reclaim {address}", check=False)
            assert refused.returncode == 1
            assert f"vfio-powerctl clear {address}" in refused.stderr
            main.ctl(f"clear {address}")
        all_asleep(main)
        assert not main.info()["drifted"]
