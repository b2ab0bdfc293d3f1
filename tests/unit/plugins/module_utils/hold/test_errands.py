# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What workers do to one device: nothing is left open whatever fails on the way."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast
from unittest.mock import patch

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold import grips
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.errands import Errands
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.failures import NotOurs
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.grip import Grip
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.grips import Grips
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.marks import Marks
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.surroundings import (
    Surroundings,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.policy import Action
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.marked import (
    Mark,
    MarkFiles,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import Known
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    KernelRefused,
    VfioPowerError,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import Failure

from ..fake.fdstore import FakeFdStore
from ..fake.host import FakeDevice, FakeHost


class Worker:
    """Runs errands for devices of a host."""

    def __init__(self, host: FakeHost, folder: Path) -> None:
        self.host = host
        self.store = FakeFdStore(host.kernel)
        self.files = MarkFiles(str(folder), str(folder))
        self.marks = Marks(cast(Surroundings, None), self.files, "boot")
        grips_of = Grips(host.kernel, self.store, host.sysfs.cdev, host.dev)
        self.errands = Errands(host.sysfs, grips_of, self.marks, host.dev)

    def run(self, action: Action, device: FakeDevice, grip: Grip | None = None) -> Grip | None:
        known = Known(device.address, device.identity, "rule")
        facts = self.host.sysfs.facts(device.address)
        return self.errands.run(action, known, facts, grip)

    def failure(self, error: Exception, device: FakeDevice) -> Failure:
        return self.errands.failure(error, device.address, None)

    def take(self, device: FakeDevice) -> Grip:
        grip = self.run(Action.TAKE, device)
        assert grip is not None
        return grip


@pytest.fixture
def worker(host: FakeHost, tmp_path: Path) -> Worker:
    return Worker(host, tmp_path)


@pytest.mark.parametrize("operation", ["node", "attach", "open", "irqs"])
def test_a_taking_that_fails_at_any_step_leaves_the_device_free(
    host: FakeHost, worker: Worker, operation: str
) -> None:
    if operation == "attach" and host.offers_cdev:
        pytest.skip("there is no container")
    nic = host.add("0000:02:00.0")
    descriptors = len(os.listdir("/proc/self/fd"))
    host.refuse(nic.address, operation, errno.EIO, times=1)
    with pytest.raises(VfioPowerError, match="EIO"):
        worker.take(nic)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    host.guest(nic.address).stop()
    grip = worker.take(nic)
    assert worker.run(Action.LET_GO, nic, grip) is None
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_the_managers_copies_are_closed_before_ours(host: FakeHost, worker: Worker) -> None:
    nic = host.add("0000:02:00.0")
    grip, forget, opens = worker.take(nic), worker.store.forget, []

    def forgetting(names: Iterable[str]) -> None:
        forget(names)
        assert nic.vfio is not None
        opens.append(nic.vfio.opens)

    with patch.object(worker.store, "forget", forgetting):
        worker.run(Action.LET_GO, nic, grip)
    assert opens[0] == 1, "the last close, which resets the device, is a worker's"
    host.guest(nic.address).stop()


@pytest.mark.parametrize("operation", ["exit", "close"])
def test_a_device_is_closed_whatever_is_answered_when_it_is_let_go(
    host: FakeHost, worker: Worker, operation: str
) -> None:
    nic = host.add("0000:02:00.0")
    grip = worker.take(nic)
    worker.run(Action.ENTER, nic, grip)
    host.refuse(nic.address, operation, errno.EIO, times=1)
    with pytest.raises(VfioPowerError):
        worker.run(Action.LET_GO, nic, grip)
    host.guest(nic.address).stop()


@pytest.fixture
def slow_manager(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the service manager not close its copies for longer than a close waits."""
    monkeypatch.setattr(grips, "FREE_WITHIN", 0.0)
    with patch.object(worker.store, "forget", lambda _names: None):
        yield
    worker.store.clear()


@pytest.mark.usefixtures("slow_manager")
def test_a_device_that_the_kernel_does_not_let_go_of_is_told_as_not_closed(
    host: FakeHost, worker: Worker
) -> None:
    nic = host.add("0000:02:00.0")
    grip = worker.take(nic)
    with pytest.raises(KernelRefused, match=f"IOMMU group {nic.group}") as refused:
        worker.run(Action.LET_GO, nic, grip)
    assert worker.failure(refused.value, nic).of_letting_go


@pytest.mark.usefixtures("slow_manager")
@pytest.mark.parametrize("action", [Action.TAKE, Action.LET_GO])
def test_a_device_that_is_lost_is_lost_whatever_its_close_says(
    host: FakeHost, worker: Worker, action: Action
) -> None:
    nic = host.add("0000:02:00.0")
    grip = worker.take(nic) if action is Action.LET_GO else None
    host.fall_silent(nic.address)
    with pytest.raises(VfioPowerError) as refused:
        worker.run(action, nic, grip)
    assert worker.failure(refused.value, nic).code == "power-error"


def test_nobody_waits_for_the_disk_before_a_device_is_closed(
    host: FakeHost, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    nic = host.add("0000:02:00.0")
    grip = worker.take(nic)
    worker.run(Action.ENTER, nic, grip)
    open_then: list[int] = []
    real_prove = worker.files.prove

    def prove(address: PciAddress, mark: Mark) -> None:
        open_then.append(nic.vfio.opens if nic.vfio else 0)
        real_prove(address, mark)

    monkeypatch.setattr(worker.files, "prove", prove)
    worker.run(Action.LET_GO, nic, grip)
    assert open_then == [0]
    assert not worker.files.load()


def test_the_group_stays_open_until_its_last_device_is_closed(
    host: FakeHost, worker: Worker
) -> None:
    gpu, audio = host.add("0000:02:00.0", group=9), host.add("0000:02:00.1", group=9)
    grips = {device.address: worker.take(device) for device in (gpu, audio)}
    worker.run(Action.LET_GO, gpu, grips[gpu.address])
    with pytest.raises(OSError, match=r"EBUSY|EPERM"):
        host.guest(gpu.address)
    worker.run(Action.LET_GO, audio, grips[audio.address])
    host.guest(gpu.address).stop()


def test_a_device_that_has_left_the_bus_is_let_go_without_an_error(
    host: FakeHost, worker: Worker
) -> None:
    nic = host.add("0000:02:00.0")
    grip = worker.take(nic)
    host.tree.remove(nic)  # pulled out: nothing is left to look at
    worker.run(Action.LET_GO, nic, grip)
    assert nic.vfio is not None
    assert nic.vfio.opens == 0


def test_a_device_that_was_plugged_in_anew_is_not_opened_in_the_row_of_its_old_group(
    host: FakeHost, worker: Worker
) -> None:
    nic = host.add("0000:02:00.0")
    facts = host.sysfs.facts(nic.address)
    assert facts is not None
    stale = facts._replace(iommu_group=99)
    with pytest.raises(NotOurs, match="IOMMU group 1"):
        worker.errands.run(Action.TAKE, Known(nic.address, nic.identity, "rule"), stale, None)
    assert not host.calls


def test_a_device_is_probed_once_and_not_before_each_entry(host: FakeHost, worker: Worker) -> None:
    nic = host.add("0000:02:00.0")
    grip = worker.take(nic)
    for _round in range(3):
        worker.run(Action.ENTER, nic, grip)
        worker.run(Action.EXIT, nic, grip)
    worker.run(Action.LET_GO, nic, grip)
    operations = [call.operation for call in host.calls]
    assert operations.count("probe") == 2  # ENTRY and EXIT
    assert operations.count("entry") == 3


def test_a_device_without_an_iommu_group_is_refused_with_the_next_step(
    host: FakeHost, worker: Worker
) -> None:
    nic = host.add("0000:02:00.0")
    os.unlink(f"{host.tree.sys}/bus/pci/devices/{nic.address}/iommu_group")
    with pytest.raises(VfioPowerError, match="no IOMMU group") as refused:
        worker.take(nic)
    assert "IOMMU" in refused.value.hint
