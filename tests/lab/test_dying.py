# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A helper that dies moves no device: killed, restarted, out of memory, under a new manager."""

from __future__ import annotations

import pytest

from .deaths import DEATHS, a_death_moves_nothing
from .declared import DELAY
from .dying import CARDS, a_stop_lets_all_go, came_back, kills, main_pid, wakes
from .managed import ManagedHost

LAB = {"shape": "standard"}


@pytest.mark.parametrize("way", DEATHS)
def test_no_device_moves_when_the_helper_dies(main: ManagedHost, way: str) -> None:
    a_death_moves_nothing(main, way)


DROP_IN = "/run/systemd/system/vfio-powerd.service.d"


def test_descriptors_that_are_not_kept_are_told(main: ManagedHost) -> None:
    cards = " ".join(main.address(card) for card in CARDS)
    again = f"vfio-powerctl release {cards} --holder test && vfio-powerctl reclaim {cards}"
    again = f"systemctl daemon-reload && {again}"
    few = "printf '[Service]\\nFileDescriptorStoreMax=7\\n'"
    try:
        main.lab.ssh(f"mkdir {DROP_IN} && {few} > {DROP_IN}/few.conf && {again}")
        answer = main.info()
        assert answer["helper"]["fdstore_ok"] is False
        (drift,) = [it for it in answer["drift"] if it["code"] == "not-kept"]
        assert "of 20 descriptors of the helper the service manager keeps 7" in drift["message"]
        assert not answer["drifted"]
    finally:
        main.lab.ssh(f"rm -r {DROP_IN} && {again}")
    assert main.info()["helper"]["fdstore_ok"] is True


def test_a_wake_while_nobody_was_there_is_counted(main: ManagedHost) -> None:
    before, pid = wakes(main, "nic"), main_pid(main)
    address = main.address("nic")
    main.lab.ssh(f"systemctl kill -s KILL vfio-powerd; lspci -s {address}")
    assert main.power_state("nic") == "D0"
    came_back(main, pid)
    main.reaches("nic", "D3cold", seconds=DELAY + 10)
    after = wakes(main, "nic")
    assert (after["total"], after["foreign"]) == (before["total"] + 1, before["foreign"] + 1)


def test_a_lent_device_keeps_its_wakes_though_the_helper_dies_meanwhile(main: ManagedHost) -> None:
    address = main.address("nic")
    main.wake("nic")
    before = wakes(main, "nic")
    assert before["foreign"]
    main.ctl(f"release {address} --holder guest")
    pid = main_pid(main)
    main.lab.ssh("systemctl kill -s KILL vfio-powerd")
    came_back(main, pid)
    assert main.openable("nic")
    assert wakes(main, "nic") == before
    main.ctl(f"reclaim {address} --holder guest")
    main.reaches("nic", "D3cold")
    assert wakes(main, "nic") == before


def test_killed_at_any_moment_it_reaches_what_is_declared(main: ManagedHost) -> None:
    kills(main, times=20)


def test_devices_sleep_on_while_the_host_suspends_and_resumes_its_devices(
    main: ManagedHost,
) -> None:
    before = main.seen(*CARDS)
    # The kernel's own test of the way there and back, without the power going in between.
    main.lab.ssh("echo devices > /sys/power/pm_test; echo freeze > /sys/power/state")
    for card, state in {"nic": "D3cold", "disk": "D3cold", "rng": "D3hot"}.items():
        main.reaches(card, state, seconds=DELAY + 20)
    after = main.seen(*CARDS)
    assert {card: it.active_ms for card, it in after.items() if it.runtime_status != "active"} == {
        card: it.active_ms for card, it in before.items() if it.runtime_status != "active"
    }
    assert not any(main.openable(card) for card in CARDS)
    answer = main.info()
    assert not answer["drifted"], answer["drift"]
    assert answer["helper"]["fdstore_ok"] is True


def test_a_helper_that_cannot_be_started_any_more_holds_no_device_for_good(
    main: ManagedHost,
) -> None:
    """The unit allows thirty starts a minute; five are enough to see what comes then."""
    fails = "[Unit]\nStartLimitBurst=5\n[Service]\nExecStart=\nExecStart=/bin/false\n"
    state = "systemctl show -P ActiveState vfio-powerd.service"
    main.lab.ssh(f"mkdir {DROP_IN} && cat > {DROP_IN}/fails.conf", input=fails)
    try:
        main.lab.ssh("systemctl daemon-reload; systemctl kill -s KILL vfio-powerd")
        assert not any(main.openable(card) for card in CARDS), "kept as long as it may come back"
        main.lab.wait_for(
            lambda: main.lab.ssh(state).stdout.strip() == "failed", 60, "the unit to be given up"
        )
        main.lab.wait_for(lambda: main.openable(*CARDS), 30, "every device to be free")
        assert {it.power_state for it in main.seen(*CARDS).values()} == {"D0"}
    finally:
        units = "vfio-powerd.socket vfio-powerd.service"
        main.lab.ssh(f"rm -r {DROP_IN}; systemctl daemon-reload; systemctl reset-failed {units}")
        main.lab.ssh(f"systemctl start {units}")
    main.reaches("nic", "D3cold")
    assert main.held(*CARDS)


def test_a_stop_lets_all_devices_go_side_by_side(main: ManagedHost) -> None:
    a_stop_lets_all_go(main)
