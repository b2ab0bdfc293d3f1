# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls into the kernel that take their time, several askers at once, unexpected errors."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.deadlines import (
    DEADLINES,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.files import Writer
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode

from ..fake.host import FakeDevice, FakeHost
from ..hold.helper import Asking, Helper, Tape, rule, wait_until

WORKERS = 16


def plug(host: FakeHost, count: int) -> list[FakeDevice]:
    return [host.add(f"0000:{bus:02x}:00.0") for bus in range(2, 2 + count)]


def entries(*devices: FakeDevice) -> list[dict[str, object]]:
    return [rule(device.address, "entry") for device in devices]


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Allow as many as there may be: the service has its LimitNOFILE, ansible-test leaves 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_helper_answers_while_all_of_its_workers_are_blocked(
    host: FakeHost, helper: Helper
) -> None:
    devices = plug(host, WORKERS + 1)
    gates = [host.hold_up(device.address, "open") for device in devices]
    asking = Asking(lambda: helper.apply(*entries(*devices)))
    for gate in gates[:WORKERS]:
        assert gate.reached.wait(10)
    reports = helper.devices()
    assert [report.state for report in reports.values()] == ["taking"] * (WORKERS + 1)
    first, last = (reports[it.address].running for it in (devices[0], devices[-1]))
    assert first is not None
    assert last is not None
    assert first.call == last.call == "open"
    assert first.seconds is not None
    assert first.seconds < 60
    assert last.seconds is None  # no worker has it so far
    assert helper.client.call("GetStatus")["generation"] == 1
    assert not gates[WORKERS].reached.is_set()
    for gate in gates:
        gate.open()
    assert {it.engaged for it in asking.answer().devices.values()} == {Mode.ENTRY}


def test_a_declaration_is_stored_while_all_workers_are_blocked(
    host: FakeHost, helper: Helper
) -> None:
    devices = plug(host, WORKERS)
    gates = [host.hold_up(device.address, "open") for device in devices]
    asking = Asking(lambda: helper.apply(*entries(*devices)))
    for gate in gates:
        assert gate.reached.wait(10)
    parameters = {"rules": entries(*devices[1:]), "exclude": [], "expected_generation": 1}
    answer = helper.client.call("Apply", {**parameters, "timeout": 0.1})
    assert answer["generation"] == 2
    assert len(answer["pending"]) == WORKERS
    for gate in gates:
        gate.open()
    assert asking.answer().actions[devices[0].address] == ("open", "close")


def test_a_call_past_its_deadline_is_told_and_the_helper_serves_on(
    host: FakeHost, helper: Helper
) -> None:
    slow, other = plug(host, 2)
    tape = Tape(helper)
    gate = host.hold_up(slow.address, "open")
    helper.applying(*entries(slow))
    assert gate.reached.wait(10)
    helper.pass_time_while_blocked(DEADLINES["open"] - 1)
    assert not tape.has("stuck", slow.address)
    helper.pass_time_while_blocked(1)
    wait_until(lambda: tape.has("stuck", slow.address), "it is told")
    assert helper.client.call("GetStatus")["stuck"] == 1
    helper.applying(*entries(slow, other))
    helper.until(other.address, engaged=Mode.ENTRY)
    gate.open()
    helper.until(slow.address, engaged=Mode.ENTRY)
    assert helper.client.call("GetStatus")["stuck"] == 0


def test_a_helper_says_that_all_of_its_workers_are_stuck(host: FakeHost, helper: Helper) -> None:
    devices = plug(host, WORKERS)
    gates = [host.hold_up(device.address, "open") for device in devices]
    helper.applying(*entries(*devices))
    for gate in gates:
        assert gate.reached.wait(10)
    helper.pass_time_while_blocked(DEADLINES["open"])
    assert f"all {WORKERS} workers" in helper.manager.status_line
    status = helper.client.call("GetStatus")
    assert status["stuck"] == status["workers"] == WORKERS
    gates[0].open()
    helper.until(devices[0].address, engaged=Mode.ENTRY)
    assert helper.manager.status_line == f"{WORKERS} devices declared"
    for gate in gates:
        gate.open()


def test_a_device_that_waits_for_its_neighbour_is_not_stuck(host: FakeHost, helper: Helper) -> None:
    first, second = (host.add(f"0000:02:00.{number}", group=9) for number in range(2))
    gate = host.hold_up(first.address, "open")
    helper.applying(*entries(first, second))
    assert gate.reached.wait(10)
    helper.pass_time_while_blocked(DEADLINES["open"])
    assert helper.client.call("GetStatus")["stuck"] == 1
    running = [helper.devices()[it.address].running for it in (first, second)]
    assert [it and it.seconds is None for it in running] == [False, True]
    gate.open()
    helper.until(second.address, engaged=Mode.ENTRY)


def test_one_slow_device_delays_no_other(host: FakeHost, helper: Helper) -> None:
    slow, *others = plug(host, 4)
    gate = host.hold_up(slow.address, "open")
    asking = Asking(lambda: helper.apply(*entries(slow, *others)))
    for device in others:
        helper.until(device.address, engaged=Mode.ENTRY)
    assert helper.device(slow.address).state == "taking"
    assert asking.waits
    gate.open()
    assert asking.answer().pending == []


def test_a_run_that_ran_out_of_time_names_what_is_pending(host: FakeHost, helper: Helper) -> None:
    slow, quick = plug(host, 2)
    gate = host.hold_up(slow.address, "open")
    applied = helper.apply(*entries(slow, quick), timeout=0.2)
    assert applied.pending == [str(slow.address)]
    assert applied.actions == {slow.address: (), quick.address: ("open", "entry")}
    running = applied.devices[slow.address].running
    assert running is not None
    assert running.call == "open"
    gate.open()
    helper.until(slow.address, engaged=Mode.ENTRY)


def test_a_second_run_waits_for_what_the_first_began_and_changes_nothing(
    host: FakeHost, helper: Helper
) -> None:
    (nic,) = plug(host, 1)
    gate = host.hold_up(nic.address, "entry")
    first = Asking(lambda: helper.apply(*entries(nic)))
    assert gate.reached.wait(10)
    second = helper.applying(*entries(nic))
    wait_until(
        lambda: len(helper.in_loop(lambda: helper.daemon.keeper.asks.about(nic.address))) == 2,
        "both runs wait",
    )
    gate.open()
    assert first.answer().actions[nic.address] == ("open", "entry")
    assert second.answer().actions[nic.address] == ()
    assert second.answer().devices[nic.address].engaged is Mode.ENTRY


def test_the_last_of_two_runs_is_what_counts(host: FakeHost, helper: Helper) -> None:
    (nic,) = plug(host, 1)
    gate = host.hold_up(nic.address, "open")
    first = Asking(lambda: helper.apply(*entries(nic)))
    assert gate.reached.wait(10)
    second = helper.applying(rule(nic.address, "entry-with-wakeup"))
    wait_until(lambda: helper.client.call("GetStatus")["generation"] == 2, "it is declared")
    gate.open()
    assert second.answer().devices[nic.address].engaged is Mode.ENTRY_WITH_WAKEUP
    assert first.answer().pending == []


def test_a_client_that_leaves_does_not_end_what_it_began(host: FakeHost, helper: Helper) -> None:
    (nic,) = plug(host, 1)
    gate = host.hold_up(nic.address, "open")
    parameters = {"rules": entries(nic), "exclude": [], "expected_generation": 0}
    leaving = Asking(lambda: helper.client.call("Apply", parameters, timeout=0.2))
    assert gate.reached.wait(10)
    with pytest.raises(Exception, match="did not answer"):
        leaving.answer()
    gate.open()
    helper.until(nic.address, engaged=Mode.ENTRY)


def test_a_declaration_that_changes_while_a_device_is_opened_is_followed(
    host: FakeHost, helper: Helper
) -> None:
    nic, other = plug(host, 2)
    gate = host.hold_up(nic.address, "open")
    first = Asking(lambda: helper.apply(*entries(nic)))
    assert gate.reached.wait(10)
    second = helper.applying(*entries(other))
    helper.until(other.address, engaged=Mode.ENTRY)
    assert second.waits
    gate.open()
    assert second.answer().pending == []
    assert nic.address not in helper.devices()
    assert first.answer().pending == []
    host.guest(nic.address).stop()


def test_a_device_that_leaves_while_it_is_being_entered_is_let_go(
    host: FakeHost, helper: Helper
) -> None:
    (nic,) = plug(host, 1)
    tape = Tape(helper)
    gate = host.hold_up(nic.address, "entry")
    asking = Asking(lambda: helper.apply(*entries(nic)))
    assert gate.reached.wait(10)
    unplugging = Asking(lambda: host.unplug(nic.address))
    wait_until(lambda: tape.has("requested", nic.address), "the helper hears of it")
    gate.open()
    unplugging.answer()
    assert not asking.answer().devices[nic.address].held


def test_functions_of_a_group_share_it_whatever_happens_to_one_of_them(
    host: FakeHost, helper: Helper
) -> None:
    functions = [host.add(f"0000:02:00.{number}", group=9) for number in range(4)]
    for round_ in range(3):
        left_out = functions[round_]
        kept = [device for device in functions if device is not left_out]
        helper.apply(*entries(*kept))
        assert [it.held for it in helper.devices().values()] == [True] * 3
    helper.apply(*entries(functions[0]))
    helper.apply()
    group = functions[0].iommu_group
    assert (group.opened, group.users, group.bound) == (False, 0, 0)


def test_an_error_nobody_expected_fails_one_device_and_no_more(
    host: FakeHost, helper: Helper, unexpected: list[BaseException]
) -> None:
    nic, other = plug(host, 2)
    original = host.sysfs.facts

    def facts(address, **more):  # type: ignore[no-untyped-def]
        if address == nic.address:
            raise RuntimeError("the moon is in the wrong place")
        return original(address, **more)

    host.sysfs.facts = facts  # type: ignore[method-assign]
    applied = helper.apply(*entries(nic, other))
    failure = applied.devices[nic.address].failure
    assert failure is not None
    assert failure.code == "kernel-refused"
    assert "the moon is in the wrong place" in failure.message
    assert applied.devices[other.address].engaged is Mode.ENTRY
    assert [str(error) for error in unexpected] == ["the moon is in the wrong place"]
    unexpected.clear()
    host.sysfs.facts = original  # type: ignore[method-assign]
    assert helper.apply(*entries(nic, other)).devices[nic.address].engaged is Mode.ENTRY


def test_a_lease_that_cannot_be_written_down_is_given_all_the_same(
    host: FakeHost, helper: Helper, capsys: pytest.CaptureFixture[str]
) -> None:
    (nic,) = plug(host, 1)
    helper.apply(*entries(nic))
    (helper.run / "leases.json.new").mkdir()  # in the way of the file
    report = helper.release(nic.address, "guest")[nic.address]
    assert (report.held, [lease.holder for lease in report.leases]) == (False, ["guest"])
    assert f"{helper.run}/leases.json.new: " in capsys.readouterr().err
    (helper.run / "leases.json.new").rmdir()


def test_a_full_disk_is_told_with_its_folder(
    host: FakeHost,
    helper: Helper,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (nic,) = plug(host, 1)
    helper.apply(*entries(nic))

    def full(_writer: object, _name: str, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as write(2) does, without a name

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_write", full)
        helper.release(nic.address, "guest")
    assert f"<3>{helper.run}: No space left on device" in capsys.readouterr().err


@pytest.mark.usefixtures("descriptors")
def test_ninety_six_devices_are_taken_side_by_side(host: FakeHost, helper: Helper) -> None:
    devices = plug(host, 96)
    gates = [host.hold_up(device.address, "open") for device in devices]
    asking = Asking(lambda: helper.apply(*entries(*devices)))
    for gate in gates[:WORKERS]:
        assert gate.reached.wait(10)
    for gate in gates:
        gate.open()
    assert {it.engaged for it in asking.answer().devices.values()} == {Mode.ENTRY}
    calls = len(host.calls)
    assert set(helper.apply(*entries(*devices)).actions.values()) == {()}
    assert len(host.calls) == calls
