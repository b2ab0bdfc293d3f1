# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices and leases survive the way; an older or newer program is understood."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think import interface
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.wire import (
    lease_from_json,
    lease_to_json,
    report_from_json,
    report_to_json,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import InputError
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.history import (
    History,
    Incident,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Failure,
    HoldReport,
    Lease,
    Quarantined,
    Reentries,
    Running,
    Wakes,
)

CARD = PciAddress.parse("0000:65:00.0")
FULL = HoldReport(
    address=CARD,
    rule="gpus",
    state="waiting",
    held=True,
    engaged=Mode.ENTRY_WITH_WAKEUP,
    backend="group",
    wakes=Wakes(3, 1, 1700000000.5),
    entered=1700000001.0,
    waiting_until=1700000005.0,
    reentries=Reentries("open", "breaker", 2, 9, 47.5),
    taken_after=1700000002.0,
    leases=(Lease(CARD, "guest/web", 1700000003.0, 1700000009.0, 12.5), Lease(CARD, "me", 1.0)),
    running=Running("exit", 1700000004.0, 1.5),
    failure=Failure("kernel-refused", "no", "try", "open", "EBUSY"),
    quarantined=Quarantined("power-error", "gone", 1700000006.0),
    history=History(
        since=1600000000.0,
        own=2,
        foreign=5,
        incidents=6,
        last=(Incident(1700000000.5, "foreign", 2), Incident(1699999999.0, "own")),
        asleep_before=86400.5,
        awake_before=12.0,
    ),
)


@pytest.mark.parametrize("report", [FULL, HoldReport(CARD)])
def test_a_report_is_read_as_it_was_written(report: HoldReport) -> None:
    assert report_from_json(json.loads(json.dumps(report_to_json(report)))) == report


def test_a_lease_is_read_as_it_was_written() -> None:
    for lease in FULL.leases:
        assert lease_from_json(json.loads(json.dumps(lease_to_json(lease)))) == lease


def test_modes_travel_in_the_spelling_people_type() -> None:
    assert report_to_json(FULL)["engaged"] == "entry-with-wakeup"


def test_unknown_fields_are_ignored_and_missing_ones_have_their_default() -> None:
    assert report_from_json({"address": "65:00.0", "colour": "red"}) == HoldReport(CARD)
    assert report_from_json({"address": "65:00.0", "wakes": {}}).wakes == Wakes()
    assert report_from_json({"address": "65:00.0", "wakes": None}).wakes is None


def test_whole_numbers_are_taken_for_times() -> None:
    assert report_from_json({"address": "65:00.0", "entered": 5}).entered == 5.0


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("text", "device"),
        ({}, "device.address"),
        ({"address": "nowhere"}, "device.address"),
        ({"address": "65:00.0", "held": "yes"}, "device.held"),
        ({"address": "65:00.0", "engaged": "deep"}, "device.engaged"),
        ({"address": "65:00.0", "entered": "now"}, "device.entered"),
        ({"address": "65:00.0", "entered": True}, "device.entered"),
        ({"address": "65:00.0", "wakes": {"total": True}}, "device.wakes.total"),
        ({"address": "65:00.0", "reentries": {"breaker": 1}}, "device.reentries.breaker"),
        ({"address": "65:00.0", "leases": {}}, "device.leases"),
        ({"address": "65:00.0", "leases": [{}, {}]}, "device.leases[0].address"),
        ({"address": "65:00.0", "failure": {"code": 7}}, "device.failure.code"),
        ({"address": "65:00.0", "running": []}, "device.running"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(value: object, place: str) -> None:
    with pytest.raises(InputError) as refused:
        report_from_json(value)
    assert [problem.place for problem in refused.value.problems] == [place]


def test_the_interface_names_every_field_that_travels() -> None:
    types = dict(re.findall(r"type (\w+) \(([^)]*)\)", interface.TEXT))
    kinds = {
        "Device": HoldReport,
        "Wakes": Wakes,
        "Reentries": Reentries,
        "Lease": Lease,
        "Running": Running,
        "Failure": Failure,
        "Quarantined": Quarantined,
    }
    for name, kind in kinds.items():
        assert tuple(re.findall(r"(\w+):", types[name])) == kind._fields
