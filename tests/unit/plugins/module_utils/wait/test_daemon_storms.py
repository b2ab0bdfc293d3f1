# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody wakes a device again and again; the helper bounds it, also if it dies meanwhile."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.reentry import (
    GOOD,
    JUDGED,
    REST,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.records import FOLDER
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import daemon
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.around import Around
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    HoldReport,
    Reentries,
    Wakes,
)

from ..fake.host import FakeDevice, FakeHost
from ..hold.conftest import ONE_WAY_IN
from ..hold.helper import Helper, Tape, rule, wait_until

pytestmark = ONE_WAY_IN

DELAY = 5.0
DAY = 86400.0
WAKES_PAGE = Path(daemon.__file__).parents[4] / "docs" / "wakes.md"
BOUNDS = {"delay": DELAY, "max_per_hour": 60, "burst": 20}


@pytest.fixture
def nic(host: FakeHost, helper: Helper) -> FakeDevice:
    """A device that is armed."""
    nic = host.add("0000:02:00.0")
    helper.apply(armed(nic))
    return nic


def armed(device: FakeDevice, **bounds: float) -> dict[str, object]:
    return rule(device.address, "entry-with-wakeup", reentry={**BOUNDS, **bounds})


def entries(host: FakeHost, device: FakeDevice) -> int:
    return sum(it.operation == "entry-with-wakeup" for it in host.calls if it[1] == device.address)


def wake(host: FakeHost, helper: Helper, nic: FakeDevice, slept: float = 1.0) -> HoldReport:
    """Let a device sleep for a while and somebody read it; return how it stands then."""
    helper.until(nic.address, engaged=Mode.ENTRY_WITH_WAKEUP)
    helper.clock.ahead += slept
    host.touch_device(nic.address)
    return helper.until(nic.address, state="waiting")


def storm(host: FakeHost, helper: Helper, nic: FakeDevice, wakes: int = JUDGED) -> HoldReport:
    """Wake a device so many times, each a second after it fell asleep."""
    for _wake in range(wakes - 1):
        wake(host, helper, nic)
        helper.pass_time(DELAY)
    return wake(host, helper, nic)


def end(helper: Helper, how: str) -> None:
    """Let the helper end and start again, or do nothing of that kind."""
    if how == "kill":
        helper.kill()
        helper.start()
    elif how == "restart":
        helper.restart()


def reentries(report: HoldReport) -> Reentries:
    assert report.reentries is not None
    return report.reentries


def test_a_storm_leaves_the_device_awake_until_a_known_time(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    report = storm(host, helper, nic)
    told = reentries(report)
    assert (told.breaker, told.put_off_by, told.suppressed) == ("open", "breaker", 1)
    assert told.storm_wakes == JUDGED
    assert told.storm_seconds == pytest.approx(JUDGED + (JUDGED - 1) * DELAY, abs=2)
    assert report.waiting_until == pytest.approx(time.time() + REST, abs=2)
    before = entries(host, nic)
    helper.pass_time(REST - 60)
    assert helper.device(nic.address).state == "waiting"
    assert entries(host, nic) == before
    helper.pass_time(60)
    report = helper.until(nic.address, engaged=Mode.ENTRY_WITH_WAKEUP)
    assert reentries(report).breaker == "half-open"
    assert entries(host, nic) == before + 1


def test_after_a_storm_one_short_sleep_is_enough_and_good_ones_end_it(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    storm(host, helper, nic)
    helper.pass_time(REST)
    report = wake(host, helper, nic)
    assert (reentries(report).breaker, reentries(report).storm_wakes) == ("open", JUDGED + 1)
    helper.pass_time(REST)
    assert reentries(wake(host, helper, nic, slept=GOOD + 1)).breaker == "half-open"
    helper.pass_time(DELAY)
    assert reentries(wake(host, helper, nic, slept=GOOD + 1)).breaker == "closed"
    helper.pass_time(DELAY)
    assert helper.device(nic.address).engaged is Mode.ENTRY_WITH_WAKEUP


def test_who_reads_every_second_for_a_day_wakes_it_as_often_as_the_page_on_wakes_says(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    (row,) = re.findall(r"\*\*with the breaker\*\* \| \*\*(\d+), ", WAKES_PAGE.read_text("utf-8"))
    helper.apply(rule(nic.address, "entry-with-wakeup"))  # with the usual bounds
    began, before = helper.clock.ahead, helper.device(nic.address).wakes
    assert before is not None
    while helper.clock.ahead - began < DAY:
        waiting = wake(host, helper, nic)
        assert waiting.waiting_until is not None
        helper.pass_time(waiting.waiting_until - time.time() + 0.1)
    after = helper.until(nic.address, engaged=Mode.ENTRY_WITH_WAKEUP).wakes
    assert after is not None
    assert after.foreign - before.foreign == pytest.approx(int(row), rel=0.1)


def test_the_journal_is_told_of_the_breaker_and_not_of_every_wake(
    host: FakeHost, helper: Helper, nic: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str, dict[str, str]]] = []
    monkeypatch.setattr(
        daemon, "write", lambda event, _entry, text, fields: told.append((event, text, fields))
    )
    tape = Tape(helper)
    storm(host, helper, nic)
    helper.pass_time(REST)
    for _sleep in range(2):
        wake(host, helper, nic, slept=GOOD + 1)
        helper.pass_time(DELAY)
    assert [(event, text.partition(":00.0: ")[2][:25]) for event, text, _fields in told] == [
        ("breaker-open", "a storm of 8 wakes in 43 "),
        ("breaker-half-open", "tried again after a storm"),
        ("breaker-closed", "the storm of wakes is ove"),
    ]
    assert "left awake for 900 s" in told[0][1]
    for _event, _text, fields in told:
        assert fields["VFIO_PCI_ADDRESS"] == str(nic.address)
        assert fields["VFIO_MODE"] == "entry-with-wakeup"
    wait_until(lambda: tape.has("breaker-closed", nic.address), "the end of the storm is told")
    assert tape.events().count("woken-foreign") == JUDGED + 2
    moves = [it for it in tape.told if it["event"].startswith("breaker")]
    assert [it["device"]["reentries"]["breaker"] for it in moves] == ["open", "half-open", "closed"]


@pytest.mark.parametrize("how", ["kill", "restart"])
def test_a_storm_goes_on_though_the_helper_dies_in_it(
    host: FakeHost, helper: Helper, nic: FakeDevice, how: str
) -> None:
    storm(host, helper, nic, wakes=JUDGED - 3)
    helper.pass_time(DELAY)
    end(helper, how)
    assert reentries(storm(host, helper, nic, wakes=3)).breaker == "open"


@pytest.mark.parametrize("slept", [1.0, GOOD + 1])
def test_a_wake_while_nobody_was_there_is_judged_like_any_other(
    host: FakeHost, helper: Helper, nic: FakeDevice, slept: float
) -> None:
    storm(host, helper, nic, wakes=JUDGED - 1)
    helper.pass_time(DELAY)
    helper.kill()
    helper.clock.ahead += slept
    host.touch_device(nic.address)
    helper.start()
    report = helper.until(nic.address, state="waiting")
    assert (reentries(report).breaker == "open") == (slept < GOOD)


def test_a_helper_that_dies_in_a_storm_leaves_the_device_awake_as_long(
    host: FakeHost, helper: Helper, nic: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = reentries(storm(host, helper, nic))
    helper.clock.ahead += REST - 60
    helper.kill()
    # Somebody sets the clock meanwhile.
    monkeypatch.setattr(Around, "clock", lambda _self: time.time() + 86400)
    helper.start()
    helper.settle()
    report = helper.device(nic.address)
    assert report.reentries == before
    assert report.waiting_until == pytest.approx(time.time() + 86400 + 60, abs=2)
    helper.pass_time(50)
    assert helper.device(nic.address).state == "waiting"
    helper.pass_time(10)
    report = helper.until(nic.address, engaged=Mode.ENTRY_WITH_WAKEUP)
    assert reentries(report).breaker == "half-open"


def test_the_bound_per_hour_holds_though_the_helper_dies_again_and_again(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(armed(nic, max_per_hour=1, burst=3))
    before = entries(host, nic)
    for _wake in range(3):
        report = wake(host, helper, nic, slept=10.0)
        assert reentries(report).put_off_by is None
        helper.kill()
        helper.start()
        helper.pass_time(DELAY)
    report = wake(host, helper, nic, slept=10.0)
    assert (reentries(report).put_off_by, reentries(report).suppressed) == ("bucket", 1)
    helper.kill()
    helper.start()
    helper.pass_time(3000)
    assert helper.device(nic.address).state == "waiting"
    assert entries(host, nic) == before + 3
    helper.pass_time(600)
    helper.until(nic.address, engaged=Mode.ENTRY_WITH_WAKEUP)
    assert entries(host, nic) == before + 4


def test_a_wake_by_our_own_work_takes_nothing_from_the_bounds(
    host: FakeHost, helper: Helper
) -> None:
    port = host.add_port("0000:00:1c.0", sleeps=True)
    gpu = host.add("0000:03:00.0", port=port, group=9)
    audio = host.add("0000:03:00.1", port=port, group=9)
    tight = armed(audio, max_per_hour=1, burst=1)
    helper.apply(armed(gpu), tight)
    helper.apply(rule(gpu.address, "none", reserve=True), tight)
    report = helper.until(audio.address, state="waiting")
    assert report.wakes is not None
    assert report.wakes.foreign == 0
    helper.pass_time(DELAY)
    assert helper.device(audio.address).engaged is Mode.ENTRY_WITH_WAKEUP
    report = wake(host, helper, audio, slept=10.0)
    assert report.wakes is not None
    assert report.wakes.foreign == 1
    assert reentries(report).put_off_by is None


@pytest.mark.parametrize("meanwhile", ["nothing", "kill", "restart"])
def test_a_device_that_comes_back_from_a_guest_is_tried_and_the_storm_remembered(
    host: FakeHost, helper: Helper, nic: FakeDevice, meanwhile: str
) -> None:
    storm(host, helper, nic)
    before = helper.release(nic.address, "guest")[nic.address]
    end(helper, meanwhile)
    after = helper.device(nic.address)
    assert after._replace(history=None) == before._replace(history=None)
    assert after.history is not None
    assert after.history.foreign == JUDGED
    helper.reclaim(nic.address, "guest")
    report = helper.until(nic.address, engaged=Mode.ENTRY_WITH_WAKEUP)
    assert reentries(report).breaker == "half-open"
    report = wake(host, helper, nic)
    assert reentries(report).breaker == "open"
    assert report.wakes is not None
    assert report.wakes.foreign == JUDGED + 1


def test_a_device_that_is_lent_gets_no_new_bucket_by_stopping_the_helper(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(armed(nic, max_per_hour=1, burst=2))
    for _wake in range(2):
        assert reentries(wake(host, helper, nic, slept=10.0)).put_off_by is None
        helper.pass_time(DELAY)
    helper.release(nic.address, "guest")
    helper.stop()
    helper.start()
    helper.reclaim(nic.address, "guest")
    helper.apply(armed(nic, max_per_hour=1, burst=2))
    assert reentries(wake(host, helper, nic, slept=10.0)).put_off_by == "bucket"


def test_a_lent_device_is_not_told_as_waiting_for_its_turn(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(armed(nic, max_per_hour=1, burst=1))
    for _wake in range(2):
        report = wake(host, helper, nic, slept=10.0)
        helper.pass_time(DELAY)
    assert reentries(report).put_off_by == "bucket"
    lent = helper.release(nic.address, "guest")[nic.address]
    assert (reentries(lent).put_off_by, lent.waiting_until) == (None, None)


@pytest.mark.parametrize("meanwhile", ["nothing", "kill"])
def test_a_device_that_is_declared_again_begins_anew(
    host: FakeHost, helper: Helper, nic: FakeDevice, meanwhile: str
) -> None:
    storm(host, helper, nic)
    helper.release(nic.address, "guest")
    helper.apply()
    assert os.listdir(helper.run / FOLDER) == []
    end(helper, meanwhile)
    helper.reclaim(nic.address, "guest")
    report = helper.apply(armed(nic)).devices[nic.address]
    assert (report.reentries, report.wakes) == (Reentries(), Wakes())


def test_the_storm_of_one_device_is_not_that_of_another(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    other = host.add("0000:04:00.0")
    helper.apply(armed(nic), armed(other))
    storm(host, helper, nic)
    assert reentries(helper.device(other.address)) == Reentries()
    assert helper.device(other.address).engaged is Mode.ENTRY_WITH_WAKEUP


def test_under_another_mode_nothing_is_told_of_bounds(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    storm(host, helper, nic)
    report = helper.apply(rule(nic.address, "entry")).devices[nic.address]
    assert (report.engaged, report.reentries, report.waiting_until) == (Mode.ENTRY, None, None)
