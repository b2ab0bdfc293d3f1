# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a fleet: how each host stands, the sums, and slices that are merged."""

from __future__ import annotations

import json

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.codes import CODES
from ansible_collections.vfio.power.plugins.plugin_utils._report import codes, earlier
from ansible_collections.vfio.power.plugins.plugin_utils._report.fleet import (
    host_again,
    host_of,
    report_of,
)
from ansible_collections.vfio.power.plugins.plugin_utils._report.rows import KIBIBYTE, size
from ansible_collections.vfio.power.tests.unit.plugins.plugin_utils.answers import (
    NOW,
    UNREACHABLE,
    device,
    leased,
    not_bound,
    report,
    seen,
    storming,
)

LATER = "2026-11-23T09:00:00Z"


def standing(variables):
    """Return how a host with these variables stands, and the codes it has by itself."""
    host = host_of("hv1", variables, NOW)
    return host["status"], [it["code"] for it in host["drift"]]


def test_a_host_whose_devices_are_as_declared_is_as_declared():
    assert standing(seen(device(), leased(2))) == ("as-declared", [])


def test_a_host_with_a_drifting_device_drifts():
    assert standing(seen(device(), not_bound(2))) == ("drift", [])


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        (UNREACHABLE, "unreachable"),
        ({}, "not-looked-at"),
        ({"vfio_power_seen": {"failed": True, "msg": "MODULE FAILURE"}}, "look-failed"),
        ({"vfio_power_seen": {"changed": False}}, "not-told"),
        ({**seen(device()), "vfio_power_declared": {"unreachable": True}}, "unreachable"),
        (
            {**seen(device()), "vfio_power_declared": {"failed": True, "msg": "Refused"}},
            "compare-failed",
        ),
        ("no variables at all", "not-looked-at"),
    ],
)
def test_a_host_of_which_something_is_not_known_is_unknown_and_never_fine(variables, code):
    assert standing(variables) == ("unknown", [code])


def test_the_reason_of_an_unreachable_host_is_told_in_one_line():
    message = "Failed to connect\nssh -o User=root -o ControlPath=/root/.ansible/cp/1 10.0.0.1"
    host = host_of("hv1", {"vfio_power_seen": {"unreachable": True, "msg": message}}, NOW)
    assert host["drift"][0]["message"] == "Failed to connect"


def test_what_converging_would_change_is_drift():
    changed = {"address": "0000:01:00.0", "changed": True}
    declared = {"applied": False, "changed": True, "devices": [changed], "drift": []}
    host = host_of("hv1", {**seen(device()), "vfio_power_declared": declared}, NOW)
    assert host["status"] == "drift"
    assert host["drift"][0]["code"] == "would-change"
    assert "0000:01:00.0" in host["drift"][0]["message"]


def test_what_converging_did_change_in_the_same_run_is_no_drift():
    declared = {"applied": True, "changed": True, "devices": [], "drift": []}
    assert standing({**seen(device()), "vfio_power_declared": declared}) == ("as-declared", [])


def test_drift_against_the_variables_is_told_once_and_of_its_device():
    device_with_it = not_bound(1)
    again = {"address": "0000:01:00.0", **device_with_it["drift"][0]}
    declared = {"applied": False, "changed": False, "devices": [], "drift": [again]}
    host = host_of("hv1", {**seen(device_with_it), "vfio_power_declared": declared}, NOW)
    assert [it["code"] for it in host["devices"][0]["drift"]] == ["not-bound"]
    assert not host["drift"]


def test_what_is_added_to_a_device_leaves_it_below_a_kibibyte():
    told = {"severity": "drift", "message": "long " * 50, "hint": "long " * 50}
    added = [{"address": "0000:01:00.0", "code": f"code-{n}", **told} for n in range(20)]
    declared = {"applied": False, "changed": False, "devices": [], "drift": added}
    host = host_of("hv1", {**seen(device()), "vfio_power_declared": declared}, NOW)
    assert size(host["devices"][0]) <= KIBIBYTE
    assert host["devices"][0]["drift"]
    again = host_again({**host, "devices": [{**host["devices"][0], "drift": added}]})
    assert size(again["devices"][0]) <= KIBIBYTE


def test_the_sums_count_hosts_and_devices():
    made = report(
        fine=seen(device(1), leased(2)), bad=seen(storming(1), not_bound(2)), gone=UNREACHABLE
    )
    assert made["status"] == "drift"
    assert made["summary"]["hosts"] == {"total": 3, "as_declared": 1, "drift": 1, "unknown": 1}
    assert made["summary"]["devices"] == {
        "total": 4,
        "declared": 4,
        "held": 2,
        "asleep": 1,
        "awake": 2,
        "in_use": 1,
        "unknown": 0,
        "drift": 2,
        "excused": 1,
    }


def test_the_codes_are_in_the_order_in_which_people_should_read_them():
    made = report(
        a=seen(leased(1), leased(2), not_bound(3)),
        b=seen(storming(1)),
        c=seen(storming(1)),
        d=UNREACHABLE,
    )
    assert [it["code"] for it in made["codes"]] == [
        "wake-storm",
        "not-bound",
        "unreachable",
        "leased",
    ]
    assert made["codes"][3]["devices"] == 2
    assert made["codes"][3]["hosts"] == 1


def test_a_report_of_no_host_is_unknown():
    assert report()["status"] == "unknown"


def test_hosts_are_in_the_order_in_which_people_count():
    made = report(host10=seen(), host9=seen(), a=seen())
    assert [it["name"] for it in made["hosts"]] == ["a", "host9", "host10"]


@pytest.fixture
def slice_of(tmp_path):
    """Return what writes a report.json, and returns its path."""

    def write(**hosts):
        path = tmp_path / f"{'-'.join(hosts)}.json"
        path.write_text(json.dumps(report(**hosts)), encoding="utf-8")
        return str(path)

    return write


def merged(*paths, **hosts):
    """Return the report of earlier ones and of these hosts, by name."""
    made = [host for path in paths for host in earlier.hosts_in(path)]
    made += [host_of(name, variables, LATER) for name, variables in hosts.items()]
    return {host["name"]: host for host in report_of(made, LATER, "0.1.0")["hosts"]}


def test_slices_are_merged_without_a_difference(slice_of):
    first, second = slice_of(a=seen(device(), not_bound(2))), slice_of(b=UNREACHABLE)
    apart = report(a=seen(device(), not_bound(2)), b=UNREACHABLE)
    assert list(merged(first, second).values()) == apart["hosts"]


def test_of_a_host_that_comes_twice_the_newest_look_counts(slice_of):
    earlier_one = slice_of(a=seen(not_bound()), b=seen(device()))
    told = merged(earlier_one, a=seen(device(), at=LATER), b=UNREACHABLE)
    assert told["a"]["status"] == "as-declared"
    assert told["b"]["status"] == "unknown"


def test_the_order_of_the_inputs_does_not_matter(slice_of):
    old, new = slice_of(a=seen(not_bound())), slice_of(a=seen(device(), at=LATER), b=seen())
    assert merged(old, new)["a"] == merged(new, old)["a"]


@pytest.mark.parametrize("lost", ["devices", "drift"])
def test_a_host_of_an_earlier_report_that_lacks_a_list_is_unknown(slice_of, lost):
    path = slice_of(a=seen(device()))
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    del document["hosts"][0][lost]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file)
    assert merged(path)["a"]["status"] == "unknown"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99, "hosts": []}', "[" * 100_000])
def test_an_input_that_is_no_report_is_named_with_the_next_step(tmp_path, text):
    path = tmp_path / "report.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(earlier.EarlierError, match=r"report\.json: .*\. \w+"):
        list(earlier.hosts_in(str(path)))


def test_an_input_that_is_not_there_is_named(tmp_path):
    with pytest.raises(earlier.EarlierError, match=r"none\.json: No such file"):
        list(earlier.hosts_in(str(tmp_path / "none.json")))


def test_every_code_of_the_program_has_a_title():
    assert not [code for code in CODES if code not in codes.TITLES]
