# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with the kernel's default: unopened devices sleep anyway, and holding saves nothing."""

from __future__ import annotations

import pytest

from .declared import HELPER, rule
from .managed import ManagedHost
from .sights import Sight, declaring, everywhere, gone
from .watching import sleeping_on

LAB = {"shape": "small", "idle": "kernel-default"}


@pytest.fixture(scope="module")
def installed(host: ManagedHost) -> ManagedHost:
    host.converge(vfio_power_devices=[rule(host, "rng", mode="none")], **HELPER)
    return host


def test_looking_at_a_bare_host_wakes_nothing(host: ManagedHost):
    for card, state in {"nic": "D3cold", "disk": "D3cold", "rng": "D3hot"}.items():
        host.reaches(card, state)
    with sleeping_on(host, "nic", "disk", "rng"):
        answer = host.info()
        predicted = host.declare(rule(host, "nic", mode="entry"), check=True)
    assert not answer["helper"]["installed"]
    assert answer["summary"]["asleep"] == 3
    assert predicted["changed"]


def codes(answer: dict, address: str) -> dict[str, str]:
    return {it["code"]: it["severity"] for it in answer["drift"] if it["address"] == address}


def test_a_sleeping_device_is_verified_without_being_held(installed):
    installed.reaches("nic", "D3cold")
    answer = installed.declare(rule(installed, "nic", mode="none", expect="asleep"))
    assert not answer.get("failed"), answer
    assert not answer["drifted"]
    assert installed.openable("nic")
    assert installed.power_state("nic") == "D3cold"


def test_expecting_it_awake_is_drift(installed):
    answer = installed.declare(rule(installed, "nic", mode="none", expect="awake"))
    assert answer["failed"]
    assert codes(answer, installed.address("nic")) == {"not-as-expected": "drift"}
    assert installed.openable("nic")


def test_holding_is_done_as_declared_and_said_to_save_nothing(installed):
    answer = installed.declare(rule(installed, "nic", mode="entry"))
    assert not answer.get("failed"), answer
    assert codes(answer, installed.address("nic")) == {"hold-saves-nothing": "info"}
    assert installed.held("nic")
    installed.reaches("nic", "D3cold")
    held = Sight("hold-saves-nothing", "nic", "disable_idle_d3 off", declaring("expect: asleep"))
    told = everywhere(installed, held, vfio_power_devices=[rule(installed, "nic", mode="entry")])
    held.follow(installed, told[held]["hint"])
    installed.declare(rule(installed, "nic", mode="none", expect="asleep"))
    gone(installed, [held], seconds=30)


def test_a_device_kept_for_us_is_awake_though_the_others_sleep(installed):
    answer = installed.declare(rule(installed, "nic", mode="none", reserve=True))
    assert not answer.get("failed"), answer
    assert installed.power_state("nic") == "D0"
    assert installed.held("nic")


def test_let_go_it_sleeps_by_the_kernels_own_rule(installed):
    answer = installed.declare(rule(installed, "nic", mode="none"))
    assert not answer.get("failed"), answer
    installed.reaches("nic", "D3cold")
    assert installed.openable("nic")
