# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a host's declaration when a task asks for something."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.merge import merge
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.parse import parse_request
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Declaration,
    Match,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import InputError
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import at


def entry(name, address=None, **keys):
    """Return an entry as a task has it; without an address it is about a vendor."""
    about = {"address": address} if address else {"match": {"vendor": "10de"}}
    return {"name": name, "mode": "none", **about, **keys}


def asked(*entries, exclude=None, stored=None, purge=False):
    """Return the declaration after a task."""
    request = parse_request(list(entries), exclude)
    return merge(stored or Declaration(), request, purge=purge)


STORED = asked(entry("a", "65:00.0"), entry("b"), entry("c", "67:00.0"))._replace(generation=3)


def names(declaration):
    """Return the names of the rules in order."""
    return [rule.name for rule in declaration.rules]


def refusal_of(*entries, **how):
    """Return the refused places and what was said about each."""
    with pytest.raises(InputError) as refused:
        asked(*entries, **how)
    return {problem.place: problem.message for problem in refused.value.problems}


def test_a_rule_of_the_same_name_is_replaced_in_its_place():
    merged = asked(entry("b", mode="entry"), stored=STORED)
    assert names(merged) == ["a", "b", "c"]
    assert merged.rules[1].mode is Mode.ENTRY


def test_a_new_rule_comes_last():
    assert names(asked(entry("d", "68:00.0"), stored=STORED)) == ["a", "b", "c", "d"]


def test_an_absent_rule_is_removed_by_its_name():
    assert names(asked(entry("b", "70:00.0", state="absent"), stored=STORED)) == ["a", "c"]


def test_an_absent_device_is_removed_whatever_its_rule_is_called():
    gone = {"address": "67:00.0", "state": "absent"}
    assert names(asked(gone, stored=STORED)) == ["a", "b"]
    gone = {"match": {"vendor": "10de"}, "state": "absent"}
    assert names(asked(gone, stored=STORED)) == ["a", "c"]


def test_what_was_absent_before_changes_nothing():
    assert asked(entry("z", "70:00.0", state="absent"), stored=STORED) == STORED


def test_the_same_task_again_makes_an_equal_declaration():
    task = (entry("a", "65:00.0"), entry("b"), entry("c", "67:00.0"))
    assert asked(*task, stored=STORED) == STORED
    assert asked(*task, stored=STORED, purge=True) == STORED


def test_an_equal_match_spelled_otherwise_makes_an_equal_declaration():
    spelled = {"name": "b", "mode": "none", "match": {"vendor": ["0x10DE"]}}
    assert asked(spelled, stored=STORED) == STORED


def test_purge_leaves_this_list_alone():
    merged = asked(entry("c", "67:00.0"), entry("d"), stored=STORED, purge=True)
    assert names(merged) == ["c", "d"]


def test_purge_of_an_empty_list_is_refused():
    assert "would remove every rule" in refusal_of(stored=STORED, purge=True)["devices"]
    told = refusal_of(exclude=[{"address": "65:00.0"}], stored=STORED, purge=True)
    assert "would remove every rule" in told["devices"]


def test_purge_of_a_list_without_a_rule_is_refused_as_an_empty_one():
    gone = entry("a", "65:00.0", state="absent")
    told = refusal_of(gone, stored=STORED, purge=True)
    assert "would remove every rule" in told["devices"]
    assert names(asked(gone, entry("b"), stored=STORED, purge=True)) == ["b"]


def test_everything_can_be_removed_by_saying_so():
    gone = [entry(name, state="absent") for name in names(STORED)]
    assert names(asked(*gone, stored=STORED)) == []


def test_an_empty_list_without_purge_changes_nothing():
    assert asked(stored=STORED) == STORED


def test_exclusions_are_united_and_with_purge_replaced():
    stored = STORED._replace(exclude=(at("70:00.0"),))
    more = [{"address": "70:00.0"}, {"match": {"vendor": "1002"}}]
    both = (at("70:00.0"), Match(vendor=("1002",)))
    assert asked(exclude=more, stored=stored).exclude == both
    assert asked(entry("a"), exclude=more[1:], stored=stored, purge=True).exclude == both[1:]


def test_an_exclusion_removes_no_rule():
    assert names(asked(exclude=[{"match": {"vendor": "10de"}}], stored=STORED)) == ["a", "b", "c"]


def test_an_address_that_the_host_excludes_is_refused():
    stored = STORED._replace(exclude=(at("70:00.0"),))
    told = refusal_of(entry("d", "70:00.0"), stored=stored)
    assert "0000:70:00.0 is excluded on this host" in told["devices (d).address"]


def test_an_exclusion_of_an_address_that_the_host_declares_is_refused():
    told = refusal_of(exclude=[{"address": "65:00.0"}], stored=STORED)
    assert "remove the entry with state: absent" in told["devices (a).address"]


def test_a_second_rule_for_a_declared_address_is_refused():
    told = refusal_of(entry("gpu", "65:00.0"), stored=STORED)
    assert told == {
        "devices (gpu).address": "0000:65:00.0 is declared on this host as 'a' already;"
        " use that name, or remove the other entry with state: absent"
    }


def test_a_second_rule_for_what_another_one_matches_is_refused():
    match = {"vendor": ["10de"]}
    stored = asked({"name": "gpus", "match": match, "mode": "entry"})
    told = refusal_of({"name": "GPUs", "match": match, "mode": "none"}, stored=stored)
    assert told == {
        "devices (GPUs).match": "vendor=10de is declared on this host as 'gpus' already;"
        " use that name, or remove the other entry with state: absent"
    }


def test_the_generation_is_raised_by_whoever_stores_it():
    assert asked(entry("d", "68:00.0"), stored=STORED).generation == STORED.generation
