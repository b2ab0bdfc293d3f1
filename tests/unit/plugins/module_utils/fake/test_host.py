# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fake host promises beyond the contract of the device layer."""

from __future__ import annotations

import errno
import select
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.backends import Group
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.eventfd import (
    drain,
    eventfd,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.udev import Uevent
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    KernelRefused,
)

from .host import FakeHost
from .nodes import Call

PATIENCE = 10.0


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def test_a_device_that_a_guest_has_is_busy_until_the_guest_stops(host: FakeHost) -> None:
    nic = host.add("0000:02:00.0")
    guest = host.guest(nic.address)
    with pytest.raises(OSError, match="EBUSY"):
        host.guest(nic.address)
    guest.stop()
    host.guest(nic.address).stop()
    assert host.calls == [], "a guest's calls are not the helper's"


def test_every_open_and_every_last_close_resets(host: FakeHost) -> None:
    nic = host.add("0000:02:00.0")
    assert nic.vfio is not None
    for _time in range(3):
        host.guest(nic.address).stop()
    assert nic.vfio.resets == 6


def test_messages_tell_what_happens_to_devices_from_when_one_listens(host: FakeHost) -> None:
    nic = host.add("0000:02:00.0")
    uevents = host.uevents()
    assert select.select([uevents], [], [], 0)[0] == []
    host.unplug(nic.address)
    host.add("0000:02:00.0")
    assert select.select([uevents], [], [], 0)[0] == [uevents]
    assert uevents.read() == [
        Uevent("unbind", nic.address, None),
        Uevent("remove", nic.address, None),
        Uevent("add", nic.address, None),
        Uevent("bind", nic.address, "vfio-pci"),
    ]
    assert uevents.read() == []
    uevents.close()


def test_a_call_that_is_held_up_hangs_while_the_host_lives_on(host: FakeHost) -> None:
    slow, quick = host.add("0000:02:00.0"), host.add("0000:03:00.0")
    gate = host.hold_up(slow.address, "open")
    guest = []
    starting = threading.Thread(target=lambda: guest.append(host.guest(slow.address)))
    starting.start()
    assert gate.reached.wait(PATIENCE)
    host.guest(quick.address).stop()
    assert not guest
    gate.open()
    starting.join(PATIENCE)
    guest[0].stop()


def test_a_refusal_ends_after_its_times(host: FakeHost) -> None:
    nic = host.add("0000:02:00.0")
    host.refuse(nic.address, "open", errno.ENODEV, times=1)
    with pytest.raises(OSError, match="ENODEV"):
        host.guest(nic.address)
    host.guest(nic.address).stop()


def test_calls_are_noted_in_order(host: FakeHost) -> None:
    nic = host.add("0000:02:00.0")
    way = Group.open(nic.group, host.kernel, host.dev)
    device = way.device(nic.address)
    device.enter_low_power()
    device.close()
    way.close()
    operations = ("node", "status", "attach", "iommu", "open", "entry", "close")
    assert host.calls == [Call(operation, nic.address) for operation in operations]


def test_an_unbind_gives_up_when_the_holder_does_not_let_go(host: FakeHost) -> None:
    nic = host.add("0000:02:00.0")
    guest = host.guest(nic.address)
    with pytest.raises(TimeoutError):
        host.unbind(nic.address, timeout=0.05)
    guest.stop()
    host.unbind(nic.address)


def test_nobody_can_open_a_device_that_is_being_unbound(host: FakeHost) -> None:
    nic = host.add("0000:02:00.0")
    way = Group.open(nic.group, host.kernel, host.dev)
    device, request = way.device(nic.address), eventfd()
    device.signal_requests(request)
    unbinding = threading.Thread(target=host.unbind, args=(nic.address,))
    unbinding.start()
    assert select.select([request], [], [], PATIENCE)[0]
    assert drain(request) == 1
    with pytest.raises(KernelRefused, match="ENODEV"):
        way.device(nic.address)
    device.close()
    unbinding.join(PATIENCE)
    way.close()
    request.close()


def test_a_device_without_power_management_sleeps_on_paper_only(host: FakeHost) -> None:
    edu = host.add("0000:02:00.0", depth="D0")
    way = Group.open(edu.group, host.kernel, host.dev)
    device = way.device(edu.address)
    device.enter_low_power()
    power = host.sysfs.power(edu.address)
    assert power is not None
    assert (power.power_state, power.runtime_status) == ("D0", "suspended")
    assert not power.asleep
    device.close()
    way.close()


def test_times_grow_when_asked(host: FakeHost) -> None:
    nic = host.add("0000:02:00.0")
    before = host.sysfs.power(nic.address)
    assert before is not None

    def grown() -> bool:
        host.let_time_be_seen()
        now = host.sysfs.power(nic.address)
        return now is not None and now.active_ms > before.active_ms

    end = time.monotonic() + PATIENCE
    while not grown():
        assert time.monotonic() < end, "time stands still"
