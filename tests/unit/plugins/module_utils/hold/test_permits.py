# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a device may be taken."""

from __future__ import annotations

from typing import Callable

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.permits import Permits
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress

NIC = PciAddress.parse("0000:02:00.0")


class Timer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback

    def cancel(self) -> None:
        self.callback = lambda: None


class Case:
    """Permits that are granted when their grace is over; ``heard`` is told of each change."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.set_ahead = 0.0  # seconds that somebody has set the clock of people ahead
        self.heard: list[bool] = []
        self.kept: list[tuple[dict[PciAddress, float], set[PciAddress]]] = []
        self.permits = Permits(
            self,  # type: ignore[arg-type]
            lambda address: self.heard.append(self.permits.has(address)),
            self._grace_is_over,
            lambda: self.kept.append((self.permits.left(), set(self.permits.aside))),
        )
        self._timers: list[tuple[float, Timer]] = []

    def _grace_is_over(self, addresses: list[PciAddress]) -> None:
        self.permits.grant(addresses)

    def clock(self) -> float:
        return self.now + self.set_ahead

    def uptime(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        self._timers.append((when, Timer(callback)))
        return self._timers[-1][1]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for when, timer in self._timers if when <= self.now]
        self._timers = [it for it in self._timers if it[0] > self.now]
        for timer in due:
            timer.callback()


def test_a_grace_ends_with_a_permit() -> None:
    case = Case()
    case.permits.grant_later([NIC], 60)
    assert case.permits.due(NIC) == 1060
    case.pass_time(59)
    assert not case.permits.has(NIC)
    case.pass_time(1)
    assert case.permits.has(NIC)
    assert case.permits.due(NIC) is None
    assert case.heard == [True]


def test_a_shorter_grace_does_not_cut_a_longer_one_short() -> None:
    case = Case()
    case.permits.grant_later([NIC], 30)
    case.permits.grant_later([NIC], 0)
    case.pass_time(29)
    assert not case.permits.has(NIC)
    case.pass_time(1)
    assert case.permits.has(NIC)


def test_a_longer_grace_takes_the_place_of_a_shorter_one() -> None:
    case = Case()
    case.permits.grant_later([NIC], 30)
    case.permits.grant_later([NIC], 60)
    case.pass_time(59)
    assert not case.permits.has(NIC)
    case.pass_time(1)
    assert case.heard == [True]


def test_a_permit_now_ends_the_grace() -> None:
    case = Case()
    case.permits.grant_later([NIC], 60)
    case.permits.grant([NIC])
    assert case.permits.due(NIC) is None
    case.pass_time(60)
    assert case.heard == [True]


def test_a_permit_that_is_there_needs_no_grace() -> None:
    case = Case()
    case.permits.grant([NIC])
    case.permits.grant_later([NIC], 60)
    assert case.permits.has(NIC)
    assert case.permits.due(NIC) is None


def test_a_withdrawn_permit_does_not_come_back_by_itself() -> None:
    case = Case()
    case.permits.grant_later([NIC], 60)
    case.permits.withdraw([NIC])
    case.pass_time(60)
    assert not case.permits.has(NIC)


def test_once_closed_nothing_is_permitted_any_more() -> None:
    case = Case()
    case.permits.grant([NIC])
    case.permits.close()
    assert case.heard == [True, False]
    case.permits.grant([NIC])
    case.permits.grant_later([NIC], 0)
    case.pass_time(60)
    assert not case.permits.has(NIC)


def test_what_happens_while_the_helper_ends_costs_no_grace() -> None:
    case = Case()
    case.permits.grant_later([NIC], 60)
    case.permits.close()
    case.permits.grant_later([], 60)  # as a look at the bus does
    assert case.kept[-1][0] == {NIC: 60}


def test_a_clock_that_is_set_moves_no_grace() -> None:
    case = Case()
    case.permits.grant_later([NIC], 60)
    case.set_ahead = -7200.0
    case.permits.grant_later([NIC], 60)
    assert case.permits.left() == {NIC: 60}
    assert case.permits.due(NIC) == case.clock() + 60
    case.set_ahead = 7200.0
    assert case.permits.left() == {NIC: 60}
    case.pass_time(60)
    assert case.permits.has(NIC)


def test_what_was_withdrawn_stands_aside_until_it_is_asked_for() -> None:
    case = Case()
    case.permits.grant([NIC])
    case.permits.withdraw([NIC])
    assert case.permits.aside == {NIC}
    case.permits.grant_later([NIC], 60)
    assert case.permits.aside == set()
    case.permits.withdraw([NIC])
    case.permits.grant([NIC])
    assert case.permits.aside == set()
    case.permits.close()
    case.permits.withdraw([NIC])
    assert case.permits.aside == set(), "whoever starts the helper again asks for all"


def test_a_grace_goes_on_for_a_helper_that_is_stopped_and_started() -> None:
    case = Case()
    case.permits.grant_later([NIC], 60)
    case.permits.close()
    assert not case.permits.has(NIC)
    assert case.kept[-1] == ({NIC: 60}, set())
