# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a host's answer: enough for a report, little, and nothing dangerous."""

from __future__ import annotations

import json

import pytest
from ansible_collections.vfio.power.plugins.plugin_utils._report.comparison import comparison
from ansible_collections.vfio.power.plugins.plugin_utils._report.excerpt import excerpt
from ansible_collections.vfio.power.plugins.plugin_utils._report.fleet import host_of
from ansible_collections.vfio.power.plugins.plugin_utils._report.rows import KIBIBYTE, size
from ansible_collections.vfio.power.tests.unit.plugins.plugin_utils.answers import (
    CARDS,
    NOW,
    answer,
    device,
    drift,
    leased,
    not_bound,
    storming,
)

SECRET = "-object secret,id=key,data=hunter2"
ENDLESS = ["\u00fc" * 4000, '"' * 4000, "\\" * 4000, "\U0001f50c" * 4000]


def kept(*devices, **changes):
    """Return the devices of an excerpt."""
    return excerpt(answer(*devices, **changes), NOW)["devices"]


@pytest.mark.parametrize("make", [device, not_bound, storming, leased])
def test_a_device_takes_at_most_a_kibibyte_of_the_controller(make):
    (row,) = kept(make())
    assert size(row) <= KIBIBYTE


def endless(text, differences):
    """Return a device whose every text is endless."""
    texts = {name: text for name, value in device().items() if isinstance(value, str)}
    return device(
        **{**texts, "address": "0000:01:00.0"},
        declared={"rule": text, "mode": text, "reserve": True, "expect": text},
        wakes={"total": 2**50, "foreign": 2**50, "last": text},
        waiting_until=text,
        opened_by=[{"pid": 2**50, "command": text}] * 50,
        lease=[{"holder": text}] * 50,
        quarantined={"code": text},
        drift=[drift(text, text, text, text)] * differences,
    )


@pytest.mark.parametrize("text", ENDLESS)
@pytest.mark.parametrize("differences", [0, 1, 50])
def test_a_device_whose_every_text_is_endless_takes_at_most_a_kibibyte(text, differences):
    (row,) = kept(endless(text, differences))
    assert size(row) <= KIBIBYTE
    assert row["model"].endswith("\u2026")
    assert len(row["drift"]) == min(differences, 1)


@pytest.mark.parametrize("text", ENDLESS)
@pytest.mark.parametrize("differences", [0, 1, 50])
def test_with_what_a_comparison_adds_it_is_no_more(text, differences):
    told = {"address": "0000:01:00.0"}
    added = [{**told, **drift(f"{number}{text}", "drift", text, text)} for number in range(50)]
    found = {"applied": False, "changed": True, "devices": [{**told, "changed": True}]}
    seen = {"devices": kept(endless(text, differences)), "drift": []}
    compared = comparison({**found, "drift": added}, seen)
    of_device = [it for it in compared["drift"] if it["address"]]
    (row,), beside = seen["devices"], [*compared["devices"], *of_device]
    assert compared["devices"] == found["devices"]
    assert size(row) + sum(map(size, beside)) <= KIBIBYTE
    (of_host,) = (it for it in compared["drift"] if not it["address"])
    assert of_host["message"].startswith(f"{50 - len(of_device)} more")


def test_a_host_does_not_pass_because_there_is_no_room_for_what_differs():
    rows = [drift("rival-policy", "info", "x" * 220, "y" * 200)] * 2
    seen = excerpt(answer(device(opened_by=[], drift=rows), drifted=False), NOW)
    (row,) = seen["devices"]
    added = drift("not-suspended", "drift", "z" * 220, "w" * 200)
    found = {"applied": False, "changed": False, "devices": []}
    address = {"address": row["address"]}
    compared = comparison({**found, "drift": [{**address, **added}] * 5}, seen)
    host = host_of("hv1", {"vfio_power_seen": seen, "vfio_power_declared": compared}, NOW)
    assert host["status"] == "drift"


FORBIDDEN = drift(
    "runtime-pm-forbidden",
    "drift",
    "0000:65:00.0 (NVIDIA Corporation GA102GL [A40]): power/control is on, so that it never sleeps",
    "Allow it: echo auto > /sys/bus/pci/devices/0000:65:00.0/power/control, or declare"
    " runtime_pm: allow",
)
RIVAL = drift(
    "rival-policy",
    "info",
    "0000:65:00.0: /etc/udev/rules.d/60-keep-awake.rules:12 writes power/control=on, which undoes"
    " it",
    "Take the line out of /etc/udev/rules.d/60-keep-awake.rules, then udevadm control --reload",
)
DENIED = drift(
    "node-denied",
    "drift",
    "0000:65:00.0: cannot open the node: EPERM (Operation not permitted)",
    "The unit allows the nodes of drivers that were there when it was started: load the driver,"
    " then systemctl restart vfio-powerd; then: vfio-powerctl reclaim 0000:65:00.0",
)


@pytest.mark.parametrize("card", range(len(CARDS)))
@pytest.mark.parametrize("told", [(DENIED,), (RIVAL, FORBIDDEN), (RIVAL, DENIED)])
def test_the_next_step_of_the_gravest_drift_is_whole(card, told):
    (row,) = kept(device(0x65, card, drift=list(told)))
    assert size(row) <= KIBIBYTE
    assert [it["code"] for it in row["drift"]] == [it["code"] for it in told]
    assert row["drift"][-1]["hint"] == told[-1]["hint"]


def test_a_comparison_tells_nothing_twice():
    again = drift("not-suspended", "drift", "0000:01:00.0 is awake")
    paused = drift("paused", "excused", "the helper is paused")
    seen = {"devices": kept(device(drift=[again])), "drift": [paused]}
    told = [{"address": "0000:01:00.0", **again}, {"address": None, **paused}]
    found = {"applied": False, "changed": False, "devices": [device()], "drift": told}
    compared = comparison(found, seen)
    assert (compared["devices"], compared["drift"]) == ([], [])
    one_more = {"address": None, **drift("count-mismatch", "drift", "rule 'gpus': found 0")}
    (new,) = comparison({**found, "drift": [*told, one_more]}, seen)["drift"]
    assert (new["address"], new["code"]) == (None, "count-mismatch")


@pytest.mark.parametrize("what", ["failed", "unreachable"])
def test_a_comparison_that_could_not_be_made_says_why(what):
    compared = comparison({what: True, "msg": "devices[0].mode: 'deep'", "invocation": SECRET}, {})
    assert compared == {what: True, "msg": "devices[0].mode: 'deep'", "changed": False}


def test_what_a_user_needs_to_see_of_a_device_is_kept():
    (row,) = kept(leased(3))
    assert row["address"] == "0000:03:00.0"
    assert row["state"] == "in-use"
    assert row["opened_by"] == [{"pid": 812, "command": "qemu-system-x86"}]
    assert row["lease"] == ["libvirt:guest3"]
    assert row["rule"] == "gpus"
    assert row["drift"][0]["code"] == "leased"
    assert "reclaim" in row["drift"][0]["hint"]


@pytest.mark.parametrize(
    ("power", "runtime", "state"),
    [
        ("D3cold", "suspended", "asleep"),
        ("D3hot", "suspended", "asleep"),
        ("D0", "active", "awake"),
        ("D0", "suspended", "awake"),
        ("D3cold", "active", "unknown"),
        (None, None, "unknown"),
    ],
)
def test_only_what_was_seen_to_sleep_is_called_asleep(power, runtime, state):
    (row,) = kept(device(power_state=power, runtime_status=runtime))
    assert row["state"] == state


def test_no_command_line_is_kept_wherever_an_answer_has_one():
    opener = {"pid": 812, "command": f"qemu-system-x86_64 {SECRET}", "cmdline": SECRET}
    told = excerpt(
        answer(
            device(opened_by=[opener], cmdline=SECRET),
            host={"kernel": "6.12", "cmdline": SECRET},
            invocation={"module_args": SECRET},
        ),
        NOW,
    )
    assert "secret" not in json.dumps(told)
    assert told["devices"][0]["opened_by"][0]["command"] == "qemu-system-\u2026"


def test_line_breaks_and_control_characters_become_spaces():
    (row,) = kept(device(model="one\r\ntwo\x00\x1b[31m\u202ethree\u2028four"))
    assert row["model"] == "one two [31m three four"


def test_a_device_without_any_field_is_unknown():
    (row,) = kept({"address": "0000:01:00.0", "drift": []})
    assert row["state"] == "unknown"
    assert (row["held"], row["mode"], row["power_state"]) == (None, None, None)


@pytest.mark.parametrize("value", ["yes", 7, [], {"a": 1}, None])
def test_a_value_of_another_kind_is_not_known(value):
    (row,) = kept(device(held=value, wakes=value, opened_by=value, declared=value))
    assert row["held"] is None
    assert "wakes" not in row
    assert row["mode"] is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"drifted": None, "limited": True}, "not-root"),
        ({"drifted": None}, "not-told"),
        ({"drifted": "no"}, "not-told"),
    ],
)
def test_an_answer_that_leaves_it_open_makes_the_host_unknown(changes, code):
    (told,) = excerpt(answer(device(), **changes), NOW)["drift"]
    assert (told["code"], told["severity"]) == (code, "unknown")


def test_drift_of_a_severity_that_nobody_knows_is_not_taken_lightly():
    (row,) = kept(device(drift=[drift("brand-new", "catastrophe", "it burns")]))
    assert row["drift"][0]["severity"] == "unknown"


def test_drift_of_the_host_and_of_rules_is_kept_beside_that_of_devices():
    rule = {"address": None, **drift("count-mismatch", "drift", "rule 'gpus': devices found 0")}
    told = excerpt(answer(device(), drift=[rule]), NOW)
    assert [it["code"] for it in told["drift"]] == ["count-mismatch"]
