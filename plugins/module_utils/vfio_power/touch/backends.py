# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways to a device: group and container (TYPE1v2), or the device's own node and iommufd.

Opening a device resets it and may take seconds; callers do it in a worker. What a way in has
open besides its devices is one descriptor, which can be handed to it again after a restart.
"""

from __future__ import annotations

import ctypes
import errno
import time
from contextlib import ExitStack
from typing import Callable, Optional, Union

from ..uapi import vfio
from ..words.address import PciAddress
from ..words.errors import VfioPowerError
from .device import Device
from .kernel import Kernel, Node, telling

_LOOK_AGAIN = "It was bound anew or plugged in anew meanwhile: look at it again"
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # seconds; a reset takes 0.1 and more


class Group:
    """An IOMMU group in a container of its own: the way in on kernels without iommufd."""

    backend = "group"

    def __init__(self, kernel: Kernel, node: Node) -> None:
        self.node = node
        self._kernel = kernel

    @classmethod
    def open(cls, number: int, kernel: Kernel, dev: str = "/dev") -> Group:
        """Open group and container. Raises KernelRefused; EBUSY: somebody has the group."""
        subject = f"IOMMU group {number}"
        with ExitStack() as opening:
            with telling("open the group", subject):
                node = Node(kernel, kernel.open(f"{dev}/vfio/{number}"))
            opening.callback(node.close)
            _refuse_unviable(kernel, node, subject)
            with telling("open the container", subject):
                container = Node(kernel, kernel.open(f"{dev}/vfio/vfio"))
            with container:
                pointer = bytearray(bytes(ctypes.c_int32(container.fileno())))
                with telling("attach the container", subject):
                    kernel.ioctl(node.fileno(), vfio.VFIO_GROUP_SET_CONTAINER, pointer)
                with telling("set the IOMMU", subject):
                    kernel.ioctl(container.fileno(), vfio.VFIO_SET_IOMMU, vfio.VFIO_TYPE1v2_IOMMU)
            opening.pop_all()  # the group keeps its container
        return cls(kernel, node)

    def device(self, address: PciAddress) -> Device:
        """Open one device of the group; this resets it."""
        name = bytearray(f"{address}\0".encode())
        with telling("open", str(address)):
            fd = _patiently(self._kernel, self.node.fileno(), vfio.VFIO_GROUP_GET_DEVICE_FD, name)
        return Device(address, self._kernel, Node(self._kernel, fd))

    def close(self) -> None:
        """Give the group back, after its devices were closed."""
        self.node.close()


def _refuse_unviable(kernel: Kernel, node: Node, subject: str) -> None:
    status = vfio.vfio_group_status(argsz=ctypes.sizeof(vfio.vfio_group_status))
    argument = bytearray(bytes(status))
    with telling("read the group's status", subject):
        kernel.ioctl(node.fileno(), vfio.VFIO_GROUP_GET_STATUS, argument)
    flags = vfio.vfio_group_status.from_buffer(argument).flags
    if not flags & vfio.VFIO_GROUP_FLAGS_VIABLE:
        raise GroupNotViable(
            f"{subject}: is not viable, another device of it is on a host driver",
            "Bind every device of the group to vfio-pci",
        )


class GroupNotViable(VfioPowerError):
    """A device of the IOMMU group is used by a host driver."""


class NodeOfAnother(VfioPowerError):
    """A node that was opened is not the device's own."""


CdevOf = Callable[[PciAddress], Optional[str]]
"""Returns the name of a device's own node ("vfio3"), or None."""


class Iommufd:
    """The way in by /dev/iommu and the device's own node. Bind alone: nothing is mapped."""

    backend = "cdev"

    def __init__(self, kernel: Kernel, node: Node, dev: str = "/dev") -> None:
        self.node = node
        self._kernel = kernel
        self._dev = dev

    @classmethod
    def open(cls, kernel: Kernel, dev: str = "/dev") -> Iommufd:
        """Open /dev/iommu. Raises KernelRefused."""
        with telling("open /dev/iommu", "this host"):
            return cls(kernel, Node(kernel, kernel.open(f"{dev}/iommu")), dev)

    def device(self, address: PciAddress, cdev_of: CdevOf) -> Device:
        """Open the device's node and bind it; this resets it.

        Nothing happens to a device whose node is only open. So whose it is, by sysfs, is asked
        again then: a card that came meanwhile may have the name of one that went.
        """
        cdev = cdev_of(address)
        if cdev is None:
            raise NodeOfAnother(f"{address}: has no node of its own any more", _LOOK_AGAIN)
        with ExitStack() as opening:
            with telling("open the node", str(address)):
                path = f"{self._dev}/vfio/devices/{cdev}"
                fd = Node(self._kernel, self._kernel.open(path))
            opening.callback(fd.close)
            if cdev_of(address) != cdev:
                raise NodeOfAnother(f"{address}: {cdev} is not its node any more", _LOOK_AGAIN)
            bind = vfio.vfio_device_bind_iommufd(
                argsz=ctypes.sizeof(vfio.vfio_device_bind_iommufd),
                iommufd=self.node.fileno(),
            )
            argument = bytearray(bytes(bind))
            with telling("bind", str(address)):
                _patiently(self._kernel, fd.fileno(), vfio.VFIO_DEVICE_BIND_IOMMUFD, argument)
            opening.pop_all()
            return Device(address, self._kernel, fd)

    def close(self) -> None:
        """Give the iommufd back, after its devices were closed."""
        self.node.close()


WayIn = Union[Group, Iommufd]


def group_is_busy(number: int, kernel: Kernel, dev: str = "/dev") -> bool:
    """Tell whether somebody has the group, or a device of it, open. Touches no device.

    A group has one opener at a time, so this is only for the moment after it was given back.
    """
    try:
        Node(kernel, kernel.open(f"{dev}/vfio/{number}")).close()
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def _patiently(kernel: Kernel, fd: int, request: int, argument: bytearray) -> int:
    """Repeat a call that met a reset of the same slot under way (EAGAIN)."""
    for pause in _PAUSES:
        try:
            return kernel.ioctl(fd, request, argument)
        except BlockingIOError:
            time.sleep(pause)
    return kernel.ioctl(fd, request, argument)
