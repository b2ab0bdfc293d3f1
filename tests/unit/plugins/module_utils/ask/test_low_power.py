# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a low_power task does to a host, and what it answers."""

from __future__ import annotations

import errno
import json
import time

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.low_power import ask
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.ready import NotReady
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.task import Wish
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.manager import Standing
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import service
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import InputError

from ..fake.host import NIC as CARD
from ..hold.helper import quirk
from .conftest import Place

NIC, DISK = "0000:02:00.0", "0000:03:00.0"


KIBIBYTE = 1024


def entry(address=NIC, **more):
    """Return a rule for one device."""
    return {"address": address, "mode": "entry", **more}


def device_of(answer, address=NIC):
    """Return a device of an answer."""
    return next(it for it in answer.result["devices"] if it["address"] == address)


def codes_of(answer):
    """Return the codes of all drift."""
    return [it["code"] for it in answer.result["drift"]]


def calls_of(place):
    """Return how often the kernel was asked for anything."""
    return len(place.host.calls)


def test_a_declared_device_sleeps_and_the_answer_says_so(place):
    place.host.add(NIC)
    place.start_helper()
    answer = place.low_power(entry())
    assert not answer.failure
    assert answer.result["changed"]
    assert answer.result["applied"]
    device = device_of(answer)
    assert (device["held"], device["engaged"]) == (True, "entry")
    assert (device["power_state"], device["runtime_status"]) == ("D3cold", "suspended")
    assert device["before"] == {
        "rule": None,
        "mode": None,
        "held": False,
        "engaged": "none",
        "runtime_pm": "allow",
        "d3cold": "allow",
    }
    assert device["capability"] == "supported"


def test_what_a_playbook_registers_is_small(place):
    """The difference is in it only where somebody asked for one."""
    addresses = [f"0000:{bus:02x}:00.0" for bus in range(2, 18)]
    for address in addresses:
        place.host.add(address)
    place.start_helper()
    for _time in range(2):
        result = place.low_power(*(entry(it, mode="entry-with-wakeup") for it in addresses)).result
        registered = {name: value for name, value in result.items() if name != "diff"}
        assert len(json.dumps(registered)) <= KIBIBYTE * len(addresses)


def test_the_second_run_changes_nothing(place):
    place.host.add(NIC)
    place.start_helper()
    place.low_power(entry())
    calls, stored = calls_of(place), (place.folder / "state" / "declared.json").stat()
    answer = place.low_power(entry())
    assert not answer.result["changed"]
    assert not answer.result["diff"]
    assert calls_of(place) == calls
    assert (place.folder / "state" / "declared.json").stat().st_mtime_ns == stored.st_mtime_ns


def test_what_was_only_stored_reaches_the_helper_though_no_device_moves(place):
    place.host.add(NIC)
    place.start_helper()
    for delay, apply in ((5, True), (9, False), (9, True)):
        rule = entry(mode="entry-with-wakeup", reentry={"delay": delay})
        assert not place.low_power(rule, apply=apply).failure
    stored = place.store.load().declaration.generation
    assert place.ground().client.call("List")["generation"] == stored


def test_other_bounds_of_a_rule_are_a_change_of_the_rule_and_of_no_device(place):
    place.host.add(NIC)
    place.start_helper()
    rule = entry(mode="entry-with-wakeup", reentry={"delay": 9})
    place.low_power(rule)
    calls = calls_of(place)
    answer = place.low_power({**rule, "reentry": {"delay": 9, "burst": 3}})
    (of_the_rule,) = [it for it in answer.result["diff"] if it["before_header"].startswith("rule")]
    assert of_the_rule["before"]["reentry"] == {"delay": 9.0, "max_per_hour": 60, "burst": 10}
    assert of_the_rule["after"]["reentry"] == {"delay": 9.0, "max_per_hour": 60, "burst": 3}
    assert answer.result["changed"]
    assert calls_of(place) == calls


def test_check_mode_predicts_and_asks_nothing_of_the_kernel(place):
    place.host.add(NIC)
    place.start_helper()
    answer = place.low_power(entry(mode="entry-with-wakeup"), check=True)
    assert answer.result["changed"]
    assert not answer.result["applied"]
    assert device_of(answer)["after"]["engaged"] == "entry-with-wakeup"
    assert device_of(answer)["capability"] == "unknown"
    assert not calls_of(place)
    assert not place.store.load().declaration.rules


def test_check_mode_claims_no_support_that_nobody_has_seen_though_the_device_is_open(place):
    place.host.add(NIC)
    place.start_helper()
    place.low_power(entry(mode="none", reserve=True))
    assert device_of(place.low_power(entry(), check=True))["capability"] == "unknown"
    place.low_power(entry())
    assert device_of(place.low_power(entry(), check=True))["capability"] == "supported"
    other = place.low_power(entry(mode="entry-with-wakeup"), check=True)
    assert device_of(other)["capability"] == "unknown"


def test_check_mode_of_what_is_reached_predicts_no_change(place):
    place.host.add(NIC)
    place.start_helper()
    place.low_power(entry())
    answer = place.low_power(entry(), check=True)
    assert not answer.result["changed"]
    assert not answer.failure


def test_check_mode_without_the_helper_names_the_devices_that_opening_resets(place):
    place.host.add(NIC)
    answer = place.low_power(entry(), check=True)
    assert not answer.failure
    assert device_of(answer)["capability"] == "unknown"
    assert device_of(answer)["changed"]
    assert any("not installed" in warning for warning in answer.warnings)
    assert any("resets" in warning and NIC in warning for warning in answer.warnings)


def test_a_paused_helper_takes_nothing_and_nothing_is_predicted(place):
    place.host.add(NIC)
    place.start_helper()
    place.ground().client.call("Pause")
    for check in (True, False):
        answer = place.low_power(entry(), check=check)
        assert not answer.failure
        assert device_of(answer)["drift"] == ["paused"]
        assert not device_of(answer)["held"]
    assert not calls_of(place)
    assert not place.low_power(entry()).result["changed"]


def test_the_off_switch_is_looked_at_by_a_run_that_has_nothing_else_to_do(place):
    place.host.add(NIC)
    (place.folder / "off").touch()
    place.start_helper()
    assert not device_of(place.low_power(entry()))["held"]
    (place.folder / "off").unlink()
    answer = place.low_power(entry())
    assert answer.result["changed"]
    assert device_of(answer)["engaged"] == "entry"


def test_a_device_in_quarantine_is_left_alone_and_fails_the_task(place):
    nic = place.host.add(NIC)
    place.start_helper()
    place.low_power(entry())
    place.host.lose(nic.address)
    place.low_power({"address": NIC, "mode": "none"}, fail_on_drift=False)
    calls = calls_of(place)
    for check in (True, False):
        answer = place.low_power(entry(), check=check)
        assert device_of(answer)["drift"] == ["power-error"]
        assert device_of(answer)["after"] == {**device_of(answer)["before"], "mode": "entry"}
        assert "vfio-powerctl clear" in answer.failure
    assert calls_of(place) == calls
    assert not place.low_power(entry()).result["changed"]


def test_a_diff_shows_the_rule_and_each_device(place):
    place.host.add(NIC)
    place.start_helper()
    answer = place.low_power(entry())
    headers = [it["after_header"] for it in answer.result["diff"]]
    assert headers == [f"rule '{NIC}'", f"device {NIC}"]


def test_an_absent_rule_lets_the_device_go(place):
    place.host.add(NIC)
    place.start_helper()
    place.low_power(entry())
    answer = place.low_power({"address": NIC, "state": "absent"})
    device = device_of(answer)
    assert device["changed"]
    assert not device["held"]
    assert device["rule"] is None
    assert device["power_state"] == "D0"


def test_a_device_that_did_not_come_back_is_drift_though_it_is_no_longer_declared(place):
    nic = place.host.add(NIC)
    place.start_helper()
    place.low_power(entry())
    nic.function.broken = True
    answer = place.low_power({"address": NIC, "state": "absent"})
    assert codes_of(answer) == ["power-error"]
    assert "did not come back" in answer.failure


def test_rules_that_are_not_in_the_list_are_kept_and_named(place):
    place.host.add(NIC)
    place.host.add(DISK)
    place.start_helper()
    place.low_power(entry(name="nic"))
    answer = place.low_power(entry(DISK, name="disk"))
    assert answer.result["unlisted"] == [{"name": "nic", "devices": [NIC]}]
    assert [it["address"] for it in answer.result["devices"]] == [DISK]


def test_purge_lets_go_of_what_is_not_in_the_list(place):
    place.host.add(NIC)
    place.host.add(DISK)
    place.start_helper()
    place.low_power(entry())
    answer = place.low_power(entry(DISK), purge=True)
    assert not device_of(answer, NIC)["held"]
    assert device_of(answer, DISK)["held"]
    assert answer.result["unlisted"] == []


def test_a_device_that_is_named_and_on_a_host_driver_fails_and_the_others_are_done(place):
    place.host.add(NIC, driver="e1000e")
    place.host.add(DISK)
    place.start_helper()
    answer = place.low_power(entry(), entry(DISK), fail_on_drift=False)
    assert "e1000e" in answer.failure
    assert NIC in answer.failure
    assert "e1000e" in device_of(answer)["error"]
    assert device_of(answer, DISK)["held"]


@pytest.mark.parametrize(
    ("operation", "number", "code", "told"),
    [
        ("open", errno.EIO, "kernel-refused", ": EIO ("),
        ("probe", errno.ENOTTY, "unsupported", "LOW_POWER"),
    ],
)
def test_what_the_kernel_refuses_fails_that_device_and_the_others_are_done(
    place, operation, number, code, told
):
    nic = place.host.add(NIC)
    place.host.add(DISK)
    place.host.refuse(nic.address, operation, number)
    place.start_helper()
    answer = place.low_power(entry(), entry(DISK), fail_on_drift=False)
    assert answer.failure.startswith("1 of 2 devices failed: ")
    assert NIC in answer.failure
    assert told in answer.failure
    assert codes_of(answer) == [code]
    assert device_of(answer, DISK)["held"]
    assert [rule.name for rule in place.store.load().declaration.rules] == [NIC, DISK]


def test_a_device_that_offers_no_low_power_can_be_kept_awake_and_check_mode_says_so(place):
    nic = place.host.add(NIC)
    place.host.refuse(nic.address, "probe", errno.ENOTTY)
    place.start_helper()
    assert "unsupported" in codes_of(place.low_power(entry(), fail_on_drift=False))
    awake = {"address": NIC, "mode": "none", "reserve": True}
    for check in (True, False):
        answer = place.low_power(awake, check=check)
        assert not answer.failure
        assert (answer.result["changed"], device_of(answer)["held"]) == (True, True)


def test_a_group_that_is_not_viable_is_stored_and_drift_and_the_others_are_done(place):
    port = place.host.add_port("0000:00:1c.0")
    place.host.add(NIC, port=port, group=9)
    place.host.add("0000:02:00.1", port=port, group=9, driver="e1000e")
    place.host.add(DISK)
    place.start_helper()
    answer = place.low_power(entry(), entry(DISK), fail_on_drift=False)
    assert "group-not-viable" in codes_of(answer)
    assert "0000:02:00.1 (e1000e)" in answer.result["drift"][0]["message"]
    assert device_of(answer, DISK)["held"]
    assert [rule.name for rule in place.store.load().declaration.rules] == [NIC, DISK]
    assert "group" in place.low_power(entry(), entry(DISK)).failure


def test_a_device_that_is_not_on_the_bus_is_stored_and_drift(place):
    place.host.add(DISK)
    place.start_helper()
    answer = place.low_power(entry(), fail_on_drift=False)
    assert not answer.failure
    assert codes_of(answer) == ["device-missing"]
    assert [rule.name for rule in place.store.load().declaration.rules] == [NIC]


def test_a_device_in_a_guest_is_excused(place):
    nic = place.host.add(NIC)
    guest = place.host.guest(nic.address)
    try:
        place.start_helper()
        answer = place.low_power(entry())
    finally:
        guest.stop()
    assert not answer.failure
    assert not answer.result["drifted"]
    assert codes_of(answer) == ["busy"]


def test_a_device_that_stays_awake_is_drift_and_fails_only_when_asked_to(place):
    nic = place.host.add(NIC)
    place.start_helper()
    place.host.write_control(nic.address, "on")
    answer = place.low_power(entry(), settle=0, fail_on_drift=False)
    assert not answer.failure
    assert answer.result["drifted"]
    assert codes_of(answer) == ["runtime-pm-forbidden"]
    assert "power/control" in place.low_power(entry(), settle=0).failure


def test_a_match_that_finds_nothing_is_nothing_and_drift_only_with_a_count(place):
    place.host.add(NIC)
    place.start_helper()
    match = {"match": {"vendor": ["10de"]}, "mode": "entry", "name": "gpus"}
    answer = place.low_power(match)
    assert not answer.failure
    assert answer.result["rules"] == [{"name": "gpus", "matched": 0}]
    answer = place.low_power({**match, "count": 2})
    assert codes_of(answer) == ["count-mismatch"]
    assert "gpus" in answer.failure


def test_a_device_on_a_host_driver_that_a_match_fits_is_passed_over(place):
    place.host.add(NIC, driver="e1000e")
    place.start_helper()
    answer = place.low_power({"match": {"vendor": ["8086"]}, "mode": "entry", "name": "nics"})
    assert not answer.failure
    expected = {"address": NIC, "driver": "e1000e", "rule": "nics"}
    assert answer.result["passed_over"] == [expected]


def test_every_problem_of_the_input_is_told_at_once_and_nothing_is_stored(place):
    place.start_helper()
    with pytest.raises(InputError) as refused:
        place.low_power({"address": 2460.0, "mode": "entry"}, {"match": {}, "mode": "sleep"})
    places = {problem.place for problem in refused.value.problems}
    assert places >= {"devices[0].address", "devices[1].match", "devices[1].mode"}
    assert not place.store.load().declaration.rules


@pytest.mark.parametrize(
    ("option", "value", "right"),
    [
        ("timeout", -20, "from 1 to 86400"),
        ("timeout", 0, "from 1 to 86400"),
        ("timeout", 10**12, "from 1 to 86400"),
        ("settle", -1, "from 0 to 86400"),
    ],
)
def test_a_time_out_of_its_bounds_is_refused_with_everything_else(place, option, value, right):
    place.host.add(NIC)
    place.start_helper()
    with pytest.raises(InputError) as refused:
        place.low_power(entry(mode="sleep"), **{option: value})
    places = [problem.place for problem in refused.value.problems]
    assert places == ["devices[0].mode", option]
    assert f"{option}: {value} is not a number of seconds {right}" in str(refused.value)
    assert not calls_of(place)


def test_an_exact_address_that_a_match_excludes_is_refused(place):
    place.host.add(NIC)
    place.start_helper()
    with pytest.raises(InputError, match="excluded"):
        place.low_power(entry(), exclude=[{"match": {"vendor": ["8086"]}}])


def test_a_host_without_a_helper_is_told_how_to_get_one(place):
    place.host.add(NIC)
    with pytest.raises(NotReady, match=r"Nothing was changed.*vfio\.power\.helper"):
        place.low_power(entry())


def test_a_helper_that_is_stopped_is_told_apart_from_one_that_is_missing(place):
    place.host.add(NIC)
    place.start_helper()
    place.stop_helper()
    with pytest.raises(NotReady, match="installed and does not answer"):
        place.low_power(entry())


def test_a_stopped_helper_is_started_by_applying_and_not_by_check_mode(place):
    place.host.add(NIC)
    place.start_helper()  # what listens in the place of a stopped one starts it
    place.standing = Standing("inactive")
    before = calls_of(place)
    predicted = place.low_power(entry(), check=True)
    assert calls_of(place) == before
    assert device_of(predicted)["after"]["held"]
    assert "helper-down" in codes_of(predicted)
    assert "The helper is stopped. Applying starts it" in predicted.warnings[-2]
    assert not any("would be refused" in warning for warning in predicted.warnings)
    assert not place.low_power_info()["helper"]["running"]
    assert place.ground().client.call("List")["devices"] == []
    told = iter([Standing("inactive"), Standing("active"), Standing("active")])
    ground = place.ground()._replace(manager=lambda: next(told))
    applied = ask(Wish([entry()], [], settle=1), check=False, ground=ground)
    assert device_of(applied)["held"]


def test_rules_that_hold_nothing_need_no_helper(place):
    place.host.add(NIC)
    answer = place.low_power({"address": NIC, "mode": "none", "expect": "awake"})
    assert not answer.failure
    assert answer.result["changed"]
    assert not place.low_power({"address": NIC, "mode": "none", "expect": "awake"}).result[
        "changed"
    ]


def test_storing_only_asks_nobody_and_the_second_time_changes_nothing(place):
    place.host.add(NIC)
    answer = place.low_power(entry(), apply=False)
    assert answer.result["changed"]
    assert not answer.result["applied"]
    assert not place.low_power(entry(), apply=False).result["changed"]
    assert place.store.load().declaration.rules[0].name == NIC


def test_storing_only_in_check_mode_stores_nothing(place):
    assert place.low_power(entry(), apply=False, check=True).result["changed"]
    assert not place.store.load().declaration.rules


def test_a_declaration_that_cannot_be_stored_is_told_with_the_whole_path_of_the_file(place):
    in_the_way = place.folder / "state" / "declared.json.new"
    in_the_way.mkdir(parents=True)
    with pytest.raises(OSError, match="directory") as refused:
        place.low_power(entry(), apply=False)
    assert refused.value.filename == str(in_the_way)


def test_what_was_only_stored_is_applied_by_the_next_task(place):
    place.host.add(NIC)
    place.start_helper()
    place.low_power(entry(), apply=False)
    answer = place.low_power(entry())
    assert device_of(answer)["held"]
    assert answer.result["changed"]


def test_a_damaged_declaration_is_told_and_written_anew(place):
    place.host.add(NIC)
    place.start_helper()
    place.low_power(entry())
    (place.folder / "state" / "declared.json").write_text("{")
    answer = place.low_power(entry(), fail_on_drift=False)
    assert any("declared.json" in warning for warning in answer.warnings)
    assert answer.result["changed"]
    assert not place.low_power(entry()).warnings


def test_a_device_that_hangs_is_named_and_the_others_are_done(place):
    nic = place.host.add(NIC)
    place.host.add(DISK)
    gate = place.host.hold_up(nic.address, "open")
    place.start_helper()
    try:
        answer = place.low_power(entry(), entry(DISK), timeout=1)
    finally:
        gate.open()
    assert NIC in answer.failure
    assert f"{NIC}: its open has not returned from the kernel after 1 s" in answer.failure
    assert "Look at the kernel log" in answer.failure
    assert device_of(answer, DISK)["held"]


def test_a_device_that_waits_behind_one_that_hangs_is_not_said_to_hang(place):
    nic = place.host.add(NIC)
    place.host.add("0000:02:00.1", group=nic.group)
    gate = place.host.hold_up(nic.address, "open")
    place.start_helper()
    try:
        answer = place.low_power(entry(), entry("0000:02:00.1"), timeout=1)
    finally:
        gate.open()
    assert "its open has not returned" in device_of(answer)["error"]
    error = device_of(answer, "0000:02:00.1")["error"]
    assert "0000:02:00.1: its open still waits for its turn after 1 s. Run it again" in error


def test_a_host_without_iommu_is_told_where_to_switch_it_on(tmp_path):
    place = Place(tmp_path, iommu=False)
    with pytest.raises(NotReady, match="intel_iommu=on"):
        place.low_power(entry())


def test_a_helper_of_another_api_revision_is_not_asked_for_anything(place, monkeypatch):
    place.host.add(NIC)
    monkeypatch.setattr(service, "API_REVISION", 7)
    place.start_helper()
    with pytest.raises(NotReady, match="speaks API revision 7"):
        place.low_power(entry())
    assert not calls_of(place)


def test_a_declaration_that_somebody_else_changed_meanwhile_is_read_again(place):
    place.host.add(NIC)
    place.host.add(DISK)
    place.start_helper()
    ground = place.ground()
    stale = place.store.load()
    place.low_power(entry(name="theirs"))
    loads = iter([stale])
    store = StoreThatIsLate(place.store, loads)
    wish = Wish([entry(DISK, name="ours")], [], settle=1)
    answer = ask(wish, check=False, ground=ground._replace(store=store))
    assert [rule["name"] for rule in answer.result["rules"]] == ["theirs", "ours"]


class StoreThatIsLate:
    """Answers first what was true a moment ago."""

    def __init__(self, store, loads):
        self._store = store
        self._loads = loads

    def load(self):
        """Return the next stale content, and the true one when there is none left."""
        return next(self._loads, None) or self._store.load()


def test_a_woken_device_that_waits_is_neither_drift_nor_a_change(place):
    nic = place.host.add(NIC)
    place.start_helper()
    rule = entry(mode="entry-with-wakeup", reentry={"delay": 60})
    place.low_power(rule)
    place.host.touch_device(nic.address)
    wait_until(lambda: "waiting" in codes_of_info(place))
    answer = place.low_power(rule)
    assert not answer.failure
    assert not answer.result["changed"]
    assert codes_of(answer) == ["waiting"]


def test_where_unopened_devices_sleep_none_is_verified_and_holding_saves_nothing(tmp_path):
    place = Place(tmp_path, disable_idle_d3=False)
    place.host.add(NIC)
    try:
        place.start_helper()
        seen = place.low_power({"address": NIC, "mode": "none", "expect": "asleep"})
        awake = place.low_power({"address": NIC, "mode": "none", "expect": "awake"}, settle=0)
        held = place.low_power(entry())
    finally:
        place.stop_helper()
    assert not seen.failure
    assert not device_of(seen)["held"]
    assert codes_of(awake) == ["not-as-expected"]
    assert not held.failure
    assert codes_of(held) == ["hold-saves-nothing"]


def test_settling_ends_as_soon_as_the_device_sleeps(place):
    place.host.add(NIC)
    place.start_helper()
    place.low_power(entry(), settle=60)
    assert place.slept < 30


def codes_of_info(place):
    """Return the codes that a look finds."""
    return [it["code"] for it in place.low_power_info()["drift"]]


def wait_until(true, seconds=10.0):
    """Wait for a state, with a deadline."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("check", [True, False])
def test_every_device_that_does_not_take_its_mode_is_named_and_nothing_is_stored(place, check):
    place.know_bad(quirk(NIC, "no-hold"), quirk(DISK, "no-reentry"))
    place.host.add(NIC)
    place.host.add(DISK)
    place.host.add("0000:04:00.0")
    place.start_helper()
    with pytest.raises(InputError) as refused:
        place.low_power(
            entry(name="nic", mode="entry-with-wakeup"),
            {"match": {"vendor": ["8086"]}, "mode": "entry", "name": "rest"},
            {"address": "0000:04:00.0", "mode": "entry", "name": "out"},
            exclude=[{"match": {"slot": ["4"]}}],
            check=check,
        )
    problems = {problem.place: problem.message for problem in refused.value.problems}
    assert set(problems) == {"devices (nic).mode", "devices (rest).mode"}
    for address, message in zip((NIC, DISK), problems.values()):
        assert address in message
        assert "its firmware forgets, says ticket 12" in message
    assert not calls_of(place)
    assert not place.store.load().declaration.rules


def test_what_is_excluded_and_what_is_not_taken_is_told_at_once(place):
    place.know_bad(quirk(DISK, "no-hold"))
    place.host.add(NIC)
    place.host.add(DISK, identity=CARD._replace(vendor="1cd7"))
    place.start_helper()
    with pytest.raises(InputError) as refused:
        place.low_power(entry(), entry(DISK), exclude=[{"match": {"vendor": ["8086"]}}])
    assert [it.place for it in refused.value.problems] == [
        f"devices ({NIC}).address",
        f"devices ({DISK}).mode",
    ]


def test_a_stranger_at_the_address_is_left_alone_and_no_conflict(place):
    before = place.host.add(NIC)
    place.start_helper()
    place.low_power(entry())
    place.host.unplug(before.address)
    place.host.add(NIC, identity=CARD._replace(vendor="10de", class_code="030000"))
    assert codes_of(place.low_power(entry(), fail_on_drift=False)) == ["identity-changed"]


def test_an_image_stores_without_looking_and_the_next_task_that_looks_refuses(place):
    place.know_bad(quirk(NIC, "no-hold"))
    place.host.add(NIC)
    place.start_helper()
    assert place.low_power(entry(), apply=False).result["changed"]
    with pytest.raises(InputError, match="no-hold"):
        place.low_power(entry())


def test_a_device_that_a_quirk_keeps_awake_is_excused_and_the_second_run_changes_nothing(place):
    place.know_bad(quirk(NIC, "no-d3cold"))
    nic = place.host.add(NIC)
    place.start_helper()
    planned = device_of(place.low_power(entry(), check=True))
    first = place.low_power(entry())
    assert (planned["held"], planned["engaged"]) == (True, "none")
    assert (device_of(first)["held"], device_of(first)["engaged"]) == (True, "none")
    assert not first.failure
    assert codes_of(first) == ["awake-by-quirk"]
    for check in (True, False):
        again = place.low_power(entry(), check=check)
        assert not again.result["changed"]
        assert codes_of(again) == ["awake-by-quirk"]
    place.host.write_d3cold_allowed(nic.address, allowed=False)
    place.host.let_time_be_seen()
    assert device_of(place.low_power(entry(), check=True))["engaged"] == "entry"
    assert device_of(place.low_power(entry()))["power_state"] == "D3hot"


def test_a_device_that_had_its_one_entry_is_excused_and_check_mode_predicts_nothing(place):
    place.know_bad(quirk(NIC, "no-reentry"))
    nic = place.host.add(NIC)
    place.start_helper()
    wanted = {"address": NIC, "mode": "entry-with-wakeup"}
    assert not place.low_power(wanted).failure
    place.host.touch_device(nic.address)
    for check in (True, False):
        again = place.low_power(wanted, check=check)
        assert not again.result["changed"]
        assert codes_of(again) == ["awake-by-quirk"]


def test_a_quirk_file_that_cannot_be_used_is_drift_with_its_path(place):
    place.know_bad()
    (place.quirks / "20.json").write_text("{")
    place.host.add(NIC)
    place.start_helper()
    answer = place.low_power(entry(), fail_on_drift=False)
    (told,) = answer.result["drift"]
    assert (told["address"], told["code"], told["severity"]) == (None, "state-damaged", "drift")
    assert str(place.quirks / "20.json") in told["message"]
    assert "root" in told["hint"]
    assert device_of(answer)["engaged"] == "entry"
