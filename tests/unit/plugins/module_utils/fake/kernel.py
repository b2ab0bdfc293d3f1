# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel of a FakeHost, as touch/kernel.py asks it: open, ioctl and close.

Descriptors are real ones, so that a leak is seen. What the files behind them do is in nodes.py,
what can be made to go wrong in trouble.py.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from .nodes import Argument, Call, Container, DeviceNode, GroupNode, Iommufd, Open, OpenDevice
from .vfio import VfioDevice, refusal

if TYPE_CHECKING:
    from .host import FakeDevice, FakeHost


class FakeKernel:
    """Another touch.kernel.Kernel. Each process of the host has one, with its own descriptors."""

    def __init__(self, host: FakeHost, calls: list[Call]) -> None:
        self._host = host
        self._calls = calls
        self._files: dict[int, Open] = {}

    def open(self, path: str) -> int:
        """Open a node for reading and writing."""
        folder, name = os.path.split(path)
        with self._host.changed:
            devices = self._behind(path)
        self._meet([Call("node", device.address) for device in devices])
        number = self._host.trouble.meet(None, name)
        if number:
            raise refusal(number)
        with self._host.changed:
            if not os.path.exists(path):
                raise refusal(errno.ENOENT)
            if name == "vfio":
                return self.give(Container())
            if name == "iommu":
                return self.give(Iommufd())
            if folder.endswith("/devices"):
                (device,) = devices
                return self.give(DeviceNode(device, _on_vfio(device), self))
            return self.give(GroupNode(self._host.groups[int(name)], self))

    def ioctl(self, fd: int, request: int, argument: Argument) -> int:
        """Answer a request."""
        file = self.file(fd)
        number = self._meet(file.about(request, argument), answers=True)
        with self._host.changed:
            if number:
                file.fail(number)
            return file.ioctl(request, argument)

    def close(self, fd: int) -> None:
        """Close a descriptor. A device may take its time, and is closed whatever is answered."""
        file = self.file(fd)
        number = 0
        last = list(self._files.values()).count(file) <= 1
        if last and isinstance(file, OpenDevice):
            number = self._meet([Call("close", file.device.address)], answers=True)
        with self._host.changed:
            self._files.pop(fd, None)
            os.close(fd)
            if last:
                file.close()
            self._host.changed.notify_all()
        if number:
            raise refusal(number)

    def file(self, fd: int) -> Open:
        """Return what is behind a descriptor."""
        if fd not in self._files:
            os.fstat(fd)  # EBADF
            return Open()
        return self._files[fd]

    def give(self, file: Open) -> int:
        """Return a new descriptor for an open file."""
        fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._files[fd] = file
        return fd

    def copy(self, fd: int) -> int:
        """Return another descriptor of the same open file, for another process to have."""
        number = os.dup(fd)
        if fd in self._files:
            self._files[number] = self._files[fd]
        return number

    def _behind(self, path: str) -> list[FakeDevice]:
        """Return the devices of a group's or a device's node."""
        folder, name = os.path.split(path)
        devices = list(self._host.devices.values())
        if folder.endswith("/devices"):
            return [device for device in devices if device.cdev == name]
        return [device for device in devices if str(device.group) == name]

    def _meet(self, calls: list[Call], *, answers: bool = False) -> int:
        """Note the calls and wait where they are held up; return or raise the arranged errno."""
        self._calls.extend(calls)
        numbers = [self._host.trouble.meet(call.address, call.operation) for call in calls]
        number = next(filter(None, numbers), 0)
        if number and not answers:
            raise refusal(number)
        return number


def _on_vfio(device: FakeDevice) -> VfioDevice:
    if device.vfio is None:
        raise refusal(errno.ENODEV)
    return device.vfio
