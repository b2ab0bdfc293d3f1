# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who woke a device, how often, and when it sleeps again."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.windows import TAIL
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import Wakes

from ..fake.host import FakeDevice, FakeHost
from ..hold.conftest import ONE_WAY_IN
from ..hold.helper import Helper, Tape, rule, wait_until

DELAY = 30.0  # seconds


def armed(device: FakeDevice) -> dict[str, object]:
    return rule(device.address, "entry-with-wakeup", reentry={"delay": DELAY})


def counted(helper: Helper, device: FakeDevice) -> tuple[int, int]:
    """Return total and foreign wakes."""
    wakes = helper.device(device.address).wakes
    assert wakes is not None
    return wakes.total, wakes.foreign


def entries(host: FakeHost, device: FakeDevice) -> int:
    return sum(it.operation == "entry-with-wakeup" for it in host.calls if it[1] == device.address)


def test_a_foreign_wake_is_counted_once_and_waits(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(armed(nic))
    host.touch_device(nic.address)
    report = helper.until(nic.address, state="waiting")
    assert report.wakes is not None
    assert report.wakes[:2] == (1, 1)
    assert report.wakes.last is not None
    assert report.waiting_until == pytest.approx(report.wakes.last + DELAY, abs=1)
    assert (report.held, report.engaged) == (True, Mode.NONE)
    host.touch_device(nic.address)  # it is awake: nobody notices
    helper.settle()
    assert counted(helper, nic) == (1, 1)


def test_a_woken_device_is_entered_after_the_delay_and_not_before(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(armed(nic))
    host.touch_device(nic.address)
    helper.until(nic.address, state="waiting")
    helper.pass_time(DELAY - 5)
    assert helper.device(nic.address).state == "waiting"
    assert entries(host, nic) == 1
    helper.pass_time(5)
    report = helper.device(nic.address)
    assert (report.engaged, report.waiting_until) == (Mode.ENTRY_WITH_WAKEUP, None)
    assert entries(host, nic) == 2
    assert counted(helper, nic) == (1, 1)


def test_every_wake_after_an_entry_is_counted(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(armed(nic))
    for number in range(1, 4):
        host.touch_device(nic.address)
        helper.until(nic.address, state="waiting")
        assert counted(helper, nic) == (number, number)
        helper.pass_time(DELAY)
        assert helper.device(nic.address).engaged is Mode.ENTRY_WITH_WAKEUP


def test_a_wake_during_the_entry_is_not_lost(host: FakeHost, helper: Helper) -> None:
    """The device is armed in the kernel and woken before the helper has heard of its success."""
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "none", reserve=True))
    original = host.kernel.ioctl

    def ioctl(fd: int, request: int, argument: object) -> int:
        answer = original(fd, request, argument)  # type: ignore[arg-type]
        if nic.vfio is not None and nic.vfio.armed:
            host.touch_device(nic.address)
        return answer

    host.kernel.ioctl = ioctl  # type: ignore[method-assign]
    helper.apply(armed(nic))
    host.kernel.ioctl = original  # type: ignore[method-assign]
    assert helper.until(nic.address, state="waiting").wakes is not None
    helper.pass_time(DELAY)
    assert helper.device(nic.address).engaged is Mode.ENTRY_WITH_WAKEUP
    assert nic.vfio is not None
    assert nic.vfio.armed
    assert counted(helper, nic)[0] == 1


def test_a_call_on_one_function_wakes_its_sibling_and_that_is_not_foreign(
    host: FakeHost, helper: Helper
) -> None:
    port = host.add_port("0000:00:1c.0", sleeps=True)
    gpu = host.add("0000:02:00.0", port=port, group=9)
    audio = host.add("0000:02:00.1", port=port, group=9)
    helper.apply(armed(gpu), armed(audio))
    assert port.suspended
    helper.apply(rule(gpu.address, "none", reserve=True), armed(audio))
    report = helper.until(audio.address, state="waiting")
    assert report.wakes is not None
    assert report.wakes[:2] == (1, 0)
    helper.pass_time(DELAY)
    assert helper.device(audio.address).engaged is Mode.ENTRY_WITH_WAKEUP
    assert counted(helper, audio) == (1, 0)


def test_a_call_beyond_a_switch_wakes_all_below_its_root_port_and_that_is_not_foreign(
    host: FakeHost, helper: Helper
) -> None:
    root = host.add_port("0000:00:1c.0", sleeps=True)
    up = host.add_port("0000:01:00.0", sleeps=True, above=root)
    first, second = (
        host.add(f"0000:{3 + number:02x}:00.0", port=port)
        for number, port in enumerate(
            host.add_port(f"0000:02:0{slot}.0", sleeps=True, above=up) for slot in range(2)
        )
    )
    helper.apply(armed(first), armed(second))
    assert root.suspended
    helper.apply(rule(first.address, "none", reserve=True), armed(second))
    helper.until(second.address, state="waiting")
    assert counted(helper, second) == (1, 0)


def test_a_stranger_wakes_all_below_a_sleeping_port_and_each_counts_it(
    host: FakeHost, helper: Helper
) -> None:
    port = host.add_port("0000:00:1c.0", sleeps=True)
    gpu = host.add("0000:02:00.0", port=port, group=9)
    audio = host.add("0000:02:00.1", port=port, group=9)
    helper.apply(armed(gpu), armed(audio))
    helper.pass_time(TAIL)
    host.touch_device(gpu.address)
    for device in (gpu, audio):
        helper.until(device.address, state="waiting")
        assert counted(helper, device) == (1, 1)
    helper.pass_time(DELAY)
    for device in (gpu, audio):
        assert helper.device(device.address).engaged is Mode.ENTRY_WITH_WAKEUP
        assert counted(helper, device) == (1, 1)


def test_a_wake_that_came_before_a_call_of_ours_is_still_foreign(
    host: FakeHost, helper: Helper
) -> None:
    """The loop learns of it only when the call below the same port is about to begin."""
    port = host.add_port("0000:00:1c.0", sleeps=True)
    gpu = host.add("0000:02:00.0", port=port, group=9)
    audio = host.add("0000:02:00.1", port=port, group=9)
    helper.apply(armed(gpu), armed(audio))

    def wake_and_let_go() -> None:
        host.touch_device(gpu.address)
        helper.daemon.keeper.stand_aside(gpu.address)

    helper.pass_time(TAIL)
    tape = Tape(helper)
    helper.in_loop(wake_and_let_go)
    helper.until(gpu.address, state="released")
    wait_until(lambda: tape.has("released", gpu.address), "the end is told")
    for device in (gpu, audio):
        assert tape.events(device.address).count("woken-foreign") == 1
        assert "woken-own" not in tape.events(device.address)


@ONE_WAY_IN
def test_two_hundred_mode_changes_of_our_own_are_no_foreign_wake(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(armed(nic))
    tape = Tape(helper)
    for _round in range(50):
        helper.apply(rule(nic.address, "none", reserve=True))
        helper.apply(armed(nic))
        helper.apply(rule(nic.address, "entry"))
        helper.apply(armed(nic))
    assert counted(helper, nic)[1] == 0
    assert "woken-foreign" not in tape.events()
    assert helper.device(nic.address).engaged is Mode.ENTRY_WITH_WAKEUP


def test_letting_go_of_an_armed_device_is_no_wake(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(armed(nic))
    tape = Tape(helper)
    report = helper.release(nic.address, "guest")[nic.address]
    assert report.wakes == Wakes()
    wait_until(lambda: tape.has("released", nic.address), "the end is told")
    assert tape.events(nic.address) == ["leased", "letting-go", "released"]


def test_a_wake_without_wakeup_cannot_be_seen_and_is_not_claimed(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    host.touch_device(nic.address)
    helper.settle()
    report = helper.device(nic.address)
    assert (report.wakes, report.engaged) == (None, Mode.ENTRY)
    power = host.sysfs.power(nic.address)
    assert power is not None
    assert power.asleep


def test_a_device_that_waits_is_left_waiting_by_another_run(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(armed(nic))
    host.touch_device(nic.address)
    before = helper.until(nic.address, state="waiting").waiting_until
    applied = helper.apply(armed(nic))
    assert applied.actions[nic.address] == ()
    assert applied.devices[nic.address].waiting_until == before


def test_an_entry_of_the_helper_itself_is_not_told_as_done_by_a_run(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(armed(nic))
    host.touch_device(nic.address)
    helper.until(nic.address, state="waiting")
    gate = host.hold_up(nic.address, "entry-with-wakeup")
    helper.clock.ahead += DELAY
    helper.in_loop(lambda: None)
    assert gate.reached.wait(10)
    asking = helper.applying(armed(nic))
    wait_until(
        lambda: helper.in_loop(lambda: helper.daemon.keeper.asks.about(nic.address)) != [],
        "Apply waits for the device",
    )
    gate.open()
    assert asking.answer().actions[nic.address] == ()


def test_events_tell_the_story_of_a_wake(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(armed(nic))
    tape = Tape(helper)
    host.touch_device(nic.address)
    helper.until(nic.address, state="waiting")
    helper.pass_time(DELAY)
    wait_until(lambda: tape.has("entered", nic.address), "it is entered again")
    assert tape.events(nic.address) == ["woken-foreign", "waiting", "entering", "entered"]
