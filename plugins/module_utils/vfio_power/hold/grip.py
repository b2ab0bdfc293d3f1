# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One held device: its descriptors, and what is asked of it through them.

Everything here may block for seconds: it runs in workers.
"""

from __future__ import annotations

import errno
from typing import Callable, NamedTuple

from ..think.policy import Action
from ..touch.device import Device
from ..touch.eventfd import signalled
from ..uapi import vfio
from ..words.descriptor import OwnedFd
from ..words.errors import KernelRefused

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


class Counters(NamedTuple):
    """The eventfds by which the kernel tells of a device, for as long as it is held."""

    wake: OwnedFd
    request: OwnedFd  # somebody wants it: unbind, unplug
    error: OwnedFd  # it reported an uncorrectable error


class Grip:
    """A held device and its counters. Whoever makes it says how it is let go."""

    def __init__(
        self,
        device: Device,
        counters: Counters,
        group: int,
        backend: str,
        let_go: Callable[[Grip], None],
    ) -> None:
        self.device = device
        self.counters = counters
        self.group = group
        self.backend = backend
        self._let_go = let_go
        self._probed: set[int] = set()
        self._entered = False

    @property
    def entered(self) -> bool:
        """Tell whether low power was ever entered, by us or perhaps by somebody before us."""
        return self._entered

    def enter(self, action: Action) -> None:
        """Allow low power in the way of ``action``, after a first probe of what it needs."""
        for feature in _NEEDS[action]:
            if feature not in self._probed:
                self.device.probe(feature)
                self._probed.add(feature)
        self._entered = True
        if action is Action.ENTER_WITH_WAKEUP:
            self.device.enter_low_power_with_wakeup(self.counters.wake)
        else:
            self.device.enter_low_power()

    def leave_low_power(self) -> None:
        """End low power where it was ever entered; no change where it is not engaged."""
        if not self._entered:
            return
        try:
            self.device.exit_low_power()
        except KernelRefused as refused:
            if self._probed or refused.number not in (errno.ENOTTY, errno.EINVAL):
                raise
            # Its driver offers none: whoever had it before us died while asking for that.
            self._entered = False

    def taken_over(self) -> None:
        """Know that somebody before us may have entered low power."""
        self._entered = True

    @property
    def failed(self) -> bool:
        """Tell whether the device reported an uncorrectable error."""
        return signalled(self.counters.error)

    def close(self) -> None:
        """Close all of it, and the group with its last device."""
        self._let_go(self)
