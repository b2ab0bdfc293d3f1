# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus reads is what is known, in its format, under the names that are documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils import _module
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.exposition import family
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.metrics import (
    DEVICE,
    HOST,
    Device,
    Moment,
    exposition,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import Rule
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import (
    Identity,
    Power,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.history import (
    History,
    Incident,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Expect, Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Drift,
    HoldReport,
    Lease,
    Reentries,
    Wakes,
)

CARD = PciAddress.parse("0000:65:00.0")
RULE = Rule("gpus", CARD, Mode.ENTRY_WITH_WAKEUP, expect=Expect.ASLEEP)
HISTORY = History(1.0, 3, 4, 6, (Incident(1700000000.5, "foreign", 2),), 100.0, 10.0)
FULL = Device(
    HoldReport(
        CARD,
        "gpus",
        held=True,
        engaged=Mode.ENTRY_WITH_WAKEUP,
        wakes=Wakes(2, 1, 5.0),
        reentries=Reentries(suppressed=9),
        leases=(Lease(CARD, "guest/secret", 1.0),),
        history=HISTORY,
    ),
    RULE,
    Identity("10de", "2204", "1043", "87b5", "030200"),
    Power("D3cold", "suspended", "auto", active_ms=500, suspended_ms=7250),
    (Drift("waiting", "info", "a sentence", "a hint"),),
)
ALL = Moment(1700000009.25, "0.1.0", True, (Drift("paused", "excused", "", ""),), (FULL,))
PAGE = Path(_module.__file__).parents[2] / "docs" / "metrics.md"


def samples(moment: Moment, name: str) -> dict[str, float]:
    """Return the values of a metric by their labels, without those that each device has."""
    common = f'address="{CARD}",rule="gpus"'
    found = {}
    for labels, value in re.findall(
        rf"^vfio_power_{name}(?:{{(.*)}})? (\S+)$", exposition(moment), re.MULTILINE
    ):
        found[labels.replace(common, "").lstrip(",")] = float(value)
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("build_info", {'version="0.1.0"': 1}),
        ("last_write_timestamp_seconds", {"": 1700000009.25}),
        ("paused", {"": 1}),
        ("declared_devices", {"": 1}),
        ("host_drift", {'code="paused",severity="excused"': 1}),
        (
            "device_info",
            {'mode="entry-with-wakeup",expect="asleep",vendor="10de",device="2204"': 1},
        ),
        ("device_held", {"": 1}),
        ("device_engaged", {"": 1}),
        ("device_asleep", {"": 1}),
        ("device_suspended_seconds_total", {"": 107.25}),
        ("device_active_seconds_total", {"": 10.5}),
        ("device_wakes_total", {'kind="own"': 3, 'kind="foreign"': 4}),
        ("device_incidents_total", {"": 6}),
        ("device_last_incident_timestamp_seconds", {"": 1700000000.5}),
        ("device_reentries_put_off_total", {"": 9}),
        ("device_leased", {"": 1}),
        ("device_drift", {'code="waiting",severity="info"': 1}),
    ],
)
def test_a_metric_has_these_values(name: str, expected: dict[str, float]) -> None:
    assert samples(ALL, name) == expected


def test_a_device_is_in_one_power_state_and_one_of_an_unknown_name_is_unknown() -> None:
    for state, shown in {"D3cold": "D3cold", "D0": "D0", "error": "unknown"}.items():
        device = FULL._replace(power=Power(state))
        found = samples(ALL._replace(devices=(device,)), "device_power_state")
        assert len(found) == 6
        assert [labels for labels, value in found.items() if value] == [f'state="{shown}"']


def test_where_wakes_cannot_be_seen_none_are_claimed() -> None:
    device = FULL._replace(report=FULL.report._replace(wakes=None))
    told = exposition(ALL._replace(devices=(device,)))
    assert "wakes_total" not in told
    assert "incident" not in told
    assert "suspended_seconds_total" in told


def test_a_device_that_is_not_on_the_bus_has_no_state() -> None:
    told = exposition(ALL._replace(devices=(FULL._replace(power=None),)))
    assert "device_held" in told
    assert not [name for name in ("_asleep{", "power_state{", "seconds_total") if name in told]


def test_nothing_that_a_client_said_and_no_sentence_leaves() -> None:
    told = exposition(ALL)
    assert not [text for text in ("secret", "sentence", "hint") if text in told]


def test_a_rule_may_have_any_name() -> None:
    device = FULL._replace(report=FULL.report._replace(rule='a"b\\c\nd'))
    lines = exposition(ALL._replace(devices=(device,))).splitlines()
    assert f'vfio_power_device_held{{address="{CARD}",rule="a\\"b\\\\c\\nd"}} 1' in lines


def test_a_metric_comes_with_its_help_and_type_and_without_samples_not_at_all() -> None:
    assert family("x", "gauge", "What x is.", iter([({}, 1.5)])) == (
        "# HELP x What x is.\n# TYPE x gauge\nx 1.5\n"
    )
    assert family("x", "gauge", "What x is.", iter(())) == ""


def test_counters_end_in_total_and_nothing_else_does() -> None:
    for metric in (*HOST, *DEVICE):
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name


def test_every_metric_is_documented_with_its_kind_and_no_other() -> None:
    rows = re.findall(r"^\| `(vfio_power_\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted((f"vfio_power_{it.name}", it.kind) for it in (*HOST, *DEVICE))
