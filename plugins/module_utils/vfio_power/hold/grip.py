# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The descriptors of a held device, and the group or iommufd that a unit shares.

Everything here may block for seconds: it runs in workers. Jobs of one IOMMU
group run one after the other, which is what keeps the sharing simple.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from typing import Union

from ..think.policy import Action
from ..touch.device import Device, Group, Iommufd, Kernel
from ..touch.eventfd import eventfd
from ..uapi import vfio
from ..words.descriptor import OwnedFd
from ..words.errors import KernelRefused, VfioPowerError
from ..words.facts import Facts

_NEEDS = {
    Action.ENTER: (
        vfio.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
        vfio.VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
    ),
    Action.ENTER_WITH_WAKEUP: (
        vfio.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
        vfio.VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
    ),
}


class Grip:
    """One held device: its descriptor and the counters of its wakes and requests."""

    def __init__(
        self,
        device: Device,
        wake: OwnedFd,
        request: OwnedFd,
        group: int,
        backend: str,
        closing: ExitStack,
    ) -> None:
        self.device = device
        self.wake = wake
        self.request = request
        self.group = group
        self.backend = backend
        self._closing = closing
        self._probed: set[int] = set()
        self._entered = False

    def enter(self, action: Action) -> None:
        """Allow low power in the way of ``action``, after a first probe of what it needs."""
        for feature in _NEEDS[action]:
            if feature not in self._probed:
                self.device.probe(feature)
                self._probed.add(feature)
        self._entered = True
        if action is Action.ENTER_WITH_WAKEUP:
            self.device.enter_low_power_with_wakeup(self.wake)
        else:
            self.device.enter_low_power()

    def leave_low_power(self) -> None:
        """End low power where it was ever entered; no change where it is not engaged."""
        if self._entered:
            self.device.exit_low_power()

    def close(self) -> None:
        """Close all of it, and the group with its last device."""
        self._closing.close()


class _Shared:
    """A group's container or iommufd, and how many devices are open through it."""

    def __init__(self, way_in: Union[Group, Iommufd]) -> None:
        self.way_in = way_in
        self.devices = 0


class Grips:
    """Opens devices by whichever way the kernel offers, cdev before group."""

    def __init__(self, kernel: Kernel, dev: str = "/dev") -> None:
        self._kernel = kernel
        self._dev = dev
        self._shared: dict[int, _Shared] = {}

    def take(self, facts: Facts) -> Grip:
        """Open a device, which resets it. Raises VfioPowerError; then nothing stays open."""
        group = facts.iommu_group
        if group is None:
            raise VfioPowerError(
                f"{facts.address}: is in no IOMMU group", "Switch the IOMMU on and boot again"
            )
        with ExitStack() as taking:
            shared = self._enter(group, facts)
            taking.callback(self._leave, group)
            device = self._open(shared.way_in, facts)
            taking.callback(device.close)
            wake = taking.enter_context(eventfd())
            request = taking.enter_context(eventfd())
            device.signal_requests(request)
            closing = taking.pop_all()
        return Grip(device, wake, request, group, shared.way_in.backend, closing)

    def _enter(self, group: int, facts: Facts) -> _Shared:
        shared = self._shared.get(group)
        if shared is None:
            shared = self._shared[group] = _Shared(self._way_in(group, facts))
        shared.devices += 1
        return shared

    def _leave(self, group: int) -> None:
        shared = self._shared[group]
        shared.devices -= 1
        if not shared.devices:
            del self._shared[group]
            shared.way_in.close()

    def _way_in(self, group: int, facts: Facts) -> Union[Group, Iommufd]:
        if facts.cdev is not None and os.path.exists(f"{self._dev}/iommu"):
            return Iommufd(self._kernel, self._dev)
        return Group(group, self._kernel, self._dev)

    def _open(self, way_in: Union[Group, Iommufd], facts: Facts) -> Device:
        if isinstance(way_in, Group):
            return way_in.device(facts.address)
        try:
            return way_in.device(facts.address, facts.cdev or "")
        except KernelRefused as refused:
            if refused.number != errno.EINVAL:
                raise
            # A node that somebody else has bound answers EINVAL where a group says EBUSY.
            raise KernelRefused("open", str(facts.address), errno.EBUSY, refused.hint) from refused
