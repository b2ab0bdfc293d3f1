# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task may say, and what it is told when it says something else."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.parse import (
    Absent,
    Request,
    parse_request,
    parse_selectors,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Match,
    Reentry,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import InputError
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Expect, Mode
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import at


def refusal_of(devices, exclude=None):
    """Return the refused places and what was said about each."""
    with pytest.raises(InputError) as refused:
        parse_request(devices, exclude)
    return {problem.place: problem.message for problem in refused.value.problems}


def rule_of(**keys):
    """Return the rule that one entry becomes; it is about 65:00.0 in mode none by default."""
    given = {"mode": "none", **({} if "match" in keys else {"address": "65:00.0"}), **keys}
    return parse_request([given]).entries[0]


def test_an_address_and_a_mode_are_enough():
    assert parse_request([{"address": "65:00.0", "mode": "entry"}]) == Request(
        (Rule("0000:65:00.0", at("65:00.0"), Mode.ENTRY, expect=Expect.ASLEEP),)
    )


def test_everything_that_can_be_said_is_kept():
    assert rule_of(
        name="gpus",
        match={"vendor": ["10de"]},
        mode="entry-with-wakeup",
        expect="d3cold",
        reentry={"delay": 30, "max_per_hour": 20, "burst": 3},
        count=4,
    ) == Rule(
        "gpus",
        Match(vendor=("10de",)),
        Mode.ENTRY_WITH_WAKEUP,
        expect=Expect.D3COLD,
        reentry=Reentry(30.0, 20, 3),
        count=4,
    )


def test_options_that_were_not_given_may_come_as_null():
    nothing = {"delay": None, "max_per_hour": None, "burst": None}
    keys = {"name": None, "match": None, "reserve": None, "reentry": nothing}
    rule = rule_of(mode="entry-with-wakeup", **{**keys, "address": "65:00.0"})
    assert rule.reentry == Reentry(5.0, 60, 10)


def test_of_the_bounds_each_one_may_be_given_alone():
    rule = rule_of(mode="entry-with-wakeup", reentry={"max_per_hour": 6})
    assert rule.reentry == Reentry(5.0, 6, 10)


@pytest.mark.parametrize(
    ("mode", "reserve", "expect"),
    [
        ("none", False, Expect.ANY),
        ("none", True, Expect.AWAKE),
        ("entry", False, Expect.ASLEEP),
        ("entry-with-wakeup", False, Expect.ASLEEP),
    ],
)
def test_what_is_expected_follows_from_the_mode_when_nothing_is_said(mode, reserve, expect):
    assert rule_of(mode=mode, reserve=reserve).expect is expect


@pytest.mark.parametrize("text", ["65:00.0", "0000:65:00.0", "0000:65:00.0".upper()])
def test_an_address_may_be_short_and_in_either_case(text):
    assert rule_of(address=text).selector == at("0000:65:00.0")


@pytest.mark.parametrize("spoken", [True, "true", "True", "yes"])
def test_a_flag_may_come_out_of_a_template_as_text(spoken):
    assert rule_of(reserve=spoken).reserve is True


@pytest.mark.parametrize("number", [4, "4"])
def test_a_number_may_come_out_of_a_template_as_text(number):
    assert rule_of(count=number).count == 4
    reentry = dict.fromkeys(("delay", "max_per_hour", "burst"), number)
    assert rule_of(mode="entry-with-wakeup", reentry=reentry).reentry == Reentry(4.0, 4, 4)


def test_an_absent_entry_needs_no_mode():
    request = parse_request([{"address": "65:00.0", "state": "absent", "name": "gpu"}])
    assert request.entries == (Absent("gpu", at("65:00.0")),)


def test_an_absent_entry_may_keep_what_it_said_while_it_was_present():
    request = parse_request([{"address": "65:00.0", "state": "absent", "mode": "entry"}])
    assert request.entries == (Absent("0000:65:00.0", at("65:00.0")),)


def test_an_empty_list_is_a_list_and_no_exclusions_is_none():
    assert parse_request([], None) == Request()


def test_the_same_exclusion_twice_is_one():
    request = parse_request([], [{"address": "65:00.0"}, {"address": "0000:65:00.0"}])
    assert request.exclude == (at("65:00.0"),)


@pytest.mark.parametrize(
    ("seen", "meant"), [(2460.0, "41:00.0"), (3900.1, "65:00.1"), (7.9, ""), (41, "")]
)
def test_an_address_that_yaml_took_for_a_number_wants_quotes(seen, meant):
    message = refusal_of([{"address": seen, "mode": "none"}])["devices[0].address"]
    assert message.startswith(f"YAML read {seen} as a number")
    assert "put quotes around the address" in message
    assert ("perhaps" in message) == bool(meant)
    assert meant in message


@pytest.mark.parametrize(("seen", "meant"), [("2460.0", "41:00.0"), ("7.9", ""), ("41", "")])
def test_an_address_that_a_template_made_text_of_a_number_wants_quotes_there(seen, meant):
    message = refusal_of([{"address": seen, "mode": "none"}])["devices[0].address"]
    assert message.startswith(f"'{seen}' is not a PCI address")
    assert "put quotes around the address there" in message
    assert meant in message


@pytest.mark.parametrize(
    ("wrong", "place", "message"),
    [
        ({"address": "65:00"}, "devices[0].address", "'65:00' is not a PCI address"),
        ({"address": True}, "devices[0].address", "true is not a PCI address"),
        ({"address": ""}, "devices[0].address", "'' is not a PCI address"),
        ({"address": None}, "devices[0]", "neither of address and match"),
        ({"match": {"vendor": "10de"}, "address": "65:00.0"}, "devices[0]", "both of address"),
        ({"mode": "entry_with_wakeup"}, "devices[0].mode", "perhaps 'entry-with-wakeup'"),
        ({"mode": False}, "devices[0].mode", "false is not one of none, entry or entry-with"),
        ({"mode": None}, "devices[0].mode", "is missing; say one of none, entry or entry-with"),
        ({"state": "gone"}, "devices[0].state", "'gone' is not one of present or absent"),
        ({"expect": "sleep"}, "devices[0].expect", "perhaps 'asleep'"),
        ({"reserve": "maybe"}, "devices[0].reserve", "'maybe' is neither true nor false"),
        ({"reserve": 1}, "devices[0].reserve", "1 is neither true nor false"),
        ({"count": -1}, "devices[0].count", "-1 is not a whole number of at least 0"),
        ({"count": True}, "devices[0].count", "true is not a whole number"),
        ({"count": 1.5}, "devices[0].count", "1.5 is not a whole number"),
        ({"name": 5}, "devices[0].name", "YAML read 5 as a number"),
        ({"name": ""}, "devices[0].name", "'' is empty"),
        ({"name": "gpus "}, "devices[0].name", "blanks at an end"),
        ({"name": "a\nb"}, "devices[0].name", "invisible"),
        (
            {"address": None, "match": {"device": [f"{it:04x}" for it in range(60)]}},
            "devices[0]",
            "give it a name of at most 256",
        ),
        ({"name": "a" * 257}, "devices[0].name", "has 257 letters; 256 are the most"),
        ({"mode": "entry-with-wakeup", "reentry": 5}, "devices[0].reentry", "5 is not a mapping"),
        ({"modes": "none"}, "devices[0]", "unknown key 'modes' (perhaps 'mode'); known keys: name"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(wrong, place, message):
    entry = {"address": "65:00.0", "mode": "none", **wrong}
    assert message in refusal_of([entry])[place]


@pytest.mark.parametrize("delay", [0, -1, 86401, "soon", True, "1e3", float("nan"), float("inf")])
def test_a_delay_is_a_sensible_number_of_seconds(delay):
    entry = {"address": "65:00.0", "mode": "entry-with-wakeup", "reentry": {"delay": delay}}
    assert "seconds from 0.1 to 86400" in refusal_of([entry])["devices[0].reentry.delay"]


@pytest.mark.parametrize(
    ("key", "unit"), [("max_per_hour", "entries per hour"), ("burst", "entries")]
)
@pytest.mark.parametrize("number", [0, -1, 36001, 1.5, "many", True, float("inf"), 10**20])
def test_a_bound_is_a_whole_number_that_lets_a_device_sleep_at_all(key, unit, number):
    entry = {"address": "65:00.0", "mode": "entry-with-wakeup", "reentry": {key: number}}
    told = refusal_of([entry])[f"devices[0].reentry.{key}"]
    assert f"is not a whole number of {unit} from 1 to 36000" in told


def test_everything_wrong_with_the_bounds_is_told_at_once():
    wrong = {"delay": 0, "max_per_hour": 0, "burst": 0, "brust": 1}
    told = refusal_of([{"address": "65:00.0", "mode": "entry-with-wakeup", "reentry": wrong}])
    assert set(told) == {
        "devices[0].reentry",
        "devices[0].reentry.delay",
        "devices[0].reentry.max_per_hour",
        "devices[0].reentry.burst",
    }
    assert "unknown key 'brust' (perhaps 'burst')" in told["devices[0].reentry"]


@pytest.mark.parametrize("key", ["runtime_pm", "d3cold"])
@pytest.mark.parametrize("value", [True, "on", "never"])
def test_a_policy_that_is_none_is_refused(key, value):
    told = refusal_of([{"address": "65:00.0", "mode": "none", key: value}])
    assert "is not one of allow or forbid" in told[f"devices[0].{key}"]


@pytest.mark.parametrize("key", ["allow_partial", "require_trial"])
def test_options_that_do_not_exist_yet_are_unknown(key):
    entry = {"address": "65:00.0", "mode": "none", key: True}
    assert f"unknown key '{key}'" in refusal_of([entry])["devices[0]"]


@pytest.mark.parametrize(
    ("together", "key", "message"),
    [
        ({"mode": "entry", "reserve": True}, "reserve", "goes with mode none only"),
        ({"mode": "entry", "expect": "awake"}, "expect", "awake contradicts mode entry"),
        ({"mode": "none", "reserve": True, "expect": "asleep"}, "expect", "contradicts reserve"),
        ({"mode": "none", "reserve": True, "expect": "d3cold"}, "expect", "contradicts reserve"),
        ({"mode": "entry", "reentry": {"delay": 5}}, "reentry", "entry-with-wakeup only"),
        ({"mode": "entry", "runtime_pm": "forbid"}, "runtime_pm", "contradicts mode entry"),
        (
            {"mode": "none", "expect": "asleep", "runtime_pm": "forbid"},
            "runtime_pm",
            "contradicts expect asleep",
        ),
        ({"mode": "entry", "expect": "d3cold", "d3cold": "forbid"}, "d3cold", "expect d3cold"),
    ],
)
def test_a_contradiction_is_refused(together, key, message):
    entry = {"address": "65:00.0", "name": "gpu", **together}
    assert message in refusal_of([entry])[f"devices[0] (gpu).{key}"]


def test_two_entries_may_not_have_the_same_name():
    entries = [{"name": "gpu", "address": f"65:00.{n}", "mode": "none"} for n in (0, 1)]
    told = refusal_of(entries)["devices[1] (gpu).name"]
    assert told == "'gpu' is that of devices[0] already; each name may occur once"


def test_two_entries_may_not_have_the_same_address_whatever_they_want_of_it():
    entries = [
        {"name": "a", "address": "65:00.0", "mode": "none"},
        {"name": "b", "address": "0000:65:00.0", "state": "absent"},
    ]
    told = refusal_of(entries)["devices[1] (b).address"]
    assert told == "0000:65:00.0 is that of devices[0] already; each address may occur once"


def test_two_entries_may_not_match_the_same_since_the_second_would_never_be_used():
    match = {"vendor": ["10de"], "class": ["0302", "0300"]}
    entries = [
        {"name": "a", "match": match, "mode": "entry"},
        {"name": "b", "match": {**match, "vendor": "0x10DE"}, "mode": "none"},
    ]
    told = refusal_of(entries)["devices[1] (b).match"]
    assert told == (
        "vendor=10de class=0302,0300 is that of devices[0] already; each match may occur once"
    )


def test_an_address_may_not_be_declared_and_excluded():
    told = refusal_of([{"address": "65:00.0", "mode": "none"}], [{"address": "0000:65:00.0"}])
    assert "is in exclude too" in told["devices[0] (0000:65:00.0).address"]


def test_an_address_may_be_excluded_and_absent():
    absent = {"address": "65:00.0", "state": "absent"}
    assert parse_request([absent], [{"address": "65:00.0"}]).exclude == (at("65:00.0"),)


@pytest.mark.parametrize("devices", [None, "65:00.0", {"address": "65:00.0"}, 5])
def test_devices_has_to_be_a_list(devices):
    assert refusal_of(devices)["devices"].endswith("is not a list")


@pytest.mark.parametrize("entry", [None, "65:00.0", 5, []])
def test_an_entry_has_to_be_a_mapping(entry):
    assert "is not a mapping with keys out of name" in refusal_of([entry])["devices[0]"]


def test_all_that_is_wrong_is_told_at_once_and_places_count_from_the_list():
    told = refusal_of(
        [
            {"address": "65:00.0", "mode": "none"},
            {"address": 2460.0, "mode": "nnoe"},
            {"match": {"vendor": ["10de", 8086], "class": 194}, "name": "gpus"},
        ],
        [{"match": {"vendor": ["1002", "10d"]}}, {"match": {}}],
    )
    assert sorted(told) == [
        "devices[1].address",
        "devices[1].mode",
        "devices[2] (gpus).match.class",
        "devices[2] (gpus).match.vendor[1]",
        "devices[2] (gpus).mode",
        "exclude[0].match.vendor[1]",
        "exclude[1].match",
    ]


def test_the_error_itself_names_every_place():
    with pytest.raises(InputError, match=r"devices\[0\]\.address: .*; devices\[1\]: "):
        parse_request([{"address": 2460.0, "mode": "none"}, {"mode": "none"}])


def test_selectors_are_the_same_everywhere():
    selectors = parse_selectors([{"address": "65:00.0"}, {"match": {"slot": ["4"]}}], "devices")
    assert selectors == (at("65:00.0"), Match(slot=("4",)))


def test_a_bare_address_is_shown_how_to_write_a_selector():
    with pytest.raises(InputError, match=r"devices\[0\]: .* write {address: '65:00.0'}"):
        parse_selectors(["65:00.0"], "devices")


def test_a_selector_has_no_mode():
    with pytest.raises(InputError, match=r"unknown key 'mode'; known keys: address and match"):
        parse_selectors([{"address": "65:00.0", "mode": "none"}], "exclude")
