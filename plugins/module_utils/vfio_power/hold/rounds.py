# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks round for what nobody tells of: a lost device, a sleep of the host, another policy.

Runs in the loop's thread, on what sysfs has in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable, Optional

from ..think.policy import ENGAGED
from ..words.address import PciAddress
from ..words.facts import Power
from .calls import Calls
from .failures import lost
from .holder import Holder
from .lookout import Lookout
from .surroundings import Surroundings, Timer

LOOK_AGAIN = 5.0
"""Seconds between two looks at a host policy that is not as declared."""


class Rounds:
    """Looks at devices that are held, or that could be if something were otherwise.

    ``distrust`` hears of a lost device with the code and the reason, ``refresh`` of one that is
    to be looked at anew.
    """

    def __init__(
        self,
        around: Surroundings,
        holders: Mapping[PciAddress, Holder],
        calls: Calls,
        power: Callable[[PciAddress], Optional[Power]],
        distrust: Callable[[PciAddress, str, str], None],
        refresh: Callable[[PciAddress], None],
    ) -> None:
        self._around = around
        self._holders = holders
        self._calls = calls
        self._lookout = Lookout(power)
        self._distrust = distrust
        self._refresh = refresh
        self._coming: dict[PciAddress, Timer] = {}

    def comes_by(self, address: PciAddress) -> bool:
        """Tell whether a device is looked at soon anyway."""
        return address in self._coming

    def come_by(self, address: PciAddress) -> None:
        """Look at a device anew in a while, once."""

        def look() -> None:
            del self._coming[address]
            self._refresh(address)

        self._coming[address] = self._around.call_later(LOOK_AGAIN, look)

    def after_system_sleep(self) -> None:
        """Look at every device that may sleep: the host slept, and some forget over that."""
        for holder in self._holders.values():
            if holder.state in ENGAGED and holder.grip is not None:
                self._calls.look_at(holder)

    def look_for_lost(self) -> None:
        """Look at every device that is held, and trust those no more that are lost."""
        held = [it for it, holder in self._holders.items() if holder.grip and not holder.busy]
        for address, power in self._lookout.lost(held):
            self._distrust(address, "power-error", lost(address, power).message)
