# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device on a VFIO driver: opens and resets, low power, and the eventfds given to the kernel.

How low power really behaves, cell by cell, is proven by the contract tests, which run on this
and on a real kernel. Descriptors, groups and iommufd are in kernel.py.
"""

from __future__ import annotations

import errno
import os
from typing import Optional

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.uapi import vfio

from . import uapi
from .power import Function

ENTRY = vfio.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
ENTRY_WITH_WAKEUP = vfio.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP
EXIT = vfio.VFIO_DEVICE_FEATURE_LOW_POWER_EXIT

_METHODS = (
    uapi.VFIO_DEVICE_FEATURE_GET | vfio.VFIO_DEVICE_FEATURE_SET | vfio.VFIO_DEVICE_FEATURE_PROBE
)


def refusal(number: int) -> OSError:
    """Return what the kernel answers in place of a result."""
    return OSError(number, os.strerror(number))


class Counter:
    """The kernel's own reference to an eventfd: closing the caller's descriptor does not end it."""

    def __init__(self, number: int) -> None:
        if number < 0:
            raise refusal(errno.EINVAL)
        self._number = os.dup(number)  # EBADF, as the kernel says
        if "[eventfd]" not in os.readlink(f"/proc/self/fd/{self._number}"):
            self.drop()
            raise refusal(errno.EINVAL)

    def signal(self) -> None:
        """Add one."""
        os.write(self._number, (1).to_bytes(8, "little"))

    def drop(self) -> None:
        """Forget it."""
        os.close(self._number)


class VfioDevice:
    """What vfio-pci keeps of one device, open or not."""

    def __init__(self, function: Function, *, idle_d3: bool) -> None:
        self.function = function
        self.features = {ENTRY, ENTRY_WITH_WAKEUP, EXIT}
        self.unsupported = errno.ENOTTY  # some kernels say EINVAL
        self.opens = 0
        self.resets = 0
        self.engaged = False
        self._idle_d3 = idle_d3
        self._wakeup: Optional[Counter] = None
        self._request: Optional[Counter] = None
        self._error: Optional[Counter] = None
        function.on_resume = self._resumed
        # As the driver's probe does: one count is kept unless idle devices may sleep.
        function.usage += 1
        function.write_control("auto")
        if idle_d3:
            function.put()

    @property
    def armed(self) -> bool:
        """Tell whether the next resume ends low power and is told."""
        return self.engaged and self._wakeup is not None

    def open(self) -> None:
        """Open once more; the first time wakes and resets the device."""
        if self.opens == 0:
            if self._idle_d3 and not self.function.get():
                raise refusal(errno.EINVAL)
            self.resets += 1
        self.opens += 1

    def close(self) -> None:
        """Close once; the last time ends low power without a signal, and resets."""
        self.opens -= 1
        if self.opens:
            return
        self._disengage()
        self.function.resume()
        self.resets += 1
        self._drop_request()
        self._drop_error()
        if self._idle_d3:
            self.function.put()

    def unbound(self) -> None:
        """Leave the driver: awake, and power/control=on."""
        self.function.on_resume = lambda: None
        if self._idle_d3:
            self.function.usage += 1
        self.function.write_control("on")
        self.function.usage -= 1
        self.function.resume()

    def ask_back(self) -> None:
        """Tell the holder that somebody wants the device."""
        if self._request is not None:
            self._request.signal()

    def report_error(self) -> None:
        """Tell of an uncorrectable error. Recovery has woken all below the port before."""
        for function in self.function.port.functions:
            function.resume()
        if self._error is not None:
            self._error.signal()

    def set_irqs(self, argument: bytearray) -> None:
        """VFIO_DEVICE_SET_IRQS, of which only requests and errors matter here."""
        size = len(bytes(vfio.vfio_irq_set()))
        irqs = vfio.vfio_irq_set.from_buffer_copy(argument)
        wanted = vfio.VFIO_IRQ_SET_DATA_EVENTFD | vfio.VFIO_IRQ_SET_ACTION_TRIGGER
        if irqs.argsz < size or irqs.flags != wanted or irqs.start or irqs.count != 1:
            raise refusal(errno.EINVAL)
        number = int.from_bytes(argument[size : size + 4], "little", signed=True)
        counter = None if number == -1 else Counter(number)
        if irqs.index == vfio.VFIO_PCI_REQ_IRQ_INDEX:
            self._drop_request()
            self._request = counter
        elif irqs.index == vfio.VFIO_PCI_ERR_IRQ_INDEX:
            self._drop_error()
            self._error = counter
        elif counter is not None:
            counter.drop()

    def feature(self, argument: bytearray) -> None:
        """VFIO_DEVICE_FEATURE, checked in the kernel's order."""
        header = vfio.vfio_device_feature.from_buffer_copy(argument)
        feature, method = header.flags & uapi.VFIO_DEVICE_FEATURE_MASK, header.flags & _METHODS
        if header.argsz < 8 or header.flags & ~(uapi.VFIO_DEVICE_FEATURE_MASK | _METHODS):
            raise refusal(errno.EINVAL)
        if method == uapi.VFIO_DEVICE_FEATURE_GET | vfio.VFIO_DEVICE_FEATURE_SET:
            raise refusal(errno.EINVAL)
        if feature not in self.features:
            raise refusal(self.unsupported)
        if not method or method & uapi.VFIO_DEVICE_FEATURE_GET:
            raise refusal(errno.EINVAL)
        if method & vfio.VFIO_DEVICE_FEATURE_PROBE:
            return
        if feature == EXIT:
            self._disengage()
        elif feature == ENTRY:
            self._enter(None)
        else:
            self._enter(self._counter(header.argsz, argument))

    def _counter(self, size: int, argument: bytearray) -> Counter:
        if size < 16:
            raise refusal(errno.EINVAL)
        entry = vfio.vfio_device_low_power_entry_with_wakeup.from_buffer_copy(argument, 8)
        return Counter(entry.wakeup_eventfd)

    def _enter(self, wakeup: Optional[Counter]) -> None:
        if self.engaged:
            if wakeup is not None:
                wakeup.drop()
            raise refusal(errno.EINVAL)
        self.engaged, self._wakeup = True, wakeup
        self.function.usage -= 1  # the open's own; the call's end lets the device sleep

    def _disengage(self) -> None:
        if not self.engaged:
            return
        self.function.usage += 1
        self.engaged = False
        self._drop_wakeup()

    def _resumed(self) -> None:
        if self._wakeup is None:
            return
        self._wakeup.signal()
        self._disengage()

    def _drop_wakeup(self) -> None:
        if self._wakeup is not None:
            self._wakeup.drop()
        self._wakeup = None

    def _drop_request(self) -> None:
        if self._request is not None:
            self._request.drop()
        self._request = None

    def _drop_error(self) -> None:
        if self._error is not None:
            self._error.drop()
        self._error = None
