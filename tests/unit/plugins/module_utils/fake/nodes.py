# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is behind the nodes: containers, groups, iommufd and open devices, with their errnos.

They have the manners of a kernel's VFIO core: what keeps a group busy, and that every ioctl on a
device wakes it first. Descriptors, waiting and arranged trouble are in kernel.py.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.uapi import vfio
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress

from . import uapi
from .vfio import ENTRY, ENTRY_WITH_WAKEUP, EXIT, VfioDevice, refusal

if TYPE_CHECKING:
    from .host import FakeDevice
    from .kernel import FakeKernel

Argument = Union[int, bytearray]
_FEATURES = {ENTRY: "entry", ENTRY_WITH_WAKEUP: "entry-with-wakeup", EXIT: "exit"}


class Call(NamedTuple):
    """One call on a device; the operations are those of trouble.py."""

    operation: str
    address: PciAddress


class IommuGroup:
    """Devices that can only be given away together, and who has them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.members: list[FakeDevice] = []
        self.opened = False  # its node is open
        self.users = 0  # devices open by way of the group
        self.owner: Optional[Iommufd] = None
        self.bound = 0  # devices bound to the owner

    @property
    def viable(self) -> bool:
        """Tell whether no host driver has a device of it."""
        return all(member.vfio or member.driver is None for member in self.members)


class Open:
    """An open file. This one knows no ioctl."""

    def about(self, request: int, argument: Argument) -> list[Call]:
        """Name the call, once for each device that it is about."""
        return []

    def fail(self, number: int) -> None:
        """Answer with an arranged errno."""
        raise refusal(number)

    def ioctl(self, request: int, argument: Argument) -> int:
        """Answer a request."""
        raise refusal(errno.ENOTTY)

    def close(self) -> None:
        """Be closed."""


class Iommufd(Open):
    """/dev/iommu."""


class Container(Open):
    """/dev/vfio/vfio."""

    def __init__(self) -> None:
        self.groups: list[IommuGroup] = []
        self.iommu = 0

    def about(self, request: int, argument: Argument) -> list[Call]:
        """What is asked of a container is about all devices in it."""
        name = "iommu" if request == vfio.VFIO_SET_IOMMU else "other"
        return [Call(name, member.address) for group in self.groups for member in group.members]

    def ioctl(self, request: int, argument: Argument) -> int:
        """Choose the IOMMU."""
        if request == uapi.VFIO_GET_API_VERSION:
            return uapi.VFIO_API_VERSION
        if request == uapi.VFIO_CHECK_EXTENSION:
            return int(argument == vfio.VFIO_TYPE1v2_IOMMU)
        if request != vfio.VFIO_SET_IOMMU:
            raise refusal(errno.ENOTTY)
        if not self.groups or self.iommu:
            raise refusal(errno.EINVAL)
        if argument != vfio.VFIO_TYPE1v2_IOMMU:
            raise refusal(errno.ENODEV)
        self.iommu = argument
        return 0


class GroupNode(Open):
    """/dev/vfio/N."""

    def __init__(self, group: IommuGroup, kernel: FakeKernel) -> None:
        if group.opened or group.users or group.bound:
            raise refusal(errno.EBUSY)
        self._group = group
        self._kernel = kernel
        self._container: Optional[Container] = None
        group.opened = True

    def about(self, request: int, argument: Argument) -> list[Call]:
        """Opening is about one device, attaching about all."""
        if request == vfio.VFIO_GROUP_GET_DEVICE_FD:
            name = _name(argument)
            members = [member for member in self._group.members if str(member.address) == name]
            return [Call("open", member.address) for member in members]
        if request == vfio.VFIO_GROUP_SET_CONTAINER:
            return [Call("attach", member.address) for member in self._group.members]
        if request == vfio.VFIO_GROUP_GET_STATUS:
            return [Call("status", member.address) for member in self._group.members]
        return []

    def ioctl(self, request: int, argument: Argument) -> int:
        """Tell the status, take a container, open a device."""
        if not isinstance(argument, bytearray):
            raise refusal(errno.EFAULT)
        if request == vfio.VFIO_GROUP_GET_STATUS:
            return self._status(argument)
        if request == vfio.VFIO_GROUP_SET_CONTAINER:
            return self._attach(int.from_bytes(argument[:4], "little", signed=True))
        if request == vfio.VFIO_GROUP_GET_DEVICE_FD:
            return self._open_device(_name(argument))
        raise refusal(errno.ENOTTY)

    def close(self) -> None:
        """Be closed; devices opened through it stay open, and keep the group busy."""
        self._group.opened = False

    def _status(self, argument: bytearray) -> int:
        status = vfio.vfio_group_status.from_buffer(argument)
        attached = uapi.VFIO_GROUP_FLAGS_CONTAINER_SET if self._container else 0
        status.flags = attached | vfio.VFIO_GROUP_FLAGS_VIABLE if self._group.viable else 0
        return 0

    def _attach(self, number: int) -> int:
        container = self._kernel.file(number)
        if self._container is not None:
            raise refusal(errno.EINVAL)
        if not isinstance(container, Container):
            raise refusal(errno.EBADFD)
        if not self._group.viable:
            raise refusal(errno.EPERM)
        self._container = container
        container.groups.append(self._group)
        return 0

    def _open_device(self, name: str) -> int:
        if self._container is None or not self._container.iommu:
            raise refusal(errno.EINVAL)
        found = (member for member in self._group.members if str(member.address) == name)
        device = next(found, None)
        if device is None or device.vfio is None or device.leaving:
            raise refusal(errno.ENODEV)
        device.vfio.open()
        self._group.users += 1
        return self._kernel.give(GroupDevice(device, device.vfio, self._group))


class OpenDevice(Open):
    """A device: every request wakes it first, even one that fails."""

    def __init__(self, device: FakeDevice, vfio_device: VfioDevice) -> None:
        self.device = device
        self._vfio = vfio_device

    def about(self, request: int, argument: Argument) -> list[Call]:
        """Name the feature."""
        if request == vfio.VFIO_DEVICE_FEATURE and isinstance(argument, bytearray):
            flags = vfio.vfio_device_feature.from_buffer_copy(argument).flags
            probe = flags & vfio.VFIO_DEVICE_FEATURE_PROBE
            name = _FEATURES.get(flags & uapi.VFIO_DEVICE_FEATURE_MASK, "other")
            return [Call("probe" if probe else name, self.device.address)]
        name = "other"
        if request == vfio.VFIO_DEVICE_SET_IRQS and isinstance(argument, bytearray):
            index = vfio.vfio_irq_set.from_buffer_copy(argument).index
            name = "irqs" if index == vfio.VFIO_PCI_REQ_IRQ_INDEX else "error-irqs"
        return [Call(name, self.device.address)]

    def fail(self, number: int) -> None:
        """Fail, but not before the device was woken."""
        if self.device.function.get():
            self.device.function.put()
        raise refusal(number)

    def ioctl(self, request: int, argument: Argument) -> int:
        """Wake, answer, and let it sleep again."""
        if not self.device.function.get():
            raise refusal(errno.EIO)
        try:
            self._answer(request, argument)
        finally:
            self.device.function.put()
        return 0

    def _answer(self, request: int, argument: Argument) -> None:
        if request not in (vfio.VFIO_DEVICE_SET_IRQS, vfio.VFIO_DEVICE_FEATURE):
            raise refusal(errno.ENOTTY)
        if not isinstance(argument, bytearray):
            raise refusal(errno.EFAULT)
        if request == vfio.VFIO_DEVICE_FEATURE:
            self._vfio.feature(argument)
        else:
            self._vfio.set_irqs(argument)


class GroupDevice(OpenDevice):
    """A device opened by way of its group."""

    def __init__(self, device: FakeDevice, vfio_device: VfioDevice, group: IommuGroup) -> None:
        super().__init__(device, vfio_device)
        self._group = group

    def close(self) -> None:
        """Be closed."""
        self._vfio.close()
        self._group.users -= 1


class DeviceNode(OpenDevice):
    """/dev/vfio/devices/vfioN: nothing happens to the device before it is bound to an iommufd."""

    def __init__(self, device: FakeDevice, vfio_device: VfioDevice, kernel: FakeKernel) -> None:
        super().__init__(device, vfio_device)
        self._kernel = kernel
        self._bound = False

    def about(self, request: int, argument: Argument) -> list[Call]:
        """Binding is what opens the device."""
        if request == vfio.VFIO_DEVICE_BIND_IOMMUFD:
            return [Call("open", self.device.address)]
        return super().about(request, argument)

    def ioctl(self, request: int, argument: Argument) -> int:
        """Bind once, then be a device."""
        if request == vfio.VFIO_DEVICE_BIND_IOMMUFD and isinstance(argument, bytearray):
            return self._bind(vfio.vfio_device_bind_iommufd.from_buffer(argument))
        if not self._bound:
            raise refusal(errno.EINVAL)
        return super().ioctl(request, argument)

    def close(self) -> None:
        """Be closed."""
        if self._bound:
            self._vfio.close()
            self.device.iommu_group.bound -= 1

    def _bind(self, bind: vfio.vfio_device_bind_iommufd) -> int:
        group = self.device.iommu_group
        if bind.argsz < 16 or bind.flags or bind.iommufd < 0:
            raise refusal(errno.EINVAL)
        if group.opened or group.users:
            raise refusal(errno.EBUSY)
        if self._bound:
            raise refusal(errno.EINVAL)
        iommufd = self._kernel.file(bind.iommufd)
        if not isinstance(iommufd, Iommufd):
            raise refusal(errno.EBADFD)
        if self.device.leaving:
            raise refusal(errno.ENODEV)
        if self._vfio.opens:
            raise refusal(errno.EINVAL)
        if not group.viable or (group.bound and group.owner is not iommufd):
            raise refusal(errno.EPERM)
        self._vfio.open()
        self._bound, group.owner = True, iommufd
        group.bound += 1
        bind.out_devid = group.bound
        return 0


def _name(argument: Argument) -> str:
    return argument.rstrip(b"\0").decode() if isinstance(argument, bytearray) else ""
