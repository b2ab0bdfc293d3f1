# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a task brings the host's policy to what is declared, and puts back what it found."""

from __future__ import annotations

import errno
import json

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.enforce import put_back
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress

from ..hold.helper import quirk
from .conftest import Place
from .test_low_power import DISK, NIC, calls_of, codes_of, device_of

HERE = PciAddress.parse(NIC)
WAKEUP = "entry-with-wakeup"


def written(path):
    """Return which file it is and when it was written; not when it was read."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def armed(address=NIC, **more):
    """Return a rule under which each wake is seen."""
    return {"address": address, "mode": WAKEUP, **more}


def of_sysfs(place, address=NIC):
    """Return what the host allows a device: power/control and d3cold_allowed."""
    function = place.host.devices[PciAddress.parse(address)].function
    return function.control, int(function.d3cold_allowed)


def wakes_of(place, address=NIC):
    """Return how often a device was woken, as the helper tells it."""
    reports = place.ground().client.call("List")["devices"]
    return next(it["wakes"] for it in reports if it["address"] == address)


@pytest.fixture
def nic(place):
    """A host with one device that sleeps in D3cold, and its helper."""
    device = place.host.add(NIC)
    place.start_helper()
    return device


def test_a_device_that_must_not_be_in_d3cold_sleeps_in_d3hot(place, nic):
    answer = place.low_power(armed(d3cold="forbid"))
    assert not answer.failure
    device = device_of(answer)
    assert (device["engaged"], device["power_state"]) == (WAKEUP, "D3hot")
    assert (device["before"]["d3cold"], device["after"]["d3cold"]) == ("allow", "forbid")
    assert answer.result["drift"] == []
    assert of_sysfs(place) == ("auto", 0)


def test_a_second_run_writes_nothing_and_wakes_nothing(place, nic):
    place.low_power(armed(d3cold="forbid", runtime_pm="allow"))
    resumes, calls, rules = nic.function.resumes, calls_of(place), written(place.rules)
    answer = place.low_power(armed(d3cold="forbid", runtime_pm="allow"))
    assert (answer.result["changed"], answer.result["diff"]) == (False, [])
    assert (nic.function.resumes, calls_of(place)) == (resumes, calls)
    assert written(place.rules) == rules


@pytest.mark.parametrize("before", [{}, {"d3cold": "forbid"}])
@pytest.mark.parametrize("mode", ["entry", WAKEUP])
def test_a_change_on_a_sleeping_device_is_no_foreign_wake_and_leaves_it_asleep(
    place, nic, mode, before
):
    rule = {"address": NIC, "mode": mode}
    place.low_power({**rule, **before})
    told = wakes_of(place)
    after = {"d3cold": "allow" if before else "forbid"}
    answer = place.low_power({**rule, **after})
    assert not answer.failure
    assert answer.result["changed"]
    device = device_of(answer)
    assert (device["engaged"], device["changed"]) == (mode, True)
    assert device["power_state"] == ("D3cold" if before else "D3hot")
    if told is not None:
        assert wakes_of(place)["foreign"] == told["foreign"]


def test_nobody_is_armed_while_the_policy_is_written(place, nic, monkeypatch):
    place.low_power(armed())
    seen = []
    write = place.host.write

    def watched(what):
        seen.append((nic.vfio.engaged, nic.function.suspended))
        write(what)
        seen.append((nic.vfio.engaged, nic.function.suspended))

    monkeypatch.setattr(place.host, "write", watched)
    place.low_power(armed(d3cold="forbid"))
    assert seen == [(False, False)] * 2
    assert nic.vfio.armed


@pytest.fixture
def idle(tmp_path):
    """A host whose unopened devices sleep."""
    made = Place(tmp_path, disable_idle_d3=False)
    yield made
    made.stop_helper()


def test_a_sibling_that_wakes_with_the_port_is_kept_off_as_well(idle):
    """The write wakes a device that nobody holds, the port with it, and with that its sibling."""
    port = idle.host.add_port("0000:00:1c.0", sleeps=True)
    beside = "0000:02:00.1"
    for address in (NIC, beside):
        idle.host.add(address, depth="D3hot", port=port)
    idle.start_helper()
    unheld = {"address": NIC, "mode": "none", "expect": "asleep"}
    assert device_of(idle.low_power(unheld, armed(beside)), beside)["power_state"] == "D3cold"
    answer = idle.low_power({**unheld, "d3cold": "forbid"}, armed(beside))
    assert not answer.failure
    assert device_of(answer, beside)["engaged"] == WAKEUP
    wakes = wakes_of(idle, beside)
    assert (wakes["total"], wakes["foreign"]) == (1, 0)


def test_what_was_found_comes_back_when_the_policy_is_no_longer_declared(place, nic):
    place.low_power(armed(d3cold="forbid"))
    answer = place.low_power(armed())
    assert answer.result["changed"]
    assert of_sysfs(place) == ("auto", 1)
    assert not place.rules.exists()
    device = device_of(answer)
    assert (device["power_state"], device["drift"]) == ("D3cold", [])
    assert wakes_of(place)["foreign"] == 0


def test_what_was_found_comes_back_when_the_device_is_no_longer_declared(place, nic):
    place.host.write_d3cold_allowed(HERE, allowed=False)
    place.low_power(armed(d3cold="allow"))
    assert of_sysfs(place) == ("auto", 1)
    answer = place.low_power({"address": NIC, "state": "absent"})
    assert of_sysfs(place) == ("auto", 0)
    device = device_of(answer)
    assert (device["held"], device["after"]["d3cold"]) == (False, "forbid")


def test_a_declaration_that_was_only_stored_does_not_forget_what_was_found(place, nic):
    place.low_power(armed(d3cold="forbid"))
    place.low_power({"address": NIC, "state": "absent"}, apply=False)
    assert of_sysfs(place) == ("auto", 0)
    place.host.add(DISK)
    place.low_power({"address": DISK, "mode": "none"})
    assert of_sysfs(place) == ("auto", 1)


def test_a_device_that_nobody_holds_gets_its_policy_without_a_helper(place):
    place.host.add(NIC)
    answer = place.low_power({"address": NIC, "mode": "none", "runtime_pm": "forbid"})
    assert not answer.failure
    assert of_sysfs(place) == ("on", 1)
    again = place.low_power({"address": NIC, "mode": "none", "runtime_pm": "forbid"})
    assert not again.result["changed"]


def test_check_mode_tells_the_writes_and_makes_none(place, nic):
    place.low_power(armed())
    resumes = nic.function.resumes
    answer = place.low_power(armed(d3cold="forbid"), check=True)
    device = device_of(answer)
    assert (answer.result["changed"], answer.result["drifted"]) == (True, False)
    assert (device["before"]["d3cold"], device["after"]["d3cold"]) == ("allow", "forbid")
    headers = [it["before_header"] for it in answer.result["diff"]]
    assert headers == [
        f"rule {NIC!r}",
        f"device {NIC}",
        "/etc/udev/rules.d/62-vfio-power.rules",
    ]
    assert (of_sysfs(place), nic.function.resumes) == (("auto", 1), resumes)
    assert not place.rules.exists()


def test_check_mode_tells_what_would_be_put_back(place, nic):
    place.low_power(armed(d3cold="forbid"))
    answer = place.low_power({"address": NIC, "state": "absent"}, check=True)
    assert device_of(answer)["after"]["d3cold"] == "allow"
    assert of_sysfs(place) == ("auto", 0)


def test_only_stored_writes_nothing_below_sys(place, nic):
    place.low_power(armed(d3cold="forbid"), apply=False)
    assert of_sysfs(place) == ("auto", 1)
    assert not place.rules.exists()


def test_a_policy_that_somebody_changed_is_drift_and_converging_mends_it(place, nic):
    place.low_power(armed(d3cold="forbid"))
    place.host.write_d3cold_allowed(HERE, allowed=True)
    (told,) = place.low_power_info()["drift"]
    assert (told["code"], told["severity"]) == ("host-policy", "drift")
    assert "d3cold_allowed reads 1, and d3cold forbid is declared" in told["message"]
    answer = place.low_power(armed(d3cold="forbid"))
    assert (answer.failure, answer.result["changed"]) == ("", True)
    (told,) = answer.result["drift"]
    assert told["code"] == "waiting", "the write was a wake, and what bounds those holds for it"


def test_rules_that_somebody_removed_are_written_again(place, nic):
    place.low_power(armed(d3cold="forbid"))
    text = place.rules.read_text()
    place.rules.unlink()
    calls = calls_of(place)
    assert place.low_power(armed(d3cold="forbid")).result["changed"]
    assert place.rules.read_text() == text
    assert calls_of(place) == calls


def test_a_write_that_is_refused_fails_the_device_and_not_the_others(place, nic):
    place.host.add(DISK)
    place.host.refuse(HERE, "d3cold_allowed", errno.EROFS)
    answer = place.low_power(armed(d3cold="forbid"), armed(DISK, d3cold="forbid"))
    for part in (f"{NIC}: cannot write 0 to d3cold_allowed: EROFS", "on the host itself"):
        assert part in answer.failure
    assert device_of(answer)["engaged"] == "none", "not under another policy than declared"
    assert device_of(answer, DISK)["power_state"] == "D3hot"
    place.host.refuse(HERE, "d3cold_allowed", 0)
    assert not place.low_power(armed(d3cold="forbid"), armed(DISK, d3cold="forbid")).failure


def test_what_is_not_declared_durably_is_not_written(place, nic, monkeypatch):
    place.low_power(armed())

    def full(*_all, **_more):
        raise OSError(errno.ENOSPC, "No space left on device", "declared.json")

    monkeypatch.setattr(place.store, "save", full)
    with pytest.raises(OSError, match="No space"):
        place.low_power(armed(d3cold="forbid"))
    assert of_sysfs(place) == ("auto", 1)
    assert not place.rules.exists()


def test_what_is_declared_is_on_disk_before_a_policy_is_written(place, nic, monkeypatch):
    stored = []
    write = place.host.write

    def watched(what):
        stored.append(place.store.load().declaration.rule(NIC))
        write(what)

    monkeypatch.setattr(place.host, "write", watched)
    assert place.low_power(armed(d3cold="forbid")).result["changed"]
    assert [str(rule.policy.d3cold) for rule in stored] == ["forbid"]
    assert not place.low_power(armed(d3cold="forbid")).result["changed"]


def test_of_two_who_declare_at_once_none_is_lost(place, nic, monkeypatch):
    place.host.add(DISK)
    write = place.host.write
    others = [{"address": DISK, "mode": "entry"}]

    def meanwhile(what):
        while others:
            place.low_power(others.pop())
        write(what)

    monkeypatch.setattr(place.host, "write", meanwhile)
    assert not place.low_power(armed(d3cold="forbid")).failure
    assert [rule.name for rule in place.store.load().declaration.rules] == [NIC, DISK]
    assert of_sysfs(place) == ("auto", 0)


def test_a_device_that_may_still_be_in_low_power_keeps_its_policy(place, nic):
    place.low_power(armed())
    place.host.refuse(HERE, "exit", errno.EIO)
    failure = place.low_power(armed(d3cold="forbid")).failure
    assert f"{NIC}: its host policy was not written" in failure
    assert "may still be in low power" in failure
    assert of_sysfs(place) == ("auto", 1)
    place.host.refuse(HERE, "exit", 0)
    assert not place.low_power(armed(d3cold="forbid")).failure
    assert of_sysfs(place) == ("auto", 0)


def test_what_could_not_be_put_back_is_still_remembered(place, nic):
    place.low_power(armed(d3cold="forbid"))
    place.host.refuse(HERE, "d3cold_allowed", errno.EIO, times=1)
    assert "EIO" in place.low_power(armed()).failure
    assert of_sysfs(place) == ("auto", 0)
    place.low_power(armed())
    assert of_sysfs(place) == ("auto", 1)


def test_a_card_that_is_not_put_back_fails_every_run_though_no_rule_has_it(place, nic):
    place.low_power(armed(d3cold="forbid"))
    place.host.refuse(HERE, "d3cold_allowed", errno.EIO, times=2)
    for _run in range(2):
        answer = place.low_power({"address": str(HERE), "state": "absent"})
        assert f"{NIC}: cannot write 1 to d3cold_allowed: EIO" in answer.failure
    assert not place.low_power({"address": str(HERE), "state": "absent"}).failure
    assert of_sysfs(place)[1] == 1


def test_of_two_writes_the_one_that_was_made_is_told(place, nic):
    place.host.refuse(HERE, "d3cold_allowed", errno.EIO)
    answer = place.low_power(
        {"address": str(HERE), "mode": "none", "runtime_pm": "forbid", "d3cold": "forbid"}
    )
    assert "EIO" in answer.failure
    assert device_of(answer)["changed"]
    assert of_sysfs(place) == ("on", 1)


def test_a_card_that_must_not_be_in_d3cold_by_quirk_is_armed_once_that_is_declared(place, nic):
    place.know_bad(quirk(HERE, "no-d3cold"))
    assert codes_of(place.low_power(armed())) == ["awake-by-quirk"]
    assert device_of(place.low_power(armed(d3cold="forbid"), check=True))["engaged"] == WAKEUP
    answer = place.low_power(armed(d3cold="forbid"))
    assert device_of(answer)["power_state"] == "D3hot"


def test_removal_puts_back_what_was_found(place, nic):
    place.low_power(armed(d3cold="forbid"))
    ground = place.ground()
    place.host.refuse(HERE, "d3cold_allowed", errno.EROFS, times=1)
    (complaint,) = put_back(ground.policy, ground.sysfs, ground.write)
    assert complaint.startswith(f"{NIC}: cannot write 1 to d3cold_allowed: EROFS")
    assert put_back(ground.policy, ground.sysfs, ground.write) == []
    assert of_sysfs(place) == ("auto", 1)


def test_damage_to_what_is_remembered_is_told_once(place, nic):
    place.low_power(armed(d3cold="forbid"))
    path = place.folder / "state" / "found.json"
    path.write_text(json.dumps({"format": 1}))
    (warning,) = place.low_power(armed(d3cold="forbid")).warnings
    assert str(path) in warning
    assert not place.low_power(armed(d3cold="forbid")).warnings


def test_the_declared_policy_is_shown(place: Place, nic):
    place.low_power(armed(d3cold="forbid"))
    (device,) = place.low_power_info()["devices"]
    declared = device["declared"]
    assert (declared["runtime_pm"], declared["d3cold"]) == (None, "forbid")
