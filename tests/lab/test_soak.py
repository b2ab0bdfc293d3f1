# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long counts, for `make soak`: what is fine once has to be fine a thousand times."""

from __future__ import annotations

import pytest

from .declared import WAKEUP, main_rules, rule
from .dying import kills
from .guests import guest

LAB = {"shape": "standard"}

pytestmark = pytest.mark.soak

STRANGERS, GUESTS, CHANGES = 100, 30, 1000

OFTEN = {"delay": 0.2, "max_per_hour": 36000, "burst": 1000}
ASLEEP = 5.5
"""Seconds. Sleeps shorter than five would be taken for a storm."""


def footprint(host) -> tuple[int, int, int]:
    """Resident kilobytes, descriptors and threads of the helper."""
    script = (
        "pid=$(systemctl show vfio-powerd -P MainPID); grep VmRSS /proc/$pid/status |"
        " tr -dc 0-9; echo; ls /proc/$pid/fd | wc -l; ls /proc/$pid/task | wc -l"
    )
    resident, descriptors, threads = map(int, host.lab.ssh(script).stdout.split())
    return resident, descriptors, threads


def sleeps(host, seconds: float) -> None:
    """Wait until the network card has slept for so long without a break."""
    host.reaches("nic", "D3cold")
    before = host.seen("nic")["nic"].suspended_ms

    def enough() -> bool:
        return host.seen("nic")["nic"].suspended_ms - before > seconds * 1000

    host.lab.wait_for(enough, seconds + 20, f"nic to have slept for {seconds:g} s")


def foreign(host) -> int:
    (nic,) = host.info(devices=[{"address": host.address("nic")}])["devices"]
    return nic["wakes"]["foreign"]


def test_every_one_of_many_strangers_is_counted(main):
    quick = rule(main, "nic", **{**WAKEUP, "reentry": OFTEN})
    main.put_back([quick])
    before, (resident, descriptors, _threads) = foreign(main), footprint(main)
    for _turn in range(STRANGERS):
        sleeps(main, ASLEEP)
        main.lab.ssh(f"lspci -s {main.address('nic')}")
    main.reaches("nic", "D3cold")
    assert foreign(main) == before + STRANGERS
    after = footprint(main)
    assert after[1] == descriptors
    assert after[0] < resident * 1.1


def test_a_device_goes_to_guests_and_comes_back(main):
    main.put_back(main_rules(main))
    address, before = main.address("nic"), footprint(main)
    for turn in range(GUESTS):
        main.ctl(f"release {address} --holder guest-{turn}")
        with guest(main, "nic"):
            assert main.power_state("nic") == "D0"
        main.ctl(f"reclaim {address} --holder guest-{turn}")
        main.reaches("nic", "D3cold")
    assert footprint(main)[1] == before[1]


def test_a_thousand_mode_changes_of_our_own_are_no_foreign_wake(main):
    before = foreign(main)
    wishes = [rule(main, "nic", mode="entry")], [rule(main, "nic", **WAKEUP)]
    done = main.alternate("nic", *wishes, times=CHANGES)
    assert (done["exit"], done["slept"]) == (CHANGES, CHANGES)
    main.put_back(main_rules(main))
    assert foreign(main) == before


def test_five_hundred_kills_move_nothing(main):
    kills(main, times=500)
