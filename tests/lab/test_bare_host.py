# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host before the helper is on it: what can be seen, what is predicted, what is refused."""

from __future__ import annotations

from .declared import HELPER, main_rules
from .managed import ManagedHost
from .watching import everything

LAB = {"shape": "standard"}


def test_info_looks_without_a_helper(host: ManagedHost):
    answer = host.info()
    assert not answer.get("failed"), answer
    assert not answer["helper"]["installed"]
    told = {it["address"]: it for it in answer["devices"]}
    nic = told[host.address("nic")]
    assert (nic["driver"], nic["power_state"], nic["held"]) == ("vfio-pci", "D0", False)
    assert "82574L" in nic["model"]
    assert answer["host"]["disable_idle_d3"] is True


def test_info_looks_without_root_and_says_that_it_sees_less(host: ManagedHost):
    host.lab.ssh("id looker >/dev/null 2>&1 || useradd --create-home looker")
    answer = host.info(user="looker")
    assert not answer.get("failed"), answer
    assert answer["limited"] is True
    assert host.address("nic") in {it["address"] for it in answer["devices"]}


def test_declaring_without_root_is_refused_with_the_next_step(host: ManagedHost):
    answer = host.module("low_power", user="looker", devices=main_rules(host))
    assert answer["failed"]
    assert "become" in answer["msg"]


def test_the_playbook_in_check_mode_predicts_the_first_run_and_changes_nothing(host: ManagedHost):
    before = everything(host)
    rules = main_rules(host)
    played = host.converge("--check", "--diff", vfio_power_devices=rules, **HELPER)
    assert played.changed == 2, played.output  # the helper, and the devices
    told, at = played.differences, host.address
    assert "/etc/systemd/system/vfio-powerd.service" in told
    for it in rules:
        gone, come = told[f"device {it['address']}"]
        assert '"held": false' in gone
        assert come >= {'"held": true', f'"rule": "{it["name"]}"', f'"mode": "{it["mode"]}"'}
        engaged = {f'"engaged": "{it["mode"]}"'} if it["mode"] != "none" else set()
        assert {line for line in come if line.startswith('"engaged"')} == engaged
    opened = ", ".join(sorted(at(card) for card in ("nic", "disk", "spare", "rng")))
    assert f"the helper opens them, which resets each of them once: {opened}." in played.said
    assert host.openable("nic", "disk", "spare", "rng")
    assert everything(host) == before


def test_declaring_without_a_helper_names_the_role(host: ManagedHost):
    answer = host.declare(*main_rules(host))
    assert answer["failed"]
    assert "vfio.power.helper" in answer["msg"]
    assert host.openable("nic", "disk", "rng")


def test_a_host_driver_is_named_and_the_others_are_predicted(host: ManagedHost):
    host.bind("warm", "e1000e")
    rules = [*main_rules(host), {"address": host.address("warm"), "mode": "entry"}]
    answer = host.declare(*rules, check=True)
    told = {it["address"]: it for it in answer["devices"]}
    nic = told[host.address("nic")]
    assert (nic["changed"], nic["capability"]) == (True, "unknown")
    assert told[host.address("warm")]["drift"] == ["not-bound"]
    host.bind("warm")
