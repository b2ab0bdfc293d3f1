# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that do not take every mode: what the helper leaves, does once, or waits for."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Identity
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import HoldReport

from ..fake.host import FakeDevice, FakeHost
from ..hold.conftest import ONE_WAY_IN
from ..hold.helper import Helper, Tape, quirk, rule, wait_until

pytestmark = ONE_WAY_IN

H100 = Identity("10de", "2330", "10de", "16c1", "030200")
ENTRIES = ("entry", "entry-with-wakeup")
LONG = 3600.0  # seconds, longer than every delay here


@pytest.fixture
def gpu(host: FakeHost) -> FakeDevice:
    """A device that is known to be entered only once."""
    return host.add("0000:65:00.0", identity=H100)


@pytest.fixture
def nic(host: FakeHost) -> FakeDevice:
    return host.add("0000:02:00.0")


def armed(device: FakeDevice) -> dict[str, object]:
    return rule(device.address, "entry-with-wakeup")


def entries(host: FakeHost, device: FakeDevice) -> int:
    return sum(it.operation in ENTRIES for it in host.calls if it.address == device.address)


def code(report: HoldReport) -> str:
    return report.failure.code if report.failure else ""


def wake(host: FakeHost, helper: Helper, device: FakeDevice) -> HoldReport:
    host.touch_device(device.address)
    return helper.until(device.address, engaged=Mode.NONE)


def allow_d3cold(host: FakeHost, device: FakeDevice, *, allowed: bool) -> None:
    host.write_d3cold_allowed(device.address, allowed=allowed)
    with host.changed:
        host.tree.show_power(device.function)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("no-hold", "entry"), ("no-hold", "entry-with-wakeup"), ("no-reentry", "entry")],
)
def test_a_device_is_not_opened_for_a_mode_that_it_does_not_take(
    host: FakeHost, helper: Helper, nic: FakeDevice, kind: str, mode: str
) -> None:
    helper.know_bad(quirk(nic.address, kind))
    report = helper.apply(rule(nic.address, mode)).devices[nic.address]
    assert not report.held
    assert not [call for call in host.calls if call.address == nic.address]
    assert report.failure is not None
    assert report.failure.code == "unsupported"
    for word in (str(nic.address), mode, kind, "its firmware forgets", "ticket 12"):
        assert word in report.failure.message
    assert "none" in report.failure.hint


def test_what_it_takes_is_done_all_the_same(helper: Helper, nic: FakeDevice) -> None:
    helper.know_bad(quirk(nic.address, "no-hold"))
    report = helper.apply(rule(nic.address, "none", reserve=True)).devices[nic.address]
    assert (report.held, report.failure) == (True, None)


def test_a_device_that_turns_out_to_be_bad_is_let_go(helper: Helper, nic: FakeDevice) -> None:
    helper.apply(armed(nic))
    helper.know_bad(quirk(nic.address, "no-hold"))
    helper.restart()
    assert code(helper.until(nic.address, held=False)) == "unsupported"


def test_a_display_controller_of_nvidia_is_entered_once_and_stays_awake_after_a_wake(
    host: FakeHost, helper: Helper, gpu: FakeDevice
) -> None:
    assert helper.apply(armed(gpu)).devices[gpu.address].engaged is Mode.ENTRY_WITH_WAKEUP
    report = wake(host, helper, gpu)
    assert (report.held, report.waiting_until) == (True, None)
    assert report.wakes is not None
    assert report.wakes.foreign == 1
    assert report.failure is not None
    assert report.failure.code == "awake-by-quirk"
    assert "guest driver" in report.failure.message
    assert f"vfio-powerctl rearm {gpu.address}" in report.failure.hint
    helper.pass_time(LONG)
    assert entries(host, gpu) == 1


def test_converging_again_does_not_enter_it(
    host: FakeHost, helper: Helper, gpu: FakeDevice
) -> None:
    helper.apply(armed(gpu))
    wake(host, helper, gpu)
    assert helper.apply(armed(gpu)).actions[gpu.address] == ()
    assert code(helper.device(gpu.address)) == "awake-by-quirk"


@pytest.mark.parametrize("again", ["rearm", "reclaim"])
def test_somebody_who_says_so_gets_it_entered_once_more_and_only_once(
    host: FakeHost, helper: Helper, gpu: FakeDevice, again: str
) -> None:
    helper.apply(armed(gpu))
    for number in (2, 3):
        wake(host, helper, gpu)
        getattr(helper, again)(gpu.address)
        report = helper.device(gpu.address)
        assert (report.engaged, report.failure) == (Mode.ENTRY_WITH_WAKEUP, None)
        assert entries(host, gpu) == number
    wake(host, helper, gpu)
    helper.pass_time(LONG)
    assert entries(host, gpu) == 3


def test_a_guest_that_had_it_makes_it_a_new_taking(
    host: FakeHost, helper: Helper, gpu: FakeDevice
) -> None:
    helper.apply(armed(gpu))
    wake(host, helper, gpu)
    helper.release(gpu.address, "guest", ttl=10)
    helper.pass_time(10)
    helper.pass_time(helper.daemon.steward.settings.quiet_time)
    assert helper.until(gpu.address, engaged=Mode.ENTRY_WITH_WAKEUP).failure is None


def test_another_mode_in_between_is_no_second_entry(
    host: FakeHost, helper: Helper, gpu: FakeDevice
) -> None:
    helper.apply(armed(gpu))
    helper.apply(rule(gpu.address, "none", reserve=True))
    assert helper.device(gpu.address).failure is None
    helper.apply(armed(gpu))
    assert code(helper.device(gpu.address)) == "awake-by-quirk"
    assert entries(host, gpu) == 1


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_it_stays_awake_over_a_restart_of_the_helper(
    host: FakeHost, helper: Helper, gpu: FakeDevice, end: str
) -> None:
    helper.apply(armed(gpu))
    wake(host, helper, gpu)
    before = helper.device(gpu.address)._replace(history=None)
    calls = len(host.calls)
    getattr(helper, end)()
    helper.start()
    helper.pass_time(LONG)
    assert helper.device(gpu.address)._replace(history=None) == before
    assert len(host.calls) == calls
    assert helper.rearm(gpu.address).engaged is Mode.ENTRY_WITH_WAKEUP


def test_a_wake_while_nobody_was_there_ends_its_one_entry(
    host: FakeHost, helper: Helper, gpu: FakeDevice
) -> None:
    helper.apply(armed(gpu))
    helper.kill()
    host.touch_device(gpu.address)
    helper.start()
    assert code(helper.until(gpu.address, engaged=Mode.NONE)) == "awake-by-quirk"
    helper.pass_time(LONG)
    assert entries(host, gpu) == 1


def test_a_helper_that_died_in_the_entry_does_not_enter_again(
    host: FakeHost, helper: Helper, gpu: FakeDevice
) -> None:
    helper.apply(armed(gpu))
    helper.kill()
    record = helper.run / "holds" / str(gpu.address)
    record.write_text(record.read_text().replace("entry-with-wakeup", "entering"))
    helper.start()
    assert code(helper.until(gpu.address, state="spent")) == "awake-by-quirk"
    assert entries(host, gpu) == 1


def test_a_quirk_that_becomes_known_while_the_device_waits_ends_the_wait(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(armed(nic))
    wake(host, helper, nic)
    helper.know_bad(quirk(nic.address, "no-reentry"))
    helper.apply(armed(nic))
    assert helper.device(nic.address).waiting_until is None
    helper.pass_time(LONG)
    assert entries(host, nic) == 1
    helper.know_bad()  # it was a mistake
    helper.apply(armed(nic))
    assert helper.device(nic.address).engaged is Mode.ENTRY_WITH_WAKEUP


def test_rearming_what_sleeps_or_is_not_declared_does_nothing(
    host: FakeHost, helper: Helper, gpu: FakeDevice, nic: FakeDevice
) -> None:
    helper.apply(armed(gpu))
    calls = len(host.calls)
    assert helper.rearm(gpu.address).engaged is Mode.ENTRY_WITH_WAKEUP
    assert not helper.rearm(nic.address).held
    assert len(host.calls) == calls


def test_events_tell_that_it_stays_awake_and_is_rearmed(
    host: FakeHost, helper: Helper, gpu: FakeDevice
) -> None:
    helper.apply(armed(gpu))
    tape = Tape(helper)
    wake(host, helper, gpu)
    helper.rearm(gpu.address)
    wait_until(lambda: tape.has("entering", gpu.address), "it is told")
    told = tape.events(gpu.address)
    assert told[:4] == ["woken-foreign", "stays-awake", "rearmed", "entering"]


@pytest.mark.parametrize("mode", ENTRIES)
def test_without_d3cold_it_is_entered_and_with_it_held_awake(
    host: FakeHost, helper: Helper, nic: FakeDevice, mode: str
) -> None:
    helper.know_bad(quirk(nic.address, "no-d3cold"))
    report = helper.apply(rule(nic.address, mode)).devices[nic.address]
    assert (report.held, report.engaged) == (True, Mode.NONE)
    assert report.failure is not None
    assert report.failure.code == "awake-by-quirk"
    assert "d3cold_allowed" in report.failure.message
    assert "Declare d3cold: forbid" in report.failure.hint
    allow_d3cold(host, nic, allowed=False)
    assert helper.apply(rule(nic.address, mode)).devices[nic.address].engaged is Mode(mode)
    assert helper.device(nic.address).failure is None


def test_d3cold_that_is_allowed_again_keeps_it_awake_after_the_wake_that_comes_with_it(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.know_bad(quirk(nic.address, "no-d3cold"))
    allow_d3cold(host, nic, allowed=False)
    helper.apply(armed(nic))
    allow_d3cold(host, nic, allowed=True)
    helper.until(nic.address, engaged=Mode.NONE)
    helper.pass_time(LONG)
    assert entries(host, nic) == 1
    assert code(helper.device(nic.address)) == "awake-by-quirk"
    allow_d3cold(host, nic, allowed=False)
    assert helper.rearm(nic.address).engaged is Mode.ENTRY_WITH_WAKEUP


def test_what_is_engaged_is_not_said_to_be_awake_and_converging_ends_it(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    """In mode entry nobody hears of the wake that comes with the write."""
    helper.know_bad(quirk(nic.address, "no-d3cold"))
    allow_d3cold(host, nic, allowed=False)
    helper.apply(rule(nic.address, "entry"))
    allow_d3cold(host, nic, allowed=True)
    report = helper.device(nic.address)
    assert (report.engaged, report.failure) == (Mode.ENTRY, None)
    report = helper.apply(rule(nic.address, "entry")).devices[nic.address]
    assert (report.held, report.engaged, code(report)) == (True, Mode.NONE, "awake-by-quirk")


def test_a_file_that_cannot_be_used_takes_no_device_away(helper: Helper, nic: FakeDevice) -> None:
    helper.know_bad()
    (helper.quirks / "10.json").write_text("{")
    assert helper.apply(armed(nic)).devices[nic.address].engaged is Mode.ENTRY_WITH_WAKEUP
