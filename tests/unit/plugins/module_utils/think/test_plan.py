# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to which device; a plan that is not carried out is check mode."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.plan import Stand, plan
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.resolve import resolve
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Declaration,
    Known,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Failure,
    HoldReport,
    Lease,
    Quarantined,
    Wakes,
)
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import (
    NIC,
    at,
    bus,
    card,
)

HERE = at("65:00.0")
NONE, ENTRY, WAKEUP = Mode.NONE, Mode.ENTRY, Mode.ENTRY_WITH_WAKEUP

UNHELD = HoldReport(HERE)
AWAKE = HoldReport(HERE, state="awake", held=True)
PLAIN = HoldReport(HERE, state="entry", held=True, engaged=ENTRY)
ARMED = HoldReport(HERE, state="entry-with-wakeup", held=True, engaged=WAKEUP, wakes=Wakes())
WAITING = HoldReport(HERE, state="waiting", held=True, waiting_until=1.0, wakes=Wakes())


def step_of(hold, mode=None, *, reserve=False, facts=None, known=(), elsewhere=()):
    """Return the one step for a device; without a mode it is not declared."""
    rules = () if mode is None else (Rule("it", HERE, mode, reserve=reserve),)
    declaration, devices = Declaration(rules), bus(facts or card("65:00.0"))
    resolution = resolve(declaration, devices, known)
    holds = {HERE: hold} if hold else {}
    (step,) = plan(declaration, resolution, devices, holds, elsewhere)
    return step


@pytest.mark.parametrize(
    ("hold", "mode", "reserve", "actions"),
    [
        (UNHELD, NONE, False, []),
        (UNHELD, NONE, True, ["open"]),
        (UNHELD, ENTRY, False, ["open", "entry"]),
        (UNHELD, WAKEUP, False, ["open", "entry-with-wakeup"]),
        (AWAKE, NONE, False, ["close"]),
        (AWAKE, NONE, True, []),
        (AWAKE, ENTRY, False, ["entry"]),
        (AWAKE, WAKEUP, False, ["entry-with-wakeup"]),
        (PLAIN, NONE, False, ["close"]),
        (PLAIN, NONE, True, ["exit"]),
        (PLAIN, ENTRY, False, []),
        (PLAIN, WAKEUP, False, ["exit", "entry-with-wakeup"]),
        (ARMED, NONE, False, ["close"]),
        (ARMED, NONE, True, ["exit"]),
        (ARMED, ENTRY, False, ["exit", "entry"]),
        (ARMED, WAKEUP, False, []),
        (WAITING, NONE, False, ["close"]),
        (WAITING, NONE, True, ["exit"]),
        (WAITING, ENTRY, False, ["entry"]),
        (WAITING, WAKEUP, False, []),
    ],
)
def test_every_mode_is_reached_from_every_other(hold, mode, reserve, actions):
    step = step_of(hold, mode, reserve=reserve)
    assert list(step.actions) == actions
    assert step.rule == "it"
    assert step.after == Stand(mode, held=reserve or mode is not NONE)


def test_a_step_without_actions_stays_as_it_stands():
    for hold in (UNHELD, AWAKE, PLAIN, ARMED, WAITING):
        for mode in Mode:
            step = step_of(hold, mode)
            assert bool(step.actions) == (step.before != step.after)


def test_a_device_that_nobody_declares_is_let_go():
    step = step_of(PLAIN)
    assert (step.rule, step.actions) == (None, ("close",))
    assert (step.before, step.after) == (Stand(ENTRY, held=True), Stand())


def test_a_device_that_the_helper_does_not_know_of_is_opened():
    assert step_of(None, ENTRY).actions == ("open", "entry")


LEASED = UNHELD._replace(leases=(Lease(HERE, "vm", 0.0),))
BUSY = UNHELD._replace(state="refused", failure=Failure("busy", "in use"))
UNSUPPORTED = UNHELD._replace(failure=Failure("unsupported", "no such feature"))
DISTRUSTED = UNHELD._replace(state="refused", quarantined=Quarantined("power-error", "gone", 0.0))


@pytest.mark.parametrize("hold", [LEASED, UNSUPPORTED, DISTRUSTED])
def test_a_device_that_is_not_to_be_had_is_left_alone(hold):
    step = step_of(hold, ENTRY)
    assert (step.actions, step.before, step.after) == ((), Stand(), Stand())


@pytest.mark.parametrize("hold", [UNHELD, BUSY])
def test_a_device_that_a_guest_has_open_is_left_alone(hold):
    assert step_of(hold, ENTRY, elsewhere={HERE}).actions == ()


def test_a_device_that_was_busy_is_taken_once_its_guest_has_ended():
    assert step_of(BUSY, ENTRY).actions == ("open", "entry")


@pytest.mark.parametrize("driver", [None, "nvidia"])
def test_a_device_that_is_not_on_vfio_is_left_alone(driver):
    assert step_of(UNHELD, ENTRY, facts=card("65:00.0", driver=driver)).actions == ()


def test_another_card_than_the_declared_one_is_left_alone():
    known = (Known(HERE, NIC, "it"),)
    assert step_of(UNHELD, ENTRY, known=known).actions == ()


def test_a_device_that_is_not_there_is_left_alone():
    declaration = Declaration((Rule("it", HERE, ENTRY),))
    (step,) = plan(declaration, resolve(declaration, bus(), ()), bus(), {})
    assert (step.address, step.actions) == (HERE, ())


def test_what_was_refused_before_is_tried_again():
    refused = UNHELD._replace(state="refused", failure=Failure("kernel-refused", "no"))
    assert step_of(refused, ENTRY).actions == ("open", "entry")
    stalled = AWAKE._replace(state="stalled", failure=Failure("kernel-refused", "no"))
    assert step_of(stalled, ENTRY).actions == ("exit", "entry")


@pytest.mark.parametrize(
    ("hold", "actions"),
    [
        (UNHELD._replace(state="taking"), ("entry-with-wakeup",)),
        (AWAKE._replace(state="entering", wakes=Wakes()), ()),
        (AWAKE._replace(state="exiting"), ("entry-with-wakeup",)),
        (AWAKE._replace(state="letting-go"), ("open", "entry-with-wakeup")),
    ],
)
def test_what_is_under_way_counts_as_done(hold, actions):
    assert step_of(hold, WAKEUP).actions == actions


def test_the_plan_is_in_bus_order_and_tells_of_every_declared_device():
    rules = tuple(Rule(text, at(text), ENTRY) for text in ("66:00.0", "65:00.0"))
    devices = bus(card("66:00.0"), card("65:00.0"), card("67:00.0"), card("68:00.0"))
    holds = {
        at("65:00.0"): PLAIN,
        at("67:00.0"): PLAIN._replace(address=at("67:00.0")),
        at("68:00.0"): LEASED._replace(address=at("68:00.0")),
    }
    resolution = resolve(Declaration(rules), devices, ())
    steps = plan(Declaration(rules), resolution, devices, holds)
    assert [(str(step.address)[5:], step.actions) for step in steps] == [
        ("65:00.0", ()),
        ("66:00.0", ("open", "entry")),
        ("67:00.0", ("close",)),
    ]
