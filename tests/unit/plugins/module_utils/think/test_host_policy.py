# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written for a declared policy, what is remembered for it, and what udev gets to read."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.host_policy import (
    Found,
    outlook,
    udev_rules,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.udev_rules import (
    Card,
    writes,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.allowance import (
    Allowance,
    HostPolicy,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Declaration,
    Known,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import (
    GPU,
    NIC,
    at,
    bus,
    card,
)

HERE = at("65:00.0")
ALLOW, FORBID = Allowance.ALLOW, Allowance.FORBID
KERNELS_OWN = HostPolicy(runtime_pm=ALLOW, d3cold=ALLOW)
COLD_FORBIDDEN = HostPolicy(d3cold=FORBID)


def declared(**policy):
    """Return a declaration of one card with that policy."""
    return Declaration((Rule("gpu", HERE, Mode.NONE, policy=HostPolicy(**policy)),))


def seen_from(declaration, *, now=KERNELS_OWN, found=(), facts=None, known=GPU):
    """Return the outlook on a host with that one card."""
    devices = bus(card("65:00.0") if facts is None else facts)
    entries = [Known(HERE, known, "gpu")] if declaration.rules else []
    return outlook(declaration, entries, devices, {HERE: now}, found)


def written(ahead):
    """Return what is written."""
    return [(write.knob.attribute, write.value) for write in ahead.writes]


@pytest.mark.parametrize(
    ("policy", "now", "expected"),
    [
        ({"d3cold": FORBID}, KERNELS_OWN, [("d3cold_allowed", "0")]),
        ({"d3cold": ALLOW}, COLD_FORBIDDEN, [("d3cold_allowed", "1")]),
        ({"runtime_pm": FORBID}, KERNELS_OWN, [("power/control", "on")]),
        ({"runtime_pm": ALLOW}, HostPolicy(FORBID, ALLOW), [("power/control", "auto")]),
        ({"runtime_pm": ALLOW, "d3cold": ALLOW}, KERNELS_OWN, []),
        ({}, HostPolicy(FORBID, FORBID), []),
    ],
)
def test_only_what_is_declared_and_differs_is_written(policy, now, expected):
    assert written(seen_from(declared(**policy), now=now)) == expected


def test_what_was_found_is_remembered_before_it_is_overwritten_and_once():
    first = seen_from(declared(d3cold=FORBID))
    assert first.remembered == first.found == (Found(HERE, GPU, HostPolicy(d3cold=ALLOW)),)
    second = seen_from(declared(d3cold=FORBID), now=COLD_FORBIDDEN, found=first.found)
    assert (second.writes, second.found) == ((), first.found)


@pytest.mark.parametrize("declaration", [Declaration(), declared(), declared(runtime_pm=ALLOW)])
def test_what_is_no_longer_declared_goes_back_to_what_was_found(declaration):
    found = (Found(HERE, GPU, HostPolicy(d3cold=ALLOW)),)
    ahead = seen_from(declaration, now=HostPolicy(ALLOW, FORBID), found=found)
    assert written(ahead) == [("d3cold_allowed", "1")]
    assert ahead.remembered[0].policy.d3cold is ALLOW, "until it is written"
    assert not [it for it in ahead.found if it.policy.d3cold]


def test_what_was_found_as_it_is_declared_is_left_so_afterwards():
    first = seen_from(declared(d3cold=FORBID), now=COLD_FORBIDDEN)
    after = seen_from(Declaration(), now=COLD_FORBIDDEN, found=first.found)
    assert (first.writes, after.writes, after.found) == ((), (), ())


def test_another_card_at_the_address_is_not_touched():
    found = (Found(HERE, GPU, HostPolicy(d3cold=ALLOW)),)
    stranger = card("65:00.0", NIC)
    ahead = seen_from(declared(d3cold=FORBID), found=found, facts=stranger)
    assert (ahead.writes, ahead.found) == ((), found)
    gone = seen_from(Declaration(), now=COLD_FORBIDDEN, found=found, facts=stranger)
    assert (gone.writes, gone.found) == ((), ())


def test_a_card_on_a_driver_of_the_host_is_left_alone():
    busy = card("65:00.0", driver="nvidia")
    ahead = seen_from(declared(d3cold=FORBID, runtime_pm=FORBID), facts=busy)
    assert ahead.writes == ()


@pytest.mark.parametrize("facts", [None, card("65:00.0", driver="nvidia")])
def test_how_it_was_is_known_though_udev_writes_before_the_next_run_sees_it(facts):
    """Declared before it comes to VFIO or to the bus: what is found then, we wrote ourselves."""
    entries, policy = [Known(HERE, GPU, "gpu")], declared(d3cold=FORBID, runtime_pm=FORBID)
    devices = {HERE: facts} if facts else {}
    first = outlook(policy, entries, devices, {HERE: HostPolicy(FORBID, ALLOW)}, ())
    assert (first.writes, first.found) == ((), (Found(HERE, GPU, HostPolicy(ALLOW, ALLOW)),))
    second = seen_from(policy, now=HostPolicy(FORBID, FORBID), found=first.found)
    assert second.found == first.found
    after = seen_from(Declaration(), now=HostPolicy(FORBID, FORBID), found=first.found)
    assert written(after) == [("power/control", "auto"), ("d3cold_allowed", "1")]


def test_a_card_that_went_to_a_driver_of_the_host_gets_back_what_outlives_a_driver():
    found = (Found(HERE, GPU, KERNELS_OWN),)
    busy = card("65:00.0", driver="nvidia")
    ahead = seen_from(Declaration(), now=HostPolicy(FORBID, FORBID), found=found, facts=busy)
    assert written(ahead) == [("d3cold_allowed", "1")]


def test_a_card_that_is_away_is_remembered_as_long_as_it_is_declared():
    found = (Found(HERE, GPU, HostPolicy(d3cold=ALLOW)),)
    entries = [Known(HERE, GPU, "gpu")]
    ahead = outlook(declared(d3cold=FORBID), entries, {}, {}, found)
    assert (ahead.writes, ahead.found) == ((), found)
    assert "d3cold_allowed" in ahead.rules
    assert outlook(Declaration(), [], {}, {}, found).found == ()


def rules_for(identity=GPU, **policy):
    """Return the rules for one card."""
    return udev_rules(declared(**policy), [Known(HERE, identity, "gpu")])


def test_udev_writes_the_declared_policy_of_that_card_and_of_no_other():
    rules = rules_for(d3cold=FORBID, runtime_pm=FORBID)
    told = [(knob, value) for _line, knob, value in writes(rules, Card(card("65:00.0"), {}))]
    assert sorted(told) == [("d3cold_allowed", "0"), ("power/control", "on")]
    assert writes(rules, Card(card("66:00.0"), {})) == []
    assert writes(rules, Card(card("65:00.0", NIC), {})) == []


def test_udev_writes_nothing_that_reads_so_already_since_any_write_wakes():
    (line,) = [it for it in rules_for(d3cold=FORBID).splitlines() if not it.startswith("#")]
    assert 'ATTR{d3cold_allowed}=="1", ATTR{d3cold_allowed}="0"' in line
    assert 'ACTION=="add|bind"' in line
    (line,) = [it for it in rules_for(runtime_pm=ALLOW).splitlines() if not it.startswith("#")]
    assert line.endswith('TEST=="vfio-dev", ATTR{power/control}=="on", ATTR{power/control}="auto"')


def test_without_a_policy_or_a_card_that_was_seen_there_is_no_rule():
    assert rules_for() == ""
    assert rules_for(identity=None, d3cold=FORBID) == ""
