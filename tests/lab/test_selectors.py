# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices a rule means: by what they are, where they sit, and who has them."""

from __future__ import annotations

from .declared import rule
from .managed import ManagedHost

LAB = {"shape": "standard"}


def won(answer: dict) -> dict[str, str]:
    """The rule that won, by address; devices that would be let go have none."""
    return {it["address"]: it["rule"] for it in answer["devices"] if it["rule"]}


def predicted(host: ManagedHost, *rules: dict, **options) -> dict:
    answer = host.declare(*rules, check=True, **options)
    assert not answer.get("failed"), answer
    return answer


def test_a_vendor_and_a_class_prefix_find_their_cards(main):
    answer = predicted(
        main,
        {"name": "intel-nics", "match": {"vendor": ["8086"], "class": ["02"]}, "mode": "entry"},
        {"name": "storage", "match": {"class": ["0108"]}, "mode": "entry"},
    )
    at = main.address
    rules = won(answer)
    assert {at(card) for card in ("nic", "spare", "warm", "dual0", "dual1")} == {
        address for address, name in rules.items() if name == "intel-nics"
    }
    assert rules[at("disk")] == "storage"
    matched = {it["name"]: it["matched"] for it in answer["rules"]}
    assert matched == {"intel-nics": 5, "storage": 1}


def test_an_exact_address_beats_a_match_and_the_first_match_wins(main):
    rules = [
        {"name": "first", "match": {"device": ["10d3"]}, "mode": "entry"},
        {"name": "second", "match": {"vendor": ["8086"]}, "mode": "none", "reserve": True},
        rule(main, "nic", mode="none"),
    ]
    foretold = won(predicted(main, *rules))
    answer = main.declare(*rules, settle=15)
    assert not answer.get("failed"), answer
    assert won(answer) == foretold
    assert foretold[main.address("nic")] == "nic"
    assert foretold[main.address("warm")] == "first"
    assert "second" not in foretold.values()
    assert main.openable("nic"), "neither entered nor reserved"
    assert main.held("warm")
    assert main.power_state("warm") == "D3hot"


def test_slot_and_property_find_one_card(main):
    line = 'ACTION!="remove", SUBSYSTEM=="pci", KERNEL=="{}", ENV{{VFIO_POWER_LABEL}}="parked-1"'
    rules_file = "/etc/udev/rules.d/99-test-label.rules"
    main.lab.ssh(f"cat > {rules_file}", input=line.format(main.address("warm")) + "\n")
    main.lab.ssh("udevadm control --reload && udevadm trigger -c change -s pci && udevadm settle")
    try:
        slots = "for s in /sys/bus/pci/slots/*; do echo $(basename $s) $(cat $s/address); done"
        by_place = dict(
            reversed(line.split()) for line in main.lab.ssh(slots).stdout.splitlines() if line
        )
        slot = by_place[main.address("disk")[:-2]]
        label = {"property": {"VFIO_POWER_LABEL": "parked-*"}}
        rules = [
            {"name": "slot", "match": {"slot": [slot]}, "mode": "entry"},
            {"name": "label", "match": label, "mode": "entry"},
        ]
        answer = predicted(main, *rules)
        assert won(answer) == {main.address("disk"): "slot", main.address("warm"): "label"}
        applied = main.declare(*rules, settle=15)
        assert not applied.get("failed"), applied
        assert main.held("disk")
        assert main.held("warm"), "the helper asks udev too"
        assert main.openable("nic"), "nobody meant it"
    finally:
        main.lab.ssh(f"rm {rules_file}; udevadm control --reload; udevadm trigger -c change -s pci")


def test_devices_on_host_drivers_are_passed_over_and_named(main):
    main.bind("warm", "e1000e")
    try:
        intel = {"name": "intel", "match": {"vendor": ["8086"], "class": ["02"]}, "mode": "entry"}
        answer = predicted(main, intel)
        assert main.address("warm") not in won(answer)
        assert {
            "address": main.address("warm"),
            "driver": "e1000e",
            "rule": "intel",
        } in answer["passed_over"]
    finally:
        main.bind("warm")


def test_a_driver_list_looks_at_host_drivers_too(main):
    main.bind("warm", "e1000e")
    try:
        by_driver = {"name": "driver", "match": {"driver": ["e1000e"]}, "mode": "none"}
        answer = main.declare(by_driver, check=True, fail_on_drift=False)
        assert won(answer) == {main.address("warm"): "driver"}
        assert {it["code"] for it in answer["drift"]} == {"not-bound"}
    finally:
        main.bind("warm")


def test_a_driver_and_a_class_together_hold_what_both_mean(main):
    both = {"driver": ["vfio-pci"], "class": ["0108"]}
    answer = main.declare({"name": "both", "match": both, "mode": "none", "reserve": True})
    assert not answer.get("failed"), answer
    assert won(answer) == {main.address("disk"): "both"}
    assert main.held("disk")
    assert main.openable("nic"), "of the driver, but not of the class"


def test_the_boot_display_is_found(main):
    main.bind("vga")
    try:
        display = {"name": "display", "match": {"boot_vga": True}, "mode": "none", "reserve": True}
        answer = main.declare(display)
        assert not answer.get("failed"), answer
        assert won(answer) == {main.address("vga"): "display"}
        assert main.held("vga")
    finally:
        main.lab.ssh(f"driverctl --nosave unset-override {main.address('vga')}", check=False)


def test_a_count_that_is_not_found_is_drift(main):
    rules = [{"name": "nics", "match": {"device": ["10d3"]}, "mode": "none", "count": 6}]
    answer = main.declare(*rules)
    assert answer["failed"]
    assert "count-mismatch" in {it["code"] for it in answer["drift"]}
