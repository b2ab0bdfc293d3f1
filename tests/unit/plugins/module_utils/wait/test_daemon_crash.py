# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A helper dies and another one takes over: no device notices."""

from __future__ import annotations

import errno
from pathlib import Path
from unittest.mock import patch

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think import documents
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.store import (
    DECLARED,
    DEVICES,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    HelperUnreachable,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode

from ..fake.host import FakeDevice, FakeHost
from ..hold.helper import Asking, Helper, rule, wait_until

DELAY = 5.0
GRACE = 60.0


def calls_of(host: FakeHost, device: FakeDevice) -> list[str]:
    return [call.operation for call in host.calls if call.address == device.address]


def is_held(device: FakeDevice) -> bool:
    return device.vfio is not None and device.vfio.opens > 0


@pytest.fixture
def nic(host: FakeHost) -> FakeDevice:
    return host.add("0000:02:00.0")


@pytest.mark.parametrize("end", ["kill", "terminate"])
@pytest.mark.parametrize("mode", ["entry", "entry-with-wakeup"])
def test_no_device_is_called_when_another_helper_takes_over(
    host: FakeHost, helper: Helper, nic: FakeDevice, end: str, mode: str
) -> None:
    helper.apply(rule(nic.address, mode))
    before = helper.device(nic.address)._replace(history=None)
    getattr(helper, end)()
    calls = calls_of(host, nic)
    helper.start()
    helper.settle()
    assert helper.device(nic.address)._replace(history=None) == before
    assert calls_of(host, nic) == calls
    assert nic.function.suspended


def test_a_reserved_device_stays_open_and_awake(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "none", reserve=True))
    helper.kill()
    assert is_held(nic)
    calls = calls_of(host, nic)
    helper.start()
    helper.settle()
    assert helper.device(nic.address).state == "awake"
    assert calls_of(host, nic) == calls


def test_a_wake_while_nobody_was_there_is_counted_once_and_the_device_enters_again(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    helper.kill()
    host.touch_device(nic.address)
    helper.start()
    report = helper.until(nic.address, state="waiting")
    assert report.wakes is not None
    assert (report.wakes.total, report.wakes.foreign) == (1, 1)
    helper.restart()
    helper.pass_time(DELAY)
    report = helper.until(nic.address, state="entry-with-wakeup")
    assert report.wakes is not None
    assert (report.wakes.total, report.wakes.foreign) == (1, 1)


def test_a_wait_goes_on_where_it_was(host: FakeHost, helper: Helper, nic: FakeDevice) -> None:
    helper.apply(rule(nic.address, "entry-with-wakeup", reentry={"delay": 3600}))
    host.touch_device(nic.address)
    before = helper.until(nic.address, state="waiting")
    helper.kill()
    helper.start()
    helper.settle()
    assert helper.device(nic.address).waiting_until == pytest.approx(before.waiting_until, abs=0.1)
    assert helper.device(nic.address).wakes == before.wakes


@pytest.mark.parametrize("operation", ["entry-with-wakeup", "exit"])
def test_a_call_that_was_cut_off_is_done_again_once_and_is_no_foreign_wake(
    host: FakeHost, helper: Helper, nic: FakeDevice, operation: str
) -> None:
    wanted = rule(nic.address, "entry-with-wakeup")
    helper.apply(rule(nic.address, "entry") if operation == "exit" else rule(nic.address, "none"))
    helper.kill_in_a_call(helper.held_up_in(operation, wanted))
    calls = len(calls_of(host, nic))
    helper.start()
    report = helper.until(nic.address, state="entry-with-wakeup")
    again = calls_of(host, nic)[calls:]
    assert [it for it in again if it not in ("probe", "irqs")] == ["exit", "entry-with-wakeup"]
    assert report.wakes is not None
    assert report.wakes.foreign == 0


def test_without_a_record_the_device_is_brought_to_what_is_declared(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    helper.kill()
    (helper.run / "holds" / str(nic.address)).write_text("{")
    helper.start()
    report = helper.until(nic.address, state="entry-with-wakeup")
    assert report.wakes is not None
    assert report.wakes.foreign == 0


@pytest.mark.parametrize("part", ["device", "wake", "request", "error", "shared"])
def test_a_device_that_was_not_kept_as_a_whole_is_let_go_and_taken_again(
    host: FakeHost, helper: Helper, nic: FakeDevice, part: str
) -> None:
    helper.apply(rule(nic.address, "none", reserve=True))
    helper.kill()
    resets = nic.vfio.resets if nic.vfio else 0
    helper.store.lose(part)
    helper.start()
    helper.until(nic.address, state="awake")
    helper.settle()
    assert nic.vfio is not None
    assert nic.vfio.opens == 1
    assert nic.vfio.resets == resets + 2  # a close and an open
    assert helper.store.count == 5


def test_a_request_while_nobody_was_there_lets_the_device_go(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.kill()
    unbinding = Asking(lambda: host.unbind(nic.address))
    helper.start()
    unbinding.answer()
    helper.until(nic.address, held=False)


def test_nothing_is_kept_of_a_device_that_was_let_go(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    assert helper.store.count == 5
    assert helper.client.call("GetStatus")["kept"] == 5
    helper.release(nic.address, "guest")
    assert helper.store.count == 0
    host.guest(nic.address).stop()
    helper.kill()
    helper.start()
    helper.settle()
    assert not is_held(nic)


def test_two_devices_of_a_group_share_what_is_kept_of_it(host: FakeHost, helper: Helper) -> None:
    first = host.add("0000:02:00.0", group=9)
    second = host.add("0000:02:00.1", group=9)
    third = host.add("0000:02:00.2", group=9)
    helper.apply(rule(first.address, "entry"), rule(second.address, "entry"))
    assert helper.store.count == 9
    helper.restart()
    wanted = [rule(device.address, "entry") for device in (second, third)]
    helper.apply(*wanted)  # one goes, one comes, through what was kept
    assert [is_held(it) for it in (first, second, third)] == [False, True, True]
    assert helper.store.count == 9
    helper.apply()
    assert helper.store.count == 0
    host.guest(first.address).stop()


def test_a_device_that_is_lent_is_not_taken_back_by_a_restart(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.release(nic.address, "guest")
    helper.kill()
    helper.start()
    helper.pass_time(3600)
    assert not is_held(nic)


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_a_device_that_was_busy_is_not_taken_by_a_restart_but_when_it_is_asked_for(
    host: FakeHost, helper: Helper, nic: FakeDevice, end: str
) -> None:
    guest = host.guest(nic.address)
    refused = helper.apply(rule(nic.address, "entry")).devices[nic.address]
    assert (refused.state, refused.held) == ("refused", False)
    guest.stop()
    getattr(helper, end)()
    calls = calls_of(host, nic)
    helper.start()
    helper.settle()
    assert helper.device(nic.address)._replace(history=None) == refused._replace(history=None)
    assert calls_of(host, nic) == calls
    helper.restart()
    assert calls_of(host, nic) == calls
    assert helper.reclaim(nic.address)[nic.address].held
    helper.restart()
    assert helper.device(nic.address).engaged is Mode.ENTRY


def test_a_device_that_was_busy_is_taken_by_a_helper_that_is_stopped_and_started(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    guest = host.guest(nic.address)
    helper.apply(rule(nic.address, "entry"))
    guest.stop()
    helper.client.call("LetGo", timeout=DELAY)
    helper.restart()
    assert helper.until(nic.address, engaged=Mode.ENTRY).held


def test_a_device_without_the_feature_is_not_opened_by_a_restart_but_when_it_is_bound(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    host.refuse(nic.address, "probe", errno.ENOTTY)
    assert not helper.apply(rule(nic.address, "entry")).devices[nic.address].held
    calls = calls_of(host, nic)
    helper.restart()
    failure = helper.device(nic.address).failure
    assert (failure and failure.code) == "unsupported"
    assert calls_of(host, nic) == calls
    host.refuse(nic.address, "probe", 0)
    host.unbind(nic.address)
    host.bind(nic.address)
    helper.settle()
    helper.restart()  # in the middle of the delay, which goes on
    helper.pass_time(GRACE)
    assert helper.until(nic.address, engaged=Mode.ENTRY).held


def test_a_device_that_stood_aside_with_its_neighbour_is_not_taken_by_a_restart(
    host: FakeHost, helper: Helper
) -> None:
    port = host.add_port("0000:00:1c.0")
    gpu, audio = (host.add(f"0000:03:00.{n}", port=port, group=9) for n in range(2))
    helper.apply(rule(gpu.address, "entry"), rule(audio.address, "entry"))
    host.unbind(gpu.address)
    helper.until(audio.address, held=False)
    calls = calls_of(host, audio)
    for end in (helper.kill, helper.terminate):
        end()
        helper.start()
        helper.settle()
        helper.pass_time(GRACE)
        assert calls_of(host, audio) == calls
    helper.kill()
    host.bind(gpu.address)  # of which nobody hears
    helper.start()
    helper.settle()
    assert not helper.device(gpu.address).held, "a guest gets its chance first"
    helper.pass_time(GRACE)
    assert helper.until(gpu.address, engaged=Mode.ENTRY).held


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_a_device_that_was_wanted_when_the_helper_died_is_let_go_by_the_next_one(
    host: FakeHost, helper: Helper, nic: FakeDevice, end: str
) -> None:
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    gate = host.hold_up(nic.address, "exit")
    with host.changed:
        host.begin_unbind(nic.address)
    assert gate.reached.wait(DELAY)
    gate.open() if end == "terminate" else None
    getattr(helper, end)()
    gate.open()
    helper.start()
    helper.until(nic.address, held=False)
    helper.pass_time(GRACE)
    assert not helper.device(nic.address).held


def test_a_program_that_spells_it_otherwise_does_not_write_the_declaration_anew(
    host: FakeHost, helper: Helper, nic: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before has to read it again where an update is taken back."""
    helper.apply(rule(nic.address, "entry"))
    files = [Path(helper.state, name) for name in (DECLARED, DEVICES)]
    before = [(file.read_bytes(), file.stat().st_ino) for file in files]
    spelled = documents.rule_document
    monkeypatch.setattr(documents, "rule_document", lambda it: {**spelled(it), "newer": 1})
    helper.restart()
    helper.settle()
    assert [(file.read_bytes(), file.stat().st_ino) for file in files] == before


def test_nothing_moves_because_a_file_was_damaged(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.kill()
    for name in ("declared.json", "declared.json.previous"):
        (helper.state / name).write_text("{")
    calls = calls_of(host, nic)
    helper.start()
    helper.settle()
    report = helper.device(nic.address)
    assert report.engaged is Mode.ENTRY
    assert report.rule is None
    assert calls_of(host, nic) == calls


def test_nothing_moves_because_the_bus_could_not_be_read(
    host: FakeHost,
    helper: Helper,
    nic: FakeDevice,
    unexpected: list[BaseException],
) -> None:
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    helper.kill()
    with patch.object(host.sysfs, "devices", side_effect=OSError(errno.EIO, "it is broken")):
        helper.start()
    unexpected.clear()
    assert "it is broken" in helper.client.call("GetStatus")["damaged"]
    host.touch_device(nic.address)
    helper.until(nic.address, state="waiting")
    helper.pass_time(DELAY)
    assert helper.until(nic.address, engaged=Mode.ENTRY_WITH_WAKEUP).wakes is None


@pytest.mark.parametrize("wanted", ["release", "unbind", "stop"])
def test_who_wants_a_device_gets_it_though_nobody_knows_what_was_declared(
    host: FakeHost, helper: Helper, nic: FakeDevice, wanted: str
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.kill()
    for name in ("declared.json", "declared.json.previous"):
        (helper.state / name).write_text("{")
    helper.start()
    if wanted == "release":
        assert not helper.release(nic.address, "guest")[nic.address].held
        host.guest(nic.address).stop()
    elif wanted == "unbind":
        host.unbind(nic.address)
    else:
        assert helper.client.call("LetGo")["held"] == []
    assert not is_held(nic)


def test_the_boot_grace_goes_on_after_a_restart(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry"))
    helper.boot()
    due = helper.device(nic.address).taken_after
    helper.kill()
    helper.start()
    helper.settle()
    assert helper.device(nic.address).taken_after == pytest.approx(due, abs=1)
    helper.pass_time(GRACE)
    assert is_held(nic)


def test_a_restart_waits_for_a_call_that_is_under_way(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    gate = helper.held_up_in("open", rule(nic.address, "entry"))
    ending = Asking(helper.terminate)
    helper.in_loop(lambda: None)
    assert ending.waits
    gate.open()
    ending.answer()
    assert helper.store.count == 5
    resets = nic.vfio.resets if nic.vfio else 0
    helper.start()
    helper.until(nic.address, engaged=Mode.ENTRY)
    assert nic.vfio is not None
    assert nic.vfio.resets == resets


@pytest.mark.parametrize("method", ["Release", "Pause", "LetGo"])
def test_what_a_helper_that_ends_does_not_begin_is_not_answered_as_done(
    host: FakeHost, helper: Helper, nic: FakeDevice, method: str
) -> None:
    slow = host.add("0000:03:00.0")
    helper.apply(rule(nic.address, "entry"))
    gate = host.hold_up(slow.address, "open")
    helper.applying(rule(nic.address, "entry"), rule(slow.address, "entry"))
    assert gate.reached.wait(10)
    ending = Asking(helper.terminate)
    wait_until(lambda: helper.in_loop(lambda: helper.daemon.keeper.resting), "it is told to end")
    about = {"addresses": [str(nic.address)], "holder": "guest"} if method == "Release" else {}
    asking = Asking(lambda: helper.client.call(method, about))
    wait_until(
        lambda: (
            helper.in_loop(lambda: len(helper.daemon.keeper.asks.about(nic.address))) > 0
            or not asking.waits
        ),
        "it is asked for the device",
    )
    gate.open()
    ending.answer()
    with pytest.raises(HelperUnreachable):
        asking.answer()
    assert is_held(nic)
    helper.start()
    if method != "LetGo":
        helper.until(nic.address, held=False)  # what was asked is done by the next one
