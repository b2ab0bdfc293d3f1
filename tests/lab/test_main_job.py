# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare, hold, wake, let go: the main job on a host that keeps its devices awake.

The host's vfio-pci runs with disable_idle_d3=1, so that a device sleeps only if somebody
holds it and allows it to. That it is held is asked of the kernel, never of the helper.
"""

from __future__ import annotations

import json
import time

from .declared import DELAY, HELPER, WAKEUP, main_rules, rule
from .managed import ManagedHost
from .outside import ASLEEP
from .watching import changed, sleeping_on, written

LAB = {"shape": "standard"}

BOTH = ("dual0", "dual1")

CHANGES = 200

LONG = 20
"""Seconds of a delay that leaves time to look at a woken device."""


class TestConverge:
    def test_declared_devices_are_held_and_asleep_and_the_others_awake(self, main):
        main.reaches("rng", "D3hot")
        seen = main.seen("nic", "disk", "rng", "spare", "warm")
        states = {name: it.power_state for name, it in seen.items()}
        assert states == {
            "nic": "D3cold",
            "disk": "D3cold",
            "rng": "D3hot",
            "spare": "D0",
            "warm": "D0",
        }
        assert main.held("nic", "disk", "rng", "spare")
        assert main.openable("warm")

    def test_the_answer_tells_engaged_and_reached(self, main):
        answer = main.declare(*main_rules(main))
        told = {it["address"]: it for it in answer["devices"]}
        nic = told[main.address("nic")]
        assert (nic["engaged"], nic["power_state"]) == ("entry-with-wakeup", "D3cold")
        assert (nic["held"], nic["rule"]) == (True, "nic")
        spare = told[main.address("spare")]
        assert (spare["engaged"], spare["power_state"]) == ("none", "D0")
        assert not answer["drifted"]
        assert main.held("nic", "disk", "rng", "spare")

    def test_the_second_converge_changes_nothing_and_wakes_nothing(self, main):
        """With a card of two functions besides, since the port above them sleeps as well."""
        rules = main_rules(main) + [rule(main, card, **WAKEUP) for card in BOTH]
        main.put_back(rules)
        (port,) = main.ports(*BOTH)
        main.reaches(port, "D3cold")
        before = written(main)
        with sleeping_on(main, "nic", "disk", "rng", *BOTH) as asleep:
            assert port in asleep
            played = main.converge(vfio_power_devices=rules, **HELPER)
        assert played.changed == 0, played.output
        assert changed(before, written(main)) == set()
        assert main.held("nic", "disk", "rng", *BOTH)


def shown(host: ManagedHost, name: str) -> dict:
    """What the host's own command says of a device."""
    return json.loads(host.ctl(f"show {host.address(name)} --json").stdout)


class TestWake:
    def wakes(self, host: ManagedHost, name: str) -> dict:
        answer = host.info(devices=[{"address": host.address(name)}])
        return answer["devices"][0]

    def test_a_stranger_is_counted_once_and_the_device_goes_back_after_the_delay(self, main):
        slow = rule(main, "nic", **{**WAKEUP, "reentry": {"delay": LONG}})
        main.put_back([slow])
        main.reaches("nic", "D3cold")
        before = self.wakes(main, "nic")["wakes"]
        main.lab.ssh(f"lspci -s {main.address('nic')}")
        woken = time.monotonic()
        main.reaches("nic", "D0", seconds=LONG / 2)
        assert "waiting" in main.ctl(f"show {main.address('nic')}").stdout
        main.reaches("nic", "D3cold", seconds=LONG + 15)
        assert time.monotonic() - woken > 0.9 * LONG - 1, "it went back before its time"
        after = self.wakes(main, "nic")
        assert after["wakes"]["foreign"] - before["foreign"] == 1
        assert after["engaged"] == "entry-with-wakeup"
        assert main.held("nic")

    def test_in_entry_the_kernel_puts_it_back_and_the_time_awake_is_seen(self, main):
        main.reaches("disk", "D3cold")
        before = main.seen("disk")["disk"]
        main.lab.ssh(f"lspci -s {main.address('disk')}")
        main.reaches("disk", "D3cold")
        after = main.seen("disk")["disk"]
        assert after.active_ms > before.active_ms
        told = self.wakes(main, "disk")
        assert told["wakes"] is None
        assert told["active_seconds"] * 1000 == after.active_ms, "asleep, so that it stands still"
        assert main.held("disk")

    def test_two_hundred_mode_changes_of_our_own_are_no_foreign_wake(self, main):
        before = self.wakes(main, "nic")["wakes"]
        wishes = [rule(main, "nic", mode="entry")], [rule(main, "nic", **WAKEUP)]
        done = main.alternate("nic", *wishes, times=CHANGES)
        each = CHANGES // 2
        assert done == {"exit": CHANGES, "entry": each, "entry-with-wakeup": each, "slept": CHANGES}
        after = self.wakes(main, "nic")["wakes"]
        assert after["total"] - before["total"] == each, "each end of an armed sleep is a wake"
        assert after["foreign"] == before["foreign"]
        assert main.held("nic")

    def test_calls_on_one_function_are_no_foreign_wake_of_the_other(self, main):
        both = [rule(main, card, **WAKEUP) for card in ("dual0", "dual1")]
        assert not main.declare(*both, settle=15).get("failed")
        main.reaches("dual1", "D3cold")
        before = self.wakes(main, "dual1")["wakes"]
        one = [rule(main, "dual0", mode="entry"), both[1]]
        for rules in (one, both):
            assert not main.declare(*rules, settle=20).get("failed")
        main.reaches("dual1", "D3cold", seconds=DELAY + 15)
        after = self.wakes(main, "dual1")["wakes"]
        assert after["total"] > before["total"], "the port's return wakes both"
        assert after["foreign"] == before["foreign"]
        assert main.held(*BOTH)

    def test_one_access_wakes_both_functions_and_both_go_back(self, main):
        both = [rule(main, card, **WAKEUP) for card in ("dual0", "dual1")]
        assert not main.declare(*both, settle=15).get("failed")
        main.reaches("dual0", "D3cold")
        before = {name: self.wakes(main, name)["wakes"]["foreign"] for name in ("dual0", "dual1")}
        main.lab.ssh(f"lspci -s {main.address('dual0')}")
        for name in ("dual0", "dual1"):
            main.reaches(name, "D3cold", seconds=DELAY + 15)
            assert self.wakes(main, name)["wakes"]["foreign"] == before[name] + 1
        assert main.held(*BOTH)


MODES = {
    "entry": {"mode": "entry"},
    "wakeup": WAKEUP,
    "reserve": {"mode": "none", "reserve": True},
    "none": {"mode": "none"},
}
ENGAGED = {"entry": "entry", "wakeup": "entry-with-wakeup"}
DIRECTIONS = [(a, b) for a in MODES for b in MODES if a != b]
LOOP = ["none", "entry", "wakeup", "entry", "reserve", "wakeup", "none", "reserve", "entry"]
LOOP += ["none", "wakeup", "reserve", "none"]


class TestChange:
    def test_modes_change_in_every_direction(self, main):
        assert set(zip(LOOP, LOOP[1:])) == set(DIRECTIONS)
        main.put_back([rule(main, "nic", **MODES[LOOP[0]])])
        for before, after in zip(LOOP, LOOP[1:]):
            way = f"from {before} to {after}"
            answer = main.declare(rule(main, "nic", **MODES[after]), settle=10)
            assert not answer.get("failed"), (way, answer)
            (nic,) = answer["devices"]
            assert (nic["changed"], nic["engaged"]) == (True, ENGAGED.get(after, "none")), way
            assert main.held("nic") == (after != "none"), way
            assert main.power_state("nic") == ("D3cold" if after in ENGAGED else "D0"), way
            if after in ENGAGED:
                self.wakes_like(after, main, way)

    def wakes_like(self, mode: str, main: ManagedHost, way: str) -> None:
        """Only a device in entry goes back by itself, only one with wakeup is counted."""
        before = shown(main, "nic")["wakes"]
        awake = main.wake("nic")
        after = shown(main, "nic")["wakes"]
        if mode == "entry":
            assert 0 < awake < DELAY / 2, way
            assert after is None, way
        else:
            assert awake > DELAY * 0.9, way
            assert after["foreign"] == before["foreign"] + 1, way

    def test_absent_takes_a_rule_away_and_lets_the_device_go(self, main):
        answer = main.declare(rule(main, "disk", state="absent"), purge=False)
        assert answer["changed"]
        assert main.openable("disk")
        assert main.power_state("disk") == "D0"
        assert main.held("nic")

    def test_excluded_devices_are_let_go_and_never_matched(self, main):
        intel = {"name": "intel", "match": {"vendor": ["8086"], "class": ["0200"]}, "mode": "entry"}
        main.put_back([intel])
        assert main.held("nic", "warm")
        answer = main.declare(intel, exclude=[{"address": main.address("warm")}], settle=15)
        assert not answer.get("failed"), answer
        told = {it["address"]: (it["before"]["held"], it["held"]) for it in answer["devices"]}
        assert told[main.address("warm")] == (True, False)
        assert main.openable("warm")
        assert main.power_state("warm") == "D0"
        assert main.held("nic")
        assert main.power_state("nic") in ASLEEP

    def test_an_empty_list_does_not_purge_a_host(self, main):
        answer = main.declare()
        assert answer["failed"]
        assert "purge" in answer["msg"]
        assert main.held("nic")
