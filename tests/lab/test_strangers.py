# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strangers on the bus: one who reads a device every second, and one who has it scanned anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .declared import DELAY, WAKEUP, main_rules, rule
from .managed import ManagedHost
from .sights import Sight, everywhere, gone, nothing
from .watching import sleeping_on

LAB = {"shape": "standard"}

BOTH = ("dual0", "dual1")

JUDGED = 8
"""How many short sleeps make a storm."""

REST = 900
"""Seconds that a device is left awake in a storm."""

OFTEN = {"delay": 0.5, "max_per_hour": 60, "burst": 4 * JUDGED}
"""Back asleep before the next read, and not slowed down before the storm is seen."""

FOUND = "/run/reader"
# One line a second: how the reader found the device, just before it woke it.
READER = (
    "touch {found}; systemd-run --quiet --collect --unit=reader sh -c"
    " 'cd /sys/bus/pci/devices/{address}; while sleep 1;"
    " do cat power/runtime_status; head -c 64 config > /dev/null; done > {found}'"
)


@contextmanager
def read_every_second(host: ManagedHost, card: str) -> Iterator[Callable[[], list[str]]]:
    """Read the configuration space of a card every second during a block.

    The block gets a function that tells how the reader found the card each time.
    """

    def found_by_now() -> list[str]:
        return host.lab.ssh(f"cat {FOUND}").stdout.split()

    host.lab.ssh(READER.format(found=FOUND, address=host.address(card)))
    try:
        yield found_by_now
    finally:
        host.lab.ssh(f"systemctl stop reader; rm -f {FOUND}")


@contextmanager
def nothing_remembered(host: ManagedHost, card: str) -> Iterator[None]:
    """Begin and end with a helper that knows of no wake of a card, and holds it again.

    What is remembered outlives a helper that holds the card, and a card that is lent: not both.
    """
    address = host.address(card)
    forget = (
        f"vfio-powerctl release {address} --holder test && systemctl restart vfio-powerd"
        f" && vfio-powerctl reclaim {address} --holder test"
    )
    host.lab.ssh(forget)
    try:
        yield
    finally:
        host.lab.ssh(forget)
        host.reaches(card, "D3cold")


def told(host: ManagedHost, card: str) -> dict[str, Any]:
    """What the host's own command says of a device that the helper answers for."""
    answer: dict[str, Any] = json.loads(host.ctl(f"show {host.address(card)} --json").stdout)
    assert answer["reentries"] is not None, "the helper did not answer"
    return answer


def foreign(host: ManagedHost, *cards: str) -> dict[str, int]:
    """The wakes by others that the helper claims for cards."""
    addresses = {host.address(card): card for card in cards}
    answer = host.info(devices=[{"address": address} for address in addresses])
    return {addresses[it["address"]]: it["wakes"]["foreign"] for it in answer["devices"]}


def entered_often(host: ManagedHost) -> list[dict[str, Any]]:
    """The main rules, with a network card that is back asleep before the next read."""
    often = rule(host, "nic", **{**WAKEUP, "reentry": OFTEN})
    return [often, *(it for it in main_rules(host) if it["name"] != "nic")]


def storms(host: ManagedHost) -> bool:
    """Whether the helper has given up on the network card for a while."""
    return bool(told(host, "nic")["reentries"]["breaker"] == "open")


def test_a_device_that_is_read_every_second_is_left_awake_and_the_storm_told(
    main: ManagedHost,
) -> None:
    rules = entered_often(main)
    main.put_back(rules)
    storm = Sight("wake-storm", "nic", f"was woken {JUDGED} times in", nothing)
    with (
        nothing_remembered(main, "nic"),
        sleeping_on(main, "disk", "rng"),
        read_every_second(main, "nic") as found,
    ):
        main.lab.wait_for(lambda: storms(main), 60, "the breaker to open")
        reads = len(found())
        drift = everywhere(main, storm, vfio_power_devices=rules)[storm]
        assert drift["hint"].startswith("Find what reads it")
        assert main.codes("nic") == {"wake-storm": "drift"}
        assert json.loads(main.ctl("list --json").stdout)["helper"]["running"]
        main.lab.wait_for(lambda: len(found()) > reads + 5, 30, "some more reads")
        assert set(found()[reads:]) == {"active"}, "it was entered again in the storm"
        asleep = [status for status in found() if status != "active"]
        assert abs(len(asleep) - JUDGED) <= 1, "a look may just miss what the read after it does"
        assert told(main, "nic")["wakes"]["foreign"] == JUDGED


@pytest.mark.soak  # a quarter of an hour in which nothing happens
def test_a_storm_is_over_when_nobody_reads_the_device_any_more(main: ManagedHost) -> None:
    rules = entered_often(main)
    main.put_back(rules)
    storm = Sight("wake-storm", "nic", f"was woken {JUDGED} times in", nothing)
    with nothing_remembered(main, "nic"):
        with read_every_second(main, "nic"):
            main.lab.wait_for(lambda: storms(main), 60, "the breaker to open")
            assert main.codes("nic") == {"wake-storm": "drift"}
        asleep = "the storm to be over"
        main.lab.wait_for(lambda: main.power_state("nic") == "D3cold", 1.2 * REST, asleep, pause=10)
        gone(main, [storm], seconds=30)


def test_a_rescan_of_the_bus_is_told_as_the_wakes_that_it_was(main: ManagedHost) -> None:
    """The kernel resumes each port to look below it, and with one from D3cold all its cards."""
    main.put_back([*main_rules(main), *(rule(main, card, **WAKEUP) for card in BOTH)])
    (port,) = main.ports(*BOTH)
    main.reaches(port, "D3cold")
    claimed, before = foreign(main, "nic", *BOTH), main.seen(*BOTH)

    def woken() -> bool:
        seen = main.seen(*BOTH)
        return all(seen[card].active_ms > before[card].active_ms for card in BOTH)

    with sleeping_on(main, "nic", "disk", "rng"):
        main.write("/sys/bus/pci/rescan", "1")
        main.lab.wait_for(woken, 20, "both functions below the port to be resumed")
        main.reaches(port, "D3cold", seconds=DELAY + 20)
    more = {card: wakes - claimed[card] for card, wakes in foreign(main, "nic", *BOTH).items()}
    assert more == {"nic": 0, "dual0": 1, "dual1": 1}
    assert main.held("nic", "disk", "rng", "spare", *BOTH)
    answer = main.info()
    assert not answer["drifted"], answer["drift"]
