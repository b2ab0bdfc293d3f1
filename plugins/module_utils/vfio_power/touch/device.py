# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One VFIO device. Methods are the verbs of the kernel's header.

Every ioctl on a device descriptor, PROBE and the failing ones included, resumes
the device first, so nothing here may be used to look at a device: touch/sysfs.py
does that. None of it maps DMA or a BAR.
"""

from __future__ import annotations

import ctypes
import errno

from ..uapi import vfio
from ..words.address import PciAddress
from ..words.descriptor import OwnedFd
from ..words.errors import KernelRefused, Unsupported
from .kernel import Kernel, Node, telling

FEATURES = {
    vfio.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY: "LOW_POWER_ENTRY",
    vfio.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP: "LOW_POWER_ENTRY_WITH_WAKEUP",
    vfio.VFIO_DEVICE_FEATURE_LOW_POWER_EXIT: "LOW_POWER_EXIT",
}


class Device:
    """A held device. Methods are the header's verbs; each call resumes the device."""

    def __init__(self, address: PciAddress, kernel: Kernel, fd: Node) -> None:
        self.address = address
        self._kernel = kernel
        self._fd = fd

    @property
    def node(self) -> Node:
        """The descriptor. It must never be polled: it is always ready."""
        return self._fd

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
        self._trigger("register for requests", vfio.VFIO_PCI_REQ_IRQ_INDEX, request)

    def signal_errors(self, error: OwnedFd) -> bool:
        """Have ``error`` signalled when the device reports an uncorrectable error (AER).

        False: the device cannot report any, it is not on PCI Express.
        """
        try:
            self._trigger("register for errors", vfio.VFIO_PCI_ERR_IRQ_INDEX, error)
        except KernelRefused as refused:
            if refused.number not in (errno.EINVAL, errno.ENOTTY):
                raise
            return False
        return True

    def _trigger(self, operation: str, index: int, counter: OwnedFd) -> None:
        size = ctypes.sizeof(vfio.vfio_irq_set) + ctypes.sizeof(ctypes.c_int32)
        header = vfio.vfio_irq_set(
            argsz=size,
            flags=vfio.VFIO_IRQ_SET_DATA_EVENTFD | vfio.VFIO_IRQ_SET_ACTION_TRIGGER,
            index=index,
            start=0,
            count=1,
        )
        argument = bytearray(bytes(header) + bytes(ctypes.c_int32(counter.fileno())))
        with telling(operation, str(self.address)):
            self._kernel.ioctl(self._fd.fileno(), vfio.VFIO_DEVICE_SET_IRQS, argument)

    def _feature(self, operation: str, flags: int, payload: bytes = b"") -> None:
        size = ctypes.sizeof(vfio.vfio_device_feature) + len(payload)
        header = vfio.vfio_device_feature(argsz=size, flags=flags)
        with telling(operation, str(self.address)):
            argument = bytearray(bytes(header) + payload)
            self._kernel.ioctl(self._fd.fileno(), vfio.VFIO_DEVICE_FEATURE, argument)
