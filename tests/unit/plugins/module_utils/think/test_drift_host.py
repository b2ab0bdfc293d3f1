# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a host whose helper, files or counts are not as they should be."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.drift import (
    CODES,
    HostCase,
    judge_host,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.standby import off_switch
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Declaration,
    PassedOver,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.version import (
    API_REVISION,
    VERSION,
)
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import at

HOLDING = Declaration((Rule("gpu", at("65:00.0"), Mode.ENTRY, count=1),))
LOOKING = Declaration((Rule("gpu", at("65:00.0"), Mode.NONE),))
WELL = HostCase("running", API_REVISION, VERSION, "", HOLDING, {"gpu": 1})


def told(**how):
    """Return (code, severity) of all that is told of a host that is well but for what is said."""
    return [(drift.code, drift.severity) for drift in judge_host(WELL._replace(**how))]


def test_a_host_that_is_well_is_not_spoken_of():
    assert told() == []
    assert told(api_revision=None, version="") == []


def test_a_helper_that_does_not_answer_is_down_whatever_is_declared():
    for declaration in (HOLDING, LOOKING, Declaration()):
        down = told(helper="down", declaration=declaration, api_revision=None, version="")
        assert down == [("helper-down", "drift")]


def test_a_helper_that_is_stopped_is_down_and_the_hint_starts_it():
    (drift,) = judge_host(HostCase("stopped"))
    assert (drift.code, drift.severity) == ("helper-down", "drift")
    assert "systemctl start vfio-powerd.service" in drift.hint


def test_a_helper_that_is_not_installed_is_missed_where_something_is_to_be_held():
    assert told(helper="absent") == [("helper-down", "drift")]
    assert told(helper="absent", declaration=LOOKING) == []
    assert told(helper="absent", declaration=Declaration()) == []


@pytest.mark.parametrize("revision", [API_REVISION - 1, API_REVISION + 1])
def test_another_api_revision_is_drift_whatever_the_version(revision):
    assert told(api_revision=revision, version="0.0.1") == [("api-mismatch", "drift")]


def test_an_older_helper_that_is_understood_is_outdated_only():
    assert told(version="0.0.9") == [("helper-outdated", "info")]
    assert told(version="99.0.0") == []


@pytest.mark.parametrize(
    ("environ", "step"),
    [
        ({"vfio_power": "off"}, "To end that: boot without it"),
        ({}, "To end that: rm {etc}/off && vfio-powerctl resume"),
    ],
)
def test_a_helper_that_stands_back_is_excused_and_says_why(tmp_path, environ, step):
    (tmp_path / "off").touch()
    (drift,) = judge_host(WELL._replace(paused=off_switch(environ, str(tmp_path))))
    assert (drift.code, drift.severity) == ("paused", "excused")
    assert off_switch(environ, str(tmp_path)) in drift.message
    assert drift.hint == step.format(etc=tmp_path)


def test_what_somebody_paused_somebody_resumes():
    (drift,) = judge_host(WELL._replace(paused="vfio-powerctl pause was called"))
    assert drift.hint == "When that is over: vfio-powerctl resume"


def test_a_helper_of_which_all_workers_hang_is_stuck():
    assert told(workers=16, stuck=15) == []
    assert told(workers=16, stuck=16) == [("stuck", "drift")]


def test_descriptors_that_are_not_kept_are_counted_and_no_drift():
    assert told(kept=10) == told(kept=10, stored=10) == told(kept=10, stored=11) == []
    (drift,) = judge_host(WELL._replace(kept=10, stored=5))
    assert (drift.code, drift.severity) == ("not-kept", "info")
    assert "of 10 descriptors" in drift.message
    assert "keeps 5" in drift.message


def test_a_damaged_file_is_told_as_it_was_found():
    (drift,) = judge_host(WELL._replace(damaged="declared.json is not JSON."))
    assert (drift.code, drift.severity) == ("state-damaged", "drift")
    assert drift.message == "declared.json is not JSON"


@pytest.mark.parametrize("matched", [{}, {"gpu": 0}, {"gpu": 2}])
def test_a_rule_that_finds_another_number_of_devices_is_told(matched):
    (drift,) = judge_host(WELL._replace(matched=matched))
    assert (drift.code, drift.severity) == ("count-mismatch", "drift")
    assert drift.message == f"rule 'gpu': devices found {matched.get('gpu', 0)}, expected 1"


def test_those_that_are_on_host_drivers_are_named_with_what_to_do_about_them():
    others = (PassedOver(at("66:00.0"), "nvidia", "gpu"), PassedOver(at("67:00.0"), "x", "disks"))
    (drift,) = judge_host(WELL._replace(matched={}, passed_over=others))
    assert drift.message.endswith("it fits 0000:66:00.0 (nvidia) as well, on host drivers")
    assert drift.hint.startswith("Bind them to vfio-pci")


def test_a_rule_may_be_expected_to_find_nothing():
    nothing = Declaration((Rule("gpu", at("65:00.0"), Mode.NONE, count=0),))
    assert told(declaration=nothing, matched={}) == []
    assert told(declaration=nothing) == [("count-mismatch", "drift")]


def test_severities_are_three():
    assert set(CODES.values()) == {"drift", "excused", "info"}


def test_of_a_damaged_pause_somebody_has_to_say_what_holds():
    (drift,) = judge_host(WELL._replace(damaged="/var/lib/vfio-power/paused.json is not JSON."))
    assert "vfio-powerctl pause or resume" in drift.hint


def test_a_file_of_quirks_is_told_besides_what_else_is_damaged():
    how = {"damaged": "declared.json is not JSON.", "quirks_damaged": "10.json is left out."}
    first, second = judge_host(WELL._replace(**how))
    assert (first.code, second.code) == ("state-damaged", "state-damaged")
    assert second.message == "10.json is left out"
    assert second.hint != first.hint
