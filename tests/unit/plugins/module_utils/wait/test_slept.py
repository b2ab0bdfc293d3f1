# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host sleeps: what a device forgot over that is done again, and nothing else."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.marks import LIVED_ON
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.marked import MARKS
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.slept import SystemSleep
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode

from ..fake.host import FakeDevice, FakeHost
from ..hold.helper import Asking, Helper, rule, wait_until


def test_a_sleep_is_seen_once_and_slow_clocks_are_not_one() -> None:
    standing, going = [100.0], [500.0]
    sleep = SystemSleep(lambda: standing[0], lambda: going[0])
    standing[0], going[0] = 130.0, 530.2
    assert not sleep.happened()
    standing[0], going[0] = 131.0, 4131.2
    assert sleep.happened()
    assert not sleep.happened()


def forget(host: FakeHost, device: FakeDevice) -> None:
    """End low power without a word, as some firmware does."""
    with host.changed:
        assert device.vfio is not None
        device.vfio._disengage()
        device.function.resume()


@pytest.mark.parametrize("mode", ["entry", "entry-with-wakeup"])
def test_a_device_that_forgot_is_entered_again_and_the_others_are_left_alone(
    host: FakeHost, helper: Helper, mode: str
) -> None:
    forgetful, faithful = host.add("0000:02:00.0"), host.add("0000:03:00.0")
    helper.apply(rule(forgetful.address, mode), rule(faithful.address, mode))
    forget(host, forgetful)
    before = len(host.calls)
    helper.in_loop(helper.daemon.keeper.rounds.after_system_sleep)
    helper.settle()
    report = helper.until(forgetful.address, state=mode)
    assert forgetful.function.suspended
    calls = host.calls[before:]
    assert [(it.operation, it.address) for it in calls] == [
        ("exit", forgetful.address),
        (mode, forgetful.address),
    ]
    assert report.wakes is None or report.wakes.foreign == 0


def test_the_helper_finds_out_by_itself_with_its_next_sign_of_life(
    host: FakeHost, helper: Helper, capsys: pytest.CaptureFixture[str]
) -> None:
    nic = host.add("0000:02:00.0")
    helper.terminate()
    helper.environ["WATCHDOG_USEC"] = "30000000"
    helper.start()
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    forget(host, nic)
    helper.clock.ahead += 3600.0
    helper.clock.suspended += 3600.0
    helper.pass_time(15)
    helper.until(nic.address, state="entry-with-wakeup")
    assert nic.function.suspended
    assert "the host slept" in capsys.readouterr().err


def test_what_was_due_while_the_host_slept_is_done_when_it_is_awake(
    host: FakeHost, helper: Helper
) -> None:
    woken, lent, bound = (host.add(f"0000:{bus:02x}:00.0") for bus in (2, 3, 4))
    patient = {"delay": 600.0}
    host.unbind(bound.address)
    helper.apply(
        rule(woken.address, "entry-with-wakeup", reentry=patient),
        rule(lent.address, "entry"),
        rule(bound.address, "entry"),
    )
    host.touch_device(woken.address)
    helper.until(woken.address, state="waiting")
    helper.release(lent.address, "guest", ttl=1800.0)
    host.bind(bound.address, "vfio-pci")
    helper.settle()
    for device in (woken, lent, bound):
        assert helper.device(device.address).engaged is Mode.NONE
    helper.clock.ahead += 3600.0
    helper.clock.suspended += 3600.0
    helper.settle()
    helper.until(woken.address, engaged=Mode.ENTRY_WITH_WAKEUP)
    helper.until(bound.address, engaged=Mode.ENTRY)
    helper.until(lent.address, leases=())
    helper.pass_time(600)  # the quiet time after a lease
    helper.until(lent.address, engaged=Mode.ENTRY)


def test_a_host_that_slept_has_not_proven_that_it_survives_a_device(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    mark = helper.state / MARKS / str(nic.address)
    assert mark.exists()
    helper.clock.ahead += 2 * LIVED_ON
    helper.clock.suspended += 2 * LIVED_ON
    helper.settle()
    assert mark.exists()
    helper.pass_time(LIVED_ON)
    wait_until(lambda: not mark.exists(), "the host has lived on")


def test_a_call_does_not_hang_because_the_host_slept_in_it(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    gate = host.hold_up(nic.address, "open")
    asking = Asking(lambda: helper.apply(rule(nic.address, "entry")))
    assert gate.reached.wait(10)
    helper.in_loop(lambda: None)
    helper.clock.ahead += 3600.0
    helper.clock.suspended += 3600.0
    for _turn in range(2):
        helper.in_loop(lambda: None)
    assert helper.client.call("GetStatus")["stuck"] == 0
    assert asking.waits, "the one who waits is not told that it took too long"
    gate.open()
    assert asking.answer().devices[nic.address].engaged is Mode.ENTRY


def test_a_device_that_was_woken_by_the_sleep_waits_as_after_any_wake(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    host.touch_device(nic.address)
    helper.in_loop(helper.daemon.keeper.rounds.after_system_sleep)
    report = helper.until(nic.address, state="waiting")
    assert report.wakes is not None
    assert report.wakes.total == 1


def test_a_device_that_must_not_sleep_is_not_blamed(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    host.write_control(nic.address, "on")
    before = len(host.calls)
    helper.in_loop(helper.daemon.keeper.rounds.after_system_sleep)
    helper.settle()
    assert len(host.calls) == before
