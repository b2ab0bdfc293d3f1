# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices the rules come to mean, and how long they keep meaning them."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.resolve import (
    clashes,
    resolve,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Declaration,
    Known,
    Match,
    PassedOver,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import (
    AUDIO,
    GPU,
    NIC,
    at,
    bus,
    card,
)

NVIDIA = Match(vendor=("10de",))


def rule(name, selector):
    """Return a rule about an address or a match."""
    return Rule(name, at(selector) if isinstance(selector, str) else selector, Mode.ENTRY)


def declared(*rules, exclude=()):
    """Return a declaration of (name, selector) pairs."""
    return Declaration(tuple(rule(*pair) for pair in rules), tuple(exclude))


def meant(declaration, devices, known=()):
    """Return which rule has which address."""
    resolution = resolve(declaration, devices, known)
    return {str(entry.address)[5:]: entry.rule for entry in resolution.known}


GPUS = declared(("gpus", NVIDIA))
KNOWN = (Known(at("65:00.0"), GPU, "gpus"),)


def test_a_match_means_every_device_that_fits():
    devices = bus(card("65:00.0"), card("65:00.1", AUDIO), card("66:00.0", NIC))
    assert meant(GPUS, devices) == {"65:00.0": "gpus", "65:00.1": "gpus"}


def test_an_exact_address_beats_a_match_before_it():
    both = declared(("gpus", NVIDIA), ("this", "65:00.0"))
    assert meant(both, bus(card("65:00.0"), card("66:00.0"))) == {
        "65:00.0": "this",
        "66:00.0": "gpus",
    }


def test_of_two_matches_the_first_wins():
    both = declared(("audio", Match(class_=("0403",))), ("all", NVIDIA))
    assert meant(both, bus(card("65:00.0"), card("65:00.1", AUDIO))) == {
        "65:00.0": "all",
        "65:00.1": "audio",
    }


def test_each_rule_tells_how_many_devices_it_found():
    rules = declared(("gpus", NVIDIA), ("gone", "70:00.0"), ("amd", Match(vendor=("1002",))))
    devices = bus(card("65:00.0"), card("66:00.0"))
    assert resolve(rules, devices, ()).matched == {"gpus": 2, "gone": 0, "amd": 0}


def test_devices_come_in_bus_order():
    devices = bus(card("66:00.0"), card("0001:01:00.0"), card("65:00.0"))
    found = [entry.address for entry in resolve(GPUS, devices, ()).known]
    assert found == [at("65:00.0"), at("66:00.0"), at("0001:01:00.0")]


def test_a_device_on_a_host_driver_is_passed_over_and_told():
    devices = bus(card("65:00.0", driver="nvidia"), card("66:00.0", NIC, driver="e1000e"))
    resolution = resolve(GPUS, devices, ())
    assert resolution.known == ()
    assert resolution.passed_over == (PassedOver(at("65:00.0"), "nvidia", "gpus"),)


def test_a_device_without_a_driver_is_neither_taken_nor_told():
    resolution = resolve(GPUS, bus(card("65:00.0", driver=None)), ())
    assert (resolution.known, resolution.passed_over) == ((), ())


def test_a_bridge_is_never_meant_by_a_match():
    bridge = card("00:01.0", driver="pcieport", bridge=True)
    resolution = resolve(GPUS, bus(bridge), ())
    assert (resolution.known, resolution.passed_over) == ((), ())


def test_a_match_that_names_the_driver_sees_devices_on_it():
    rules = declared(("on-nvidia", Match(driver=("nvidia",))))
    assert meant(rules, bus(card("65:00.0", driver="nvidia"))) == {"65:00.0": "on-nvidia"}


def test_a_later_rule_may_have_what_an_earlier_one_passes_over():
    rules = declared(("gpus", NVIDIA), ("on-nvidia", Match(driver=("nvidia",))))
    resolution = resolve(rules, bus(card("65:00.0", driver="nvidia")), ())
    assert [entry.rule for entry in resolution.known] == ["on-nvidia"]
    assert resolution.passed_over == ()


def test_an_exact_address_on_a_host_driver_is_declared():
    rules = declared(("this", "65:00.0"))
    assert meant(rules, bus(card("65:00.0", driver="nvidia"))) == {"65:00.0": "this"}


def test_an_excluded_device_is_left_out_and_not_told():
    rules = declared(("gpus", NVIDIA), exclude=[at("65:00.0"), Match(class_=("0403",))])
    devices = bus(card("65:00.0"), card("65:00.1", AUDIO), card("66:00.0", driver="nvidia"))
    resolution = resolve(rules, devices, ())
    assert resolution.known == ()
    assert [over.address for over in resolution.passed_over] == [at("66:00.0")]


def test_an_address_that_is_not_there_is_remembered_without_identity():
    rules = declared(("this", "65:00.0"))
    (entry,) = resolve(rules, bus(), ()).known
    assert entry == Known(at("65:00.0"), None, "this")
    (entry,) = resolve(rules, bus(card("65:00.0")), (entry,)).known
    assert entry == Known(at("65:00.0"), GPU, "this")


def test_another_card_at_a_known_address_is_not_taken():
    for rules in (GPUS, declared(("gpus", "65:00.0"))):
        resolution = resolve(rules, bus(card("65:00.0", NIC)), KNOWN)
        assert resolution.known == KNOWN
        assert resolution.matched == {"gpus": 0}


def test_a_shift_of_bus_numbers_takes_no_stranger_along():
    devices = bus(card("65:00.0", NIC), card("66:00.0"))
    assert meant(GPUS, devices, KNOWN) == {"65:00.0": "gpus", "66:00.0": "gpus"}
    stranger = resolve(GPUS, devices, KNOWN).known[0]
    assert stranger.identity == GPU


def test_a_known_device_that_is_gone_is_still_declared():
    assert resolve(GPUS, bus(), KNOWN).known == KNOWN
    assert resolve(declared(("gpus", "65:00.0")), bus(), KNOWN).known == KNOWN


def test_a_gone_device_follows_a_rule_that_names_its_address():
    assert meant(declared(("gpus", NVIDIA), ("this", "65:00.0")), bus(), KNOWN) == {
        "65:00.0": "this"
    }


@pytest.mark.parametrize("devices", [bus(), bus(card("65:00.0", NIC))])
@pytest.mark.parametrize(
    "rules",
    [
        declared(("other", NVIDIA)),
        declared(("gpus", "70:00.0")),
        declared(("gpus", Match(vendor=("1002",)))),
        declared(("gpus", NVIDIA), exclude=[at("65:00.0")]),
        declared(("gpus", NVIDIA), exclude=[NVIDIA]),
    ],
)
def test_a_card_that_is_not_there_is_forgotten_when_nothing_means_it_any_more(rules, devices):
    assert "65:00.0" not in meant(rules, devices, KNOWN)


def test_a_device_that_is_there_follows_the_rule_that_fits_it_now():
    earlier = declared(("rtx", Match(device=("2204",))), ("gpus", NVIDIA))
    assert meant(earlier, bus(card("65:00.0")), KNOWN) == {"65:00.0": "rtx"}
    nothing = declared(("gpus", Match(vendor=("1002",))))
    assert meant(nothing, bus(card("65:00.0")), KNOWN) == {}


@pytest.mark.parametrize("driver", [None, "nvidia"])
@pytest.mark.parametrize("match", [NVIDIA, Match(driver=("vfio-pci",))])
def test_a_known_device_that_lost_its_vfio_driver_keeps_its_rule(driver, match):
    resolution = resolve(declared(("gpus", match)), bus(card("65:00.0", driver=driver)), KNOWN)
    assert resolution.known == KNOWN
    assert resolution.passed_over == ()
    assert resolution.matched == {"gpus": 1}


def test_an_excluded_device_is_forgotten_though_it_lost_its_driver():
    rules = declared(("gpus", NVIDIA), exclude=[NVIDIA])
    assert meant(rules, bus(card("65:00.0", driver=None)), KNOWN) == {}


def test_resolving_again_changes_nothing():
    rules = declared(("gpus", NVIDIA), ("this", "70:00.0"))
    devices = bus(card("65:00.0"), card("66:00.0", driver="nvidia"))
    once = resolve(rules, devices, KNOWN)
    assert resolve(rules, devices, once.known) == once


def test_an_exact_address_that_an_excluding_match_means_is_a_clash():
    rules = declared(("this", "65:00.0"), exclude=[NVIDIA])
    (clash,) = clashes(rules, bus(card("65:00.0")))
    assert str(clash) == (
        "devices (this).address: 0000:65:00.0 is excluded by 'vendor=10de'; take one of them out"
    )
    assert clashes(rules, bus(card("65:00.0", NIC))) == []
    assert clashes(rules, bus()) == []
