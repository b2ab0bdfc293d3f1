# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bounds a device below a switch, where there are several ports on its way."""

from __future__ import annotations

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.position import Position
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.why import explain
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Power
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import Drift
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.why import Bounds, Node
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import at, card

ROOT, SWITCH, SLOT, OTHER_SLOT = (at(it) for it in ("00:01.0", "01:00.0", "02:00.0", "02:01.0"))
HERE, BESIDE, ACROSS = at("03:00.0"), at("03:00.1"), at("04:00.0")
WAY = (SLOT, SWITCH, ROOT)

ASLEEP = Power("D3hot", "suspended", "auto")
AWAKE = Power("D0", "active", "auto")
CAPABLE = Bounds(d3cold_allowed=True, may_sleep=True)
SWITCHED = CAPABLE._replace(switched=True)


def port(address, bounds=CAPABLE, power=AWAKE):
    return Node(card(str(address), driver="pcieport"), power, bounds)


def node(address, *ports, power=ASLEEP, **bounds):
    return Node(card(str(address)), power, Bounds(**{"d3cold_allowed": True, **bounds}), ports)


def why(*ports, siblings=(), device=None):
    """Explain a device below these ports, the nearest first."""
    return explain(Position(device or node(HERE, *WAY), ports, siblings))


def codes(reasons):
    return [(reason.code, reason.address) for reason in reasons]


def test_the_nearest_port_that_can_be_switched_off_is_the_way() -> None:
    hotplug = SWITCHED._replace(may_sleep=False, hotplug=True)
    told = why(port(SLOT, SWITCHED), port(SWITCH), port(ROOT, hotplug))
    assert (told.best, told.not_deeper) == ("D3cold", ())


def test_every_port_on_the_way_has_to_sleep() -> None:
    kept = CAPABLE._replace(may_sleep=False)
    forbidden = AWAKE._replace(control="on")
    told = why(port(SLOT, kept), port(SWITCH, power=forbidden), port(ROOT, SWITCHED))
    assert told.best == "D3hot"
    assert codes(told.not_deeper) == [("port-kept-awake", SLOT), ("port-control-on", SWITCH)]


def test_where_nobody_says_whether_a_port_may_sleep_hot_plug_decides() -> None:
    unknown = SWITCHED._replace(may_sleep=None)
    assert why(port(SLOT, unknown)).best == "D3cold"
    assert why(port(SLOT, unknown._replace(hotplug=True))).best == "D3hot"


def test_a_hot_plug_port_that_the_kernel_lets_sleep_is_no_reason() -> None:
    assert why(port(SLOT, SWITCHED._replace(hotplug=True))).not_deeper == ()


def test_only_what_is_below_the_port_that_counts_is_in_the_way() -> None:
    siblings = (
        node(BESIDE, *WAY, power=AWAKE),
        node(ACROSS, OTHER_SLOT, SWITCH, ROOT, power=AWAKE),
    )
    low = why(port(SLOT, SWITCHED), port(SWITCH), port(ROOT), siblings=siblings)
    assert codes(low.not_deeper) == [("sibling-awake", BESIDE)]
    high = why(port(SLOT), port(SWITCH), port(ROOT, SWITCHED), siblings=siblings)
    assert codes(high.not_deeper) == [("sibling-awake", BESIDE), ("sibling-awake", ACROSS)]


def test_a_device_with_a_resource_of_its_own_needs_no_port() -> None:
    own = node(HERE, *WAY, switched=True)
    told = why(port(SLOT, CAPABLE._replace(may_sleep=False)), device=own)
    assert (told.best, told.not_deeper) == ("D3cold", ())


def test_ports_are_told_from_the_root_down() -> None:
    told = why(port(SLOT), port(SWITCH), port(ROOT))
    assert [it.address for it in told.ports] == [ROOT, SWITCH, SLOT]


def test_where_nothing_is_known_nothing_is_claimed() -> None:
    told = why(device=node(HERE, power=Power()))
    assert (told.best, told.awake) == (None, ())


def test_what_the_helper_knows_is_told_first_and_its_other_drift_is_not() -> None:
    drift = [
        Drift("rival-policy", "info", "others write", "look there"),
        Drift("leased", "excused", "it is lent", "reclaim it"),
    ]
    device = node(HERE, *WAY, power=AWAKE._replace(control="on"))
    told = explain(Position(device), drift)
    assert [it.code for it in told.awake] == ["leased", "control-on"]
