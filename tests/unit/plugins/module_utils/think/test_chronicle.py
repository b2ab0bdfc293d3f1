# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A history grows by what happens, and never beyond its bound."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.chronicle import (
    MOST,
    Chronicle,
    caught_up,
    slept,
    spread,
    timed,
    woken,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Power
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.history import (
    History,
    Incident,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import Wakes

NEW = Chronicle(PciAddress.parse("65:00.0"), None, History(since=100.0))


def after(*powers: tuple[int, int]) -> tuple[float, float]:
    """Return seconds asleep and awake after the kernel was read with these milliseconds."""
    it = NEW
    for asleep, awake in powers:
        power = Power(suspended_ms=asleep, active_ms=awake)
        it = timed(it, "boot", power)
    return slept(it.history, power)


def test_of_many_incidents_the_last_ten_are_kept_and_all_are_counted() -> None:
    history = History()
    for number in range(25):
        history = woken(history, "foreign", Incident(float(number), "foreign"))
    assert (history.own, history.foreign, history.incidents) == (0, 25, 25)
    assert [it.at for it in history.last] == [float(24 - n) for n in range(MOST)]


def test_a_wake_of_an_incident_that_is_in_already_is_a_wake_and_no_incident() -> None:
    history = woken(History(), "foreign", Incident(1.0, "foreign"))
    history = woken(history, "own", None)
    assert (history.own, history.foreign, history.incidents, len(history.last)) == (1, 1, 1, 1)


def test_only_the_newest_incident_spreads() -> None:
    history = History(last=(Incident(2.0, "own"), Incident(1.0, "own")))
    assert [it.devices for it in spread(history, 3).last] == [3, 1]
    assert spread(History(), 3) == History()


@pytest.mark.parametrize(
    ("seen", "told", "added"),
    [
        (Wakes(2, 1), Wakes(2, 1, 9.0), (0, 0)),
        (Wakes(2, 1), Wakes(5, 3, 9.0), (1, 2)),
        (Wakes(7, 7), Wakes(3, 1, 9.0), (2, 1)),  # another hold, which began to count anew
    ],
)
def test_what_a_hold_saw_after_the_last_write_is_caught_up(
    seen: Wakes, told: Wakes, added: tuple[int, int]
) -> None:
    it = caught_up(NEW._replace(seen=seen), told)
    assert (it.history.own, it.history.foreign) == added
    assert it.history.incidents == sum(added)
    assert [incident.at for incident in it.history.last] == ([9.0] if any(added) else [])
    assert caught_up(it, told).history == it.history


def test_the_times_are_those_of_the_kernel() -> None:
    assert after((5000, 100), (9000, 200)) == (9.0, 0.2)


def test_where_the_kernel_begins_anew_the_times_go_on() -> None:
    assert after((5000, 100), (1000, 50), (2000, 60)) == (7.0, 0.16)
