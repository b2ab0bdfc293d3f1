# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's policy is as declared whatever happens to the device, and as found afterwards."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .declared import DELAY, GRACE, REBIND, WAKEUP, main_rules, rule
from .managed import ManagedHost
from .watching import changed, sleeping_on, written

LAB = {"shape": "standard"}

RULES = "/etc/udev/rules.d/62-vfio-power.rules"
WARM = {**WAKEUP, "d3cold": "forbid"}

_WATCH = """
import json, select, sys
address, seen = sys.argv[1], [None]
def read(name):
    with open(f"/sys/bus/pci/devices/{address}/{name}") as file:
        return file.read().strip()
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.002)[0]:
    allowed = read("d3cold_allowed")  # first: what is seen of the state is later
    now = f"{allowed} {read('power_state')}"
    if now != seen[-1]:
        seen.append(now)
print(json.dumps(seen[1:]))
"""


@pytest.fixture(scope="class")
def warm(converged: ManagedHost) -> Iterator[ManagedHost]:
    """The host with its network card allowed no deeper than D3hot; as it was found afterwards.

    For all tests of a class, each of which leaves it like that.
    """
    converged.put_back(main_rules(converged))
    answer = converged.declare(*rules(converged, **WARM), settle=15)
    assert not answer.get("failed"), answer
    yield converged
    back = converged.declare(*main_rules(converged), settle=15)
    assert not back.get("failed"), back


def rules(host: ManagedHost, **wanted: Any) -> list[dict[str, Any]]:
    """The main rules, with another one for the network card."""
    others = [it for it in main_rules(host) if it["name"] != "nic"]
    return [rule(host, "nic", **wanted), *others]


def knob(host: ManagedHost, card: str, name: str) -> str:
    """What an attribute of the policy reads."""
    return host.lab.ssh(f"cat /sys/bus/pci/devices/{host.address(card)}/{name}").stdout.strip()


def foreign(host: ManagedHost, card: str) -> int:
    """How often somebody else woke a card."""
    shown = json.loads(host.ctl(f"show {host.address(card)} --json").stdout)
    count: int = shown["wakes"]["foreign"]
    return count


@contextmanager
def watched(host: ManagedHost, card: str) -> Iterator[list[str]]:
    """Look at a card all through a block; then know the pairs of policy and state, in order."""
    words = [
        *host.lab.ssh_command(),
        f"python3 -I -u -c {shlex.quote(_WATCH)} {host.address(card)}",
    ]
    seen: list[str] = []
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as looking:
        assert looking.stdout is not None
        assert looking.stdout.readline() == "ready\n"
        try:
            yield seen
        finally:
            told = looking.communicate("\n", timeout=30)[0]
    seen += json.loads(told)


class TestD3cold:
    def test_a_card_that_must_not_get_there_sleeps_in_d3hot(self, warm: ManagedHost) -> None:
        assert warm.power_state("nic") == "D3hot"
        assert warm.held("nic")
        assert warm.codes("nic") == {}
        assert knob(warm, "nic", "d3cold_allowed") == "0"

    def test_the_second_run_changes_nothing_and_wakes_nothing(self, warm: ManagedHost) -> None:
        before = written(warm)
        with sleeping_on(warm, "nic", "disk", "rng"):
            answer = warm.declare(*rules(warm, **WARM))
        assert (answer["changed"], answer.get("failed", False)) == (False, False)
        assert changed(before, written(warm)) == set()

    def test_it_stays_so_over_an_unbind_and_a_bind(self, warm: ManagedHost) -> None:
        warm.unbind("nic")
        warm.probe("nic")
        warm.reaches("nic", "D3hot", seconds=REBIND + DELAY + 20)
        assert warm.held("nic")
        assert warm.codes("nic") == {}

    def test_it_stays_so_when_the_card_is_removed_and_found_again(self, warm: ManagedHost) -> None:
        address = warm.address("nic")
        warm.write(f"/sys/bus/pci/devices/{address}/remove", "1")
        warm.lab.ssh("echo 1 > /sys/bus/pci/rescan; udevadm settle")
        assert warm.address("nic") == address
        assert knob(warm, "nic", "d3cold_allowed") == "0", "udev wrote it, before any driver"
        warm.bind("nic")
        warm.reaches("nic", "D3hot", seconds=REBIND + DELAY + 20)
        assert warm.held("nic")
        assert warm.codes("nic") == {}

    def test_it_stays_so_over_a_boot(self, warm: ManagedHost) -> None:
        warm.lab.reboot()
        warm.reaches("nic", "D3hot", seconds=GRACE + 30)
        warm.reaches("disk", "D3cold", seconds=GRACE + 30)
        assert warm.held("nic", "disk")
        assert knob(warm, "nic", "d3cold_allowed") == "0"
        assert not warm.info()["drifted"]

    def test_a_card_under_another_policy_than_declared_is_not_entered(
        self, warm: ManagedHost
    ) -> None:
        path = f"/sys/bus/pci/devices/{warm.address('nic')}/d3cold_allowed"
        warm.write(path, "1")
        warm.reaches("nic", "D0")
        warm.lab.wait_for(
            lambda: warm.codes("nic") == {"host-policy": "drift"}, 30, "the drift to be told"
        )
        assert warm.held("nic")
        told = json.loads(warm.ctl(f"why {warm.address('nic')} --json").stdout)
        assert [it["code"] for it in told["why"]["awake"]] == ["host-policy"]
        warm.write(path, "0")
        warm.reaches("nic", "D3hot", seconds=30)
        assert warm.codes("nic") == {}

    def test_a_coldplug_wakes_no_sleeping_card(self, warm: ManagedHost) -> None:
        with sleeping_on(warm, "nic", "disk", "rng"):
            warm.lab.ssh("udevadm trigger --action=add --subsystem-match=pci; udevadm settle")

    def test_it_is_as_found_when_it_is_no_longer_declared(self, warm: ManagedHost) -> None:
        before = foreign(warm, "nic")
        answer = warm.declare(*main_rules(warm), settle=15)
        assert not answer.get("failed"), answer
        warm.reaches("nic", "D3cold")
        assert knob(warm, "nic", "d3cold_allowed") == "1"
        assert foreign(warm, "nic") == before
        assert warm.lab.ssh(f"ls {RULES}", check=False).returncode
        assert not warm.declare(*main_rules(warm))["changed"]


class TestChange:
    def test_check_mode_tells_the_change_and_touches_nothing(self, main: ManagedHost) -> None:
        with sleeping_on(main, "nic", "disk", "rng"):
            answer = main.module("low_power", check=True, devices=rules(main, **WARM), purge=True)
        told = {it["address"]: it for it in answer["devices"]}
        nic = told[main.address("nic")]
        assert (nic["before"]["d3cold"], nic["after"]["d3cold"]) == ("allow", "forbid")
        assert answer["changed"]
        assert knob(main, "nic", "d3cold_allowed") == "1"
        assert main.lab.ssh(f"ls {RULES}", check=False).returncode

    def test_what_somebody_else_had_forbidden_is_forbidden_again(self, main: ManagedHost) -> None:
        path = f"/sys/bus/pci/devices/{main.address('nic')}/d3cold_allowed"
        main.write(path, "0")
        try:
            main.reaches("nic", "D3hot", seconds=DELAY + 20)
            answer = main.declare(*rules(main, **WAKEUP, d3cold="allow"), settle=15)
            assert not answer.get("failed"), answer
            main.reaches("nic", "D3cold")
            assert not main.declare(*main_rules(main), settle=15).get("failed")
            assert knob(main, "nic", "d3cold_allowed") == "0"
        finally:
            main.write(path, "1")
        main.reaches("nic", "D3cold", seconds=DELAY + 20)

    @pytest.mark.parametrize("mode", ["entry", "entry-with-wakeup"])
    def test_it_is_changed_under_a_sleeping_card_without_a_foreign_wake_or_a_gap(
        self, main: ManagedHost, mode: str
    ) -> None:
        wanted = WAKEUP if mode == "entry-with-wakeup" else {"mode": mode}
        answer = main.declare(*rules(main, **wanted), settle=15)
        assert not answer.get("failed"), answer
        main.reaches("nic", "D3cold")
        before = foreign(main, "nic") if mode == "entry-with-wakeup" else None
        try:
            with watched(main, "nic") as seen:
                answer = main.declare(*rules(main, **wanted, d3cold="forbid"), settle=15)
            assert not answer.get("failed"), answer
            assert (seen[0], seen[-1]) == ("1 D3cold", "0 D3hot")
            assert "0 D3cold" not in seen, "it slept under the policy of before"
            once_awake = seen[seen.index("1 D0") :]
            assert not [it for it in once_awake if it.startswith("1 D3")], seen
            if before is not None:
                assert foreign(main, "nic") == before
        finally:
            main.declare(*main_rules(main), settle=15)

    def test_a_neighbour_that_wakes_with_it_counts_no_foreign_wake(self, main: ManagedHost) -> None:
        armed = [rule(main, card, **WAKEUP) for card in ("dual0", "dual1")]
        others = main_rules(main)
        try:
            assert not main.declare(*others, *armed, settle=15).get("failed")
            for card in ("dual0", "dual1"):
                main.reaches(card, "D3cold")
            before = foreign(main, "dual0"), foreign(main, "dual1")
            policy = [rule(main, "dual0", **WAKEUP, d3cold="forbid"), armed[1]]
            main.declare(*others, *policy, settle=15, fail_on_drift=False)
            main.reaches("dual0", "D3hot")
            main.reaches("dual1", "D3hot", seconds=DELAY + 20)
            assert (foreign(main, "dual0"), foreign(main, "dual1")) == before
        finally:
            main.declare(*others, settle=15)


class TestRuntimePm:
    def test_a_card_that_must_not_sleep_stays_awake_over_a_bind(self, main: ManagedHost) -> None:
        wanted = {"mode": "none", "runtime_pm": "forbid"}
        try:
            assert not main.declare(*rules(main, **wanted)).get("failed")
            assert knob(main, "nic", "power/control") == "on"
            main.unbind("nic")
            main.probe("nic")
            main.lab.ssh("udevadm settle")
            assert knob(main, "nic", "power/control") == "on"
        finally:
            answer = main.declare(*main_rules(main), settle=15)
        assert not answer.get("failed"), answer
        assert knob(main, "nic", "power/control") == "auto"
        main.reaches("nic", "D3cold")

    def test_what_somebody_else_forbids_is_allowed_where_that_is_declared(
        self, main: ManagedHost
    ) -> None:
        main.write(f"/sys/bus/pci/devices/{main.address('nic')}/power/control", "on")
        main.reaches("nic", "D0")
        try:
            answer = main.declare(*rules(main, **WAKEUP, runtime_pm="allow"), settle=15)
            assert not answer.get("failed"), answer
            main.reaches("nic", "D3cold")
        finally:
            main.write(f"/sys/bus/pci/devices/{main.address('nic')}/power/control", "auto")
            main.declare(*main_rules(main), settle=15, fail_on_drift=False)
            main.write(f"/sys/bus/pci/devices/{main.address('nic')}/power/control", "auto")
        main.reaches("nic", "D3cold", seconds=DELAY + 20)
