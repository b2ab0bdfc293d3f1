# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One VFIO device and what it takes to hold it. The only file that calls ioctl.

Every ioctl on a device descriptor, PROBE and the failing ones included, resumes
the device first, so nothing here may be used to look at a device: touch/sysfs.py
does that. None of it maps DMA or a BAR.

Opening resets the device and may take seconds; callers run it in a worker.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol, Union

from ..uapi import vfio
from ..words.address import PciAddress
from ..words.descriptor import OwnedFd
from ..words.errors import KernelRefused, Unsupported, VfioPowerError
from .refusals import hint_for

FEATURES = {
    vfio.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY: "LOW_POWER_ENTRY",
    vfio.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP: "LOW_POWER_ENTRY_WITH_WAKEUP",
    vfio.VFIO_DEVICE_FEATURE_LOW_POWER_EXIT: "LOW_POWER_EXIT",
}
_OPEN_ATTEMPTS = 5  # EAGAIN: another reset of the slot holds the lock


class Kernel(Protocol):
    """All that is asked of a kernel; the unit tests bring one of their own."""

    def open(self, path: str) -> int:
        """Open a node for reading and writing."""

    def ioctl(self, fd: int, request: int, argument: Union[int, bytearray]) -> int:
        """Return the call's result; a bytearray is written back."""

    def close(self, fd: int) -> None:
        """Close a descriptor."""


class Linux:
    """The kernel this program runs on."""

    def open(self, path: str) -> int:
        """Open a node for reading and writing, never through a link."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)

    def ioctl(self, fd: int, request: int, argument: Union[int, bytearray]) -> int:
        """Call ioctl(2). Bytes would make Python return the buffer and lose a new descriptor."""
        return fcntl.ioctl(fd, request, argument)

    def close(self, fd: int) -> None:
        """Close a descriptor; the last one of a device resets it."""
        os.close(fd)


class Node(OwnedFd):
    """A descriptor of a VFIO node, closed by the kernel it came from."""

    def __init__(self, kernel: Kernel, number: int) -> None:
        super().__init__(number)
        self._kernel = kernel

    def close(self) -> None:
        """Close the descriptor; closing again does nothing."""
        number = self.steal()
        if number >= 0:
            self._kernel.close(number)


@contextmanager
def telling(operation: str, subject: str) -> Iterator[None]:
    """Turn the kernel's refusal into an error that names operation, device and errno."""
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        raise KernelRefused(operation, subject, number, hint_for(operation, number)) from error


class Device:
    """A held device. Methods are the header's verbs; each call resumes the device."""

    def __init__(self, address: PciAddress, kernel: Kernel, fd: Node) -> None:
        self.address = address
        self._kernel = kernel
        self._fd = fd

    def fileno(self) -> int:
        """Return the descriptor's number. It must never be polled: it is always ready."""
        return self._fd.fileno()

    def close(self) -> None:
        """Close the descriptor. As the last one it ends low power and resets the device."""
        with telling("close", str(self.address)):
            self._fd.close()

    def probe(self, feature: int) -> None:
        """Ask whether the driver offers a feature.

        Raises Unsupported on ENOTTY, and on EINVAL too: older drivers answer so.
        """
        flags = feature | vfio.VFIO_DEVICE_FEATURE_SET | vfio.VFIO_DEVICE_FEATURE_PROBE
        try:
            self._feature(f"probe {FEATURES[feature]}", flags)
        except KernelRefused as refused:
            if refused.number not in (errno.ENOTTY, errno.EINVAL):
                raise
            raise Unsupported(
                f"{self.address}: its driver does not offer {FEATURES[feature]}",
                "Declare mode none for it, or bind a driver that offers the feature"
                " (vfio-pci of Linux 6.1 or newer does)",
            ) from refused

    def enter_low_power(self) -> None:
        """Allow the device to sleep; it wakes for any access and goes back by itself."""
        flags = vfio.VFIO_DEVICE_FEATURE_SET | vfio.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
        self._feature("enter low power", flags)

    def enter_low_power_with_wakeup(self, wakeup: OwnedFd) -> None:
        """Allow the device to sleep until the first access, which signals ``wakeup`` once."""
        entry = vfio.vfio_device_low_power_entry_with_wakeup(wakeup_eventfd=wakeup.fileno())
        feature = vfio.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP
        flags = vfio.VFIO_DEVICE_FEATURE_SET | feature
        self._feature("enter low power with wakeup", flags, bytes(entry))

    def exit_low_power(self) -> None:
        """End low power. Success too where none was engaged."""
        flags = vfio.VFIO_DEVICE_FEATURE_SET | vfio.VFIO_DEVICE_FEATURE_LOW_POWER_EXIT
        self._feature("exit low power", flags)

    def signal_requests(self, request: OwnedFd) -> None:
        """Have ``request`` signalled when somebody wants the device back (unbind, unplug)."""
        size = ctypes.sizeof(vfio.vfio_irq_set) + ctypes.sizeof(ctypes.c_int32)
        header = vfio.vfio_irq_set(
            argsz=size,
            flags=vfio.VFIO_IRQ_SET_DATA_EVENTFD | vfio.VFIO_IRQ_SET_ACTION_TRIGGER,
            index=vfio.VFIO_PCI_REQ_IRQ_INDEX,
            start=0,
            count=1,
        )
        argument = bytearray(bytes(header) + bytes(ctypes.c_int32(request.fileno())))
        with telling("register for requests", str(self.address)):
            self._kernel.ioctl(self._fd.fileno(), vfio.VFIO_DEVICE_SET_IRQS, argument)

    def _feature(self, operation: str, flags: int, payload: bytes = b"") -> None:
        size = ctypes.sizeof(vfio.vfio_device_feature) + len(payload)
        header = vfio.vfio_device_feature(argsz=size, flags=flags)
        with telling(operation, str(self.address)):
            argument = bytearray(bytes(header) + payload)
            self._kernel.ioctl(self._fd.fileno(), vfio.VFIO_DEVICE_FEATURE, argument)


class Group:
    """An IOMMU group in a container of its own: the way in on kernels without iommufd."""

    backend = "group"

    def __init__(self, number: int, kernel: Kernel, dev: str = "/dev") -> None:
        """Open container and group. Raises KernelRefused; EBUSY: somebody has the group."""
        self._kernel = kernel
        subject = f"IOMMU group {number}"
        with ExitStack() as opening:
            with telling("open the group", subject):
                group = opening.enter_context(Node(kernel, kernel.open(f"{dev}/vfio/{number}")))
            self._refuse_unviable(group, subject)
            with telling("open the container", subject):
                container = opening.enter_context(Node(kernel, kernel.open(f"{dev}/vfio/vfio")))
            with telling("attach the container", subject):
                pointer = bytearray(bytes(ctypes.c_int32(container.fileno())))
                kernel.ioctl(group.fileno(), vfio.VFIO_GROUP_SET_CONTAINER, pointer)
                kernel.ioctl(container.fileno(), vfio.VFIO_SET_IOMMU, vfio.VFIO_TYPE1v2_IOMMU)
            self._group = group
            self._nodes = opening.pop_all()

    def device(self, address: PciAddress) -> Device:
        """Open one device of the group; this resets it."""
        name = bytearray(f"{address}\0".encode())
        with telling("open", str(address)):
            fd = _patiently(self._kernel, self._group.fileno(), vfio.VFIO_GROUP_GET_DEVICE_FD, name)
        return Device(address, self._kernel, Node(self._kernel, fd))

    def close(self) -> None:
        """Give the group back, after its devices were closed."""
        self._nodes.close()

    def _refuse_unviable(self, group: OwnedFd, subject: str) -> None:
        status = vfio.vfio_group_status(argsz=ctypes.sizeof(vfio.vfio_group_status))
        argument = bytearray(bytes(status))
        with telling("read the group's status", subject):
            self._kernel.ioctl(group.fileno(), vfio.VFIO_GROUP_GET_STATUS, argument)
        flags = vfio.vfio_group_status.from_buffer(argument).flags
        if not flags & vfio.VFIO_GROUP_FLAGS_VIABLE:
            raise GroupNotViable(
                f"{subject}: is not viable, another device of it is on a host driver",
                "Bind every device of the group to vfio-pci",
            )


class GroupNotViable(VfioPowerError):
    """A device of the IOMMU group is used by a host driver."""


class Iommufd:
    """The way in by /dev/iommu and the device's own node. Bind alone: nothing is mapped."""

    backend = "cdev"

    def __init__(self, kernel: Kernel, dev: str = "/dev") -> None:
        """Open /dev/iommu. Raises KernelRefused."""
        self._kernel = kernel
        self._dev = dev
        with telling("open /dev/iommu", "this host"):
            self._iommufd = Node(kernel, kernel.open(f"{dev}/iommu"))

    def device(self, address: PciAddress, cdev: str) -> Device:
        """Open the device behind the node ``cdev`` ("vfio3") and bind it; this resets it."""
        with ExitStack() as opening, telling("open", str(address)):
            path = f"{self._dev}/vfio/devices/{cdev}"
            fd = Node(self._kernel, self._kernel.open(path))
            opening.callback(fd.close)
            bind = vfio.vfio_device_bind_iommufd(
                argsz=ctypes.sizeof(vfio.vfio_device_bind_iommufd),
                iommufd=self._iommufd.fileno(),
            )
            argument = bytearray(bytes(bind))
            _patiently(self._kernel, fd.fileno(), vfio.VFIO_DEVICE_BIND_IOMMUFD, argument)
            opening.pop_all()
            return Device(address, self._kernel, fd)

    def close(self) -> None:
        """Give the iommufd back, after its devices were closed."""
        self._iommufd.close()


def _patiently(kernel: Kernel, fd: int, request: int, argument: bytearray) -> int:
    """Repeat a call that met a reset of the same slot under way (EAGAIN)."""
    for _attempt in range(_OPEN_ATTEMPTS - 1):
        try:
            return kernel.ioctl(fd, request, argument)
        except BlockingIOError:
            continue
    return kernel.ioctl(fd, request, argument)
