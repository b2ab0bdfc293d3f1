# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the device layer makes of a kernel that refuses. What it does otherwise is in contract/."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.backends import (
    Group,
    Iommufd,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.device import (
    FEATURES,
    Device,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    KernelRefused,
    Unsupported,
)

from ..fake.host import FakeDevice, FakeHost


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


@pytest.fixture
def nic(host: FakeHost) -> FakeDevice:
    return host.add("0000:02:00.0")


@contextmanager
def held(host: FakeHost, card: FakeDevice) -> Iterator[Device]:
    way = Group.open(card.group, host.kernel, host.dev)
    device = way.device(card.address)
    try:
        yield device
    finally:
        device.close()
        way.close()


def asked(host: FakeHost) -> list[str]:
    return [call.operation for call in host.calls]


@pytest.mark.parametrize("answer", [errno.ENOTTY, errno.EINVAL])
@pytest.mark.parametrize("feature", sorted(FEATURES))
def test_a_feature_that_no_driver_offers_is_unsupported(
    host: FakeHost, nic: FakeDevice, answer: int, feature: int
) -> None:
    assert nic.vfio is not None
    nic.vfio.features, nic.vfio.unsupported = set(), answer
    with held(host, nic) as device, pytest.raises(Unsupported, match=FEATURES[feature]) as caught:
        device.probe(feature)
    assert "0000:02:00.0" in caught.value.message
    assert "Declare mode none" in caught.value.hint


def test_a_probe_that_fails_otherwise_is_no_statement_about_the_feature(
    host: FakeHost, nic: FakeDevice
) -> None:
    host.refuse(nic.address, "probe", errno.EIO)
    with held(host, nic) as device, pytest.raises(KernelRefused) as caught:
        device.probe(min(FEATURES))
    assert caught.value.number == errno.EIO


def test_a_refusal_names_operation_device_errno_and_next_step(
    host: FakeHost, nic: FakeDevice
) -> None:
    guest = host.guest(nic.address)
    with pytest.raises(KernelRefused) as caught:
        Group.open(nic.group, host.kernel, host.dev)
    guest.stop()
    assert caught.value.message == (
        "IOMMU group 1: cannot open the group: EBUSY (Device or resource busy)"
    )
    assert caught.value.errno_name == "EBUSY"
    assert "a guest perhaps" in caught.value.hint


def test_a_reset_of_the_slot_under_way_is_waited_for(host: FakeHost, nic: FakeDevice) -> None:
    host.refuse(nic.address, "open", errno.EAGAIN, times=2)
    with held(host, nic):
        assert asked(host).count("open") == 3


def test_a_reset_that_never_ends_is_told(
    host: FakeHost, nic: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    host.refuse(nic.address, "open", errno.EAGAIN)
    way = Group.open(nic.group, host.kernel, host.dev)
    with pytest.raises(KernelRefused) as caught:
        way.device(nic.address)
    way.close()
    assert caught.value.errno_name == "EAGAIN"
    assert asked(host).count("open") < 20
    assert sum(pauses) > 1


@pytest.mark.parametrize("operation", ["node", "attach"])
def test_a_way_in_that_fails_half_way_leaves_nothing_open(
    host: FakeHost, nic: FakeDevice, operation: str
) -> None:
    host.refuse(nic.address, operation, errno.EPERM)
    with pytest.raises(KernelRefused):
        Group.open(nic.group, host.kernel, host.dev)
    host.refuse(nic.address, operation, 0)
    host.guest(nic.address).stop()


def test_a_node_that_cannot_be_bound_is_closed(tmp_path: Path) -> None:
    host = FakeHost(tmp_path, cdev=True)
    nic = host.add("0000:02:00.0")
    assert nic.cdev is not None
    host.refuse(nic.address, "open", errno.ENODEV)
    way = Iommufd.open(host.kernel, host.dev)
    with pytest.raises(KernelRefused, match="cannot bind: ENODEV"):
        way.device(nic.address, lambda _address: nic.cdev)
    way.close()


def test_a_device_that_does_not_wake_answers_nothing(host: FakeHost, nic: FakeDevice) -> None:
    with held(host, nic) as device:
        device.enter_low_power()
        nic.function.broken = True
        for call in (device.exit_low_power, device.enter_low_power):
            with pytest.raises(KernelRefused) as caught:
                call()
            assert caught.value.errno_name == "EIO"


def test_a_close_that_complains_closes_all_the_same(host: FakeHost, nic: FakeDevice) -> None:
    host.refuse(nic.address, "close", errno.EIO, times=1)
    way = Group.open(nic.group, host.kernel, host.dev)
    device = way.device(nic.address)
    with pytest.raises(KernelRefused, match="cannot close: EIO"):
        device.close()
    device.close()
    way.close()
    host.guest(nic.address).stop()
