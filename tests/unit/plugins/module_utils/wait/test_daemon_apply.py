# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of devices when somebody declares a mode for them."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold import failures
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.uapi import vfio
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Identity
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode

from ..fake.host import FakeDevice, FakeHost
from ..hold.helper import Asking, Helper, rule

MODES = {
    "held awake": ("none", {"reserve": True}, ("none", "D0")),
    "entry": ("entry", {}, ("entry", "D3cold")),
    "entry with wakeup": ("entry-with-wakeup", {}, ("entry-with-wakeup", "D3cold")),
}
CHANGES = {
    ("held awake", "entry"): ("entry",),
    ("held awake", "entry with wakeup"): ("entry-with-wakeup",),
    ("entry", "held awake"): ("exit",),
    ("entry", "entry with wakeup"): ("exit", "entry-with-wakeup"),
    ("entry with wakeup", "held awake"): ("exit",),
    ("entry with wakeup", "entry"): ("exit", "entry"),
}


def operations(host: FakeHost, device: FakeDevice) -> list[str]:
    """Return what a device was asked for so far; nodes are opened to look at a group, too."""
    mine = (call.operation for call in host.calls if call.address == device.address)
    return [operation for operation in mine if operation != "node"]


def power_state(host: FakeHost, device: FakeDevice) -> str:
    power = host.sysfs.power(device.address)
    return power.power_state if power else "gone"


def nodes_belong_to_root(
    monkeypatch: pytest.MonkeyPatch, but: Mapping[str, int] | None = None
) -> None:
    """Let the nodes have these owners, whoever runs the tests and thus owns the files."""
    owners = but or {}
    look = SimpleNamespace(stat=lambda path: SimpleNamespace(st_uid=owners.get(path, 0)))
    monkeypatch.setattr(failures, "os", look)


def files(*folders: Path) -> dict[str, tuple[int, int]]:
    """Return what changes when a file is written or replaced."""
    found = [path for folder in folders for path in folder.iterdir()]
    return {str(it): (it.stat().st_ino, it.stat().st_mtime_ns) for it in found}


def test_a_declared_device_is_taken_and_sleeps(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    applied = helper.apply(rule(nic.address, "entry-with-wakeup"))
    assert applied.actions[nic.address] == ("open", "entry-with-wakeup")
    report = applied.devices[nic.address]
    assert (report.held, report.engaged) == (True, Mode.ENTRY_WITH_WAKEUP)
    assert report.backend == ("cdev" if host.offers_cdev else "group")
    assert power_state(host, nic) == "D3cold"
    with pytest.raises(OSError, match=r"EBUSY|EINVAL"):
        host.guest(nic.address)


def test_every_device_is_told_as_soon_as_it_is_done(host: FakeHost, helper: Helper) -> None:
    quick, slow = host.add("0000:02:00.0"), host.add("0000:03:00.0")
    gate = host.hold_up(slow.address, "open")
    parameters = {
        "rules": [rule(it.address, "entry") for it in (quick, slow)],
        "exclude": [],
        "expected_generation": 0,
    }
    answers = helper.client.stream("Apply", parameters)
    first = next(answers)
    assert first["device"]["address"] == str(quick.address)
    assert first["actions"] == ["open", "entry"]
    gate.open()
    assert next(answers)["device"]["address"] == str(slow.address)
    last = next(answers)
    assert (last["generation"], last["pending"], len(last["outcomes"])) == (1, [], 2)
    with pytest.raises(StopIteration):
        next(answers)


def test_the_second_time_nothing_is_done_asked_or_written(host: FakeHost, helper: Helper) -> None:
    devices = [host.add("0000:02:00.0"), host.add("0000:03:00.0"), host.add("0000:04:00.0")]
    wanted = [
        rule(device.address, mode, **more)
        for device, (mode, more, _reached) in zip(devices, MODES.values())
    ]
    helper.apply(*wanted)
    calls, written = list(host.calls), files(helper.state, helper.run)
    powers = [host.sysfs.power(device.address) for device in devices]
    applied = helper.apply(*wanted)
    assert applied.generation == 1
    assert set(applied.actions.values()) == {()}
    assert host.calls == calls
    assert files(helper.state, helper.run) == written
    assert [host.sysfs.power(device.address) for device in devices] == powers


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_mode_is_changed_into_every_other(
    host: FakeHost, helper: Helper, before: str, after: str
) -> None:
    nic = host.add("0000:02:00.0")
    for name in (before, after):
        mode, more, (engaged, reached) = MODES[name]
        applied = helper.apply(rule(nic.address, mode, **more))
        assert applied.devices[nic.address].engaged.value == engaged
        assert power_state(host, nic) == reached
    assert applied.actions[nic.address] == CHANGES[before, after]
    assert operations(host, nic).count("open") == 1


@pytest.mark.parametrize("name", MODES)
def test_what_is_no_longer_declared_is_awake_when_it_is_closed(
    host: FakeHost, helper: Helper, name: str
) -> None:
    nic, other = host.add("0000:02:00.0"), host.add("0000:03:00.0")
    mode, more, _reached = MODES[name]
    helper.apply(rule(nic.address, mode, **more), rule(other.address, "none", reserve=True))
    before = len(operations(host, nic))
    applied = helper.apply(rule(other.address, "none", reserve=True))
    assert applied.actions == {nic.address: ("close",), other.address: ()}
    left = operations(host, nic)[before:]
    assert left == (["close"] if name == "held awake" else ["exit", "close"])
    assert nic.address not in helper.devices()
    assert power_state(host, nic) == "D0"
    host.guest(nic.address).stop()


def test_a_device_is_looked_at_between_the_end_of_low_power_and_its_close(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    gate = host.hold_up(nic.address, "close")
    nic.function.broken = True  # it does not come back; the close that follows would hide it
    applied = helper.apply(rule(nic.address, "none"), timeout=0.2)
    assert applied.pending == [str(nic.address)]
    assert gate.reached.is_set()
    gate.open()
    report = helper.until(nic.address, state="released")
    assert report.failure is not None
    assert report.failure.code == "power-error"
    assert "D3cold" in report.failure.message
    assert not report.held


def test_a_device_that_ends_low_power_but_stays_in_d3_is_a_power_error(
    host: FakeHost, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry"))
    asleep = host.sysfs.power(nic.address)
    assert asleep is not None
    stuck = asleep._replace(runtime_status="active")
    monkeypatch.setattr(host.sysfs, "power", lambda _address: stuck)
    report = helper.apply(rule(nic.address, "none")).devices[nic.address]
    assert report.failure is not None
    assert report.failure.code == "power-error"
    assert operations(host, nic)[-2:] == ["exit", "close"]


@pytest.mark.parametrize("number", [errno.ENOTTY, errno.EINVAL])
def test_an_unsupported_device_is_let_go_and_left_alone_until_it_is_bound_anew(
    host: FakeHost, helper: Helper, number: int
) -> None:
    nic = host.add("0000:02:00.0")
    host.refuse(nic.address, "probe", number)
    report = helper.apply(rule(nic.address, "entry")).devices[nic.address]
    assert report.failure is not None
    assert (report.failure.code, report.held) == ("unsupported", False)
    host.guest(nic.address).stop()
    calls = list(host.calls)
    again = helper.apply(rule(nic.address, "entry"))
    assert again.actions[nic.address] == ()
    assert again.devices[nic.address].failure == report.failure
    assert host.calls == calls
    host.refuse(nic.address, "probe", 0)
    host.unbind(nic.address)
    host.bind(nic.address)
    helper.settle()
    helper.pass_time(60)
    assert helper.device(nic.address).engaged is Mode.ENTRY


def test_a_kernel_that_can_enter_but_not_leave_is_unsupported(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    assert nic.vfio is not None
    nic.vfio.features.discard(vfio.VFIO_DEVICE_FEATURE_LOW_POWER_EXIT)
    report = helper.apply(rule(nic.address, "entry")).devices[nic.address]
    assert report.failure is not None
    assert report.failure.code == "unsupported"
    assert "EXIT" in report.failure.message
    assert "entry" not in operations(host, nic)


def test_an_unsupported_device_can_still_be_kept_awake(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    host.refuse(nic.address, "probe", errno.ENOTTY)
    helper.apply(rule(nic.address, "entry"))
    report = helper.apply(rule(nic.address, "none", reserve=True)).devices[nic.address]
    assert (report.held, report.failure) == (True, None)


def test_a_device_of_a_guest_is_busy_and_not_tried_again_by_time(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    guest = host.guest(nic.address)
    report = helper.apply(rule(nic.address, "entry")).devices[nic.address]
    assert report.failure is not None
    assert (report.failure.code, report.state) == ("busy", "refused")
    calls = list(host.calls)
    guest.stop()
    helper.pass_time(86400)
    assert host.calls == calls
    applied = helper.apply(rule(nic.address, "entry"))
    assert applied.actions[nic.address] == ("open", "entry")
    assert applied.devices[nic.address].failure is None


def test_a_busy_device_is_tried_again_when_it_is_reclaimed(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    guest = host.guest(nic.address)
    helper.apply(rule(nic.address, "entry"))
    failure = helper.reclaim(nic.address)[nic.address].failure
    assert failure is not None
    assert failure.code == "busy"
    guest.stop()
    report = helper.reclaim(nic.address)[nic.address]
    assert (report.engaged, report.failure) == (Mode.ENTRY, None)


def test_a_busy_device_is_tried_again_after_it_was_bound(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0")
    guest = host.guest(nic.address)
    helper.apply(rule(nic.address, "entry"))
    guest.stop()
    host.unbind(nic.address)
    host.bind(nic.address)
    helper.settle()
    helper.pass_time(60)
    assert helper.device(nic.address).engaged is Mode.ENTRY


def test_a_node_that_belongs_to_somebody_else_is_named_with_its_owner(
    host: FakeHost, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    nic = host.add("0000:02:00.0")
    name = f"devices/{nic.cdev}" if nic.cdev else str(nic.group)
    node = f"{host.dev}/vfio/{name}"
    nodes_belong_to_root(monkeypatch, but={node: 64055})
    host.refuse(nic.address, "node", errno.EACCES)
    failure = helper.apply(rule(nic.address, "entry")).devices[nic.address].failure
    assert failure is not None
    assert (failure.code, failure.errno) == ("node-denied", "EACCES")
    assert node in failure.message
    assert "belongs to user 64055" in failure.message


def test_a_refusal_of_the_kernel_is_told_with_operation_and_errno(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    host.refuse(nic.address, "open", errno.ENODEV)
    failure = helper.apply(rule(nic.address, "entry")).devices[nic.address].failure
    assert failure is not None
    operation = "bind" if host.offers_cdev else "open"
    assert (failure.code, failure.operation, failure.errno) == (
        "kernel-refused",
        operation,
        "ENODEV",
    )
    assert failure.hint


def test_a_device_whose_entry_is_refused_stays_held_and_is_tried_again_when_asked(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    host.refuse(nic.address, "entry", errno.EIO, times=1)
    report = helper.apply(rule(nic.address, "entry")).devices[nic.address]
    assert report.failure is not None
    assert (report.state, report.held, report.failure.errno) == ("stalled", True, "EIO")
    calls = list(host.calls)
    helper.pass_time(86400)
    assert host.calls == calls
    report = helper.apply(rule(nic.address, "entry")).devices[nic.address]
    assert (report.engaged, report.failure) == (Mode.ENTRY, None)


def test_a_device_that_would_not_leave_low_power_is_told_to_leave_it_again(
    host: FakeHost, helper: Helper
) -> None:
    """Otherwise an armed device would be entered on top, which signals, and again, for ever."""
    nic = host.add("0000:02:00.0")
    helper.apply(rule(nic.address, "entry-with-wakeup"))
    nic.function.broken = True
    helper.apply(rule(nic.address, "none", reserve=True))
    assert helper.device(nic.address).state == "stalled"
    nic.function.broken = False
    applied = helper.apply(rule(nic.address, "none", reserve=True))
    assert applied.actions[nic.address] == ("exit",)
    assert nic.vfio is not None
    assert not nic.vfio.engaged
    assert power_state(host, nic) == "D0"


def test_a_group_with_a_device_on_a_host_driver_is_not_taken(
    host: FakeHost, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes_belong_to_root(monkeypatch)
    nic = host.add("0000:02:00.0", group=7)
    host.add("0000:02:00.1", group=7, driver="snd_hda_intel")
    failure = helper.apply(rule(nic.address, "entry")).devices[nic.address].failure
    assert failure is not None
    assert failure.code == "group-not-viable"
    assert "0000:02:00.1 (snd_hda_intel)" in failure.message


def test_another_card_that_came_right_before_the_opening_is_not_touched(
    host: FakeHost, helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    nic = host.add("0000:02:00.0")
    nic_was = host.sysfs.facts(nic.address)
    assert nic_was is not None
    stranger = nic_was._replace(identity=Identity("10de", "2204", "10de", "1467", "030000"))
    monkeypatch.setattr(host.sysfs, "facts", lambda _address, **_more: stranger)
    report = helper.apply(rule(nic.address, "entry")).devices[nic.address]
    assert report.failure is not None
    assert report.failure.code == "identity-changed"
    assert "10de:2204" in report.failure.message
    assert not operations(host, nic)


def test_a_device_on_a_host_driver_is_stored_and_left_alone(host: FakeHost, helper: Helper) -> None:
    nic = host.add("0000:02:00.0", driver="e1000e")
    applied = helper.apply(rule(nic.address, "entry"))
    assert applied.actions[nic.address] == ()
    assert not applied.devices[nic.address].held
    assert not host.calls


def test_the_declaration_is_on_disk_before_the_first_device_is_opened(
    host: FakeHost, helper: Helper
) -> None:
    nic = host.add("0000:02:00.0")
    gate = host.hold_up(nic.address, "node")
    asking = Asking(lambda: helper.apply(rule(nic.address, "entry")))
    assert gate.reached.wait(10)
    assert str(nic.address) in (helper.state / "declared.json").read_text()
    assert nic.identity.vendor in (helper.state / "devices.json").read_text()
    gate.open()
    assert asking.answer().generation == 1
