# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wakes that repeat themselves: the first is told, and then their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Optional

from ..words.address import PciAddress
from ..words.waker import Kind, Waker

WINDOW = 10.0
"""Seconds for which the same is counted rather than told."""


class Repeated(NamedTuple):
    """So many more wakes of a device by the same command."""

    address: PciAddress
    waker: Waker  # the last one
    times: int


_Key = tuple[PciAddress, Kind, Optional[str]]
"""Not by the unit, which is not always there to be seen, nor by the pid."""


class Repeats:
    """Holds back wakes of a device by a command that was told a moment ago, and counts them."""

    def __init__(self) -> None:
        self._ends: dict[_Key, float] = {}
        self._counted: dict[_Key, Repeated] = {}

    def first(self, address: PciAddress, waker: Waker, now: float) -> bool:
        """Tell whether a wake is to be told now; else it is counted."""
        key = address, waker.kind, waker.command
        if key not in self._ends:
            self._ends[key] = now + WINDOW
            return True
        before = self._counted.get(key)
        self._counted[key] = Repeated(address, waker, before.times + 1 if before else 1)
        return False

    def due(self) -> Optional[float]:
        """Return when there may be something to tell."""
        return min(self._ends.values(), default=None)

    def over(self, now: float) -> Iterator[Repeated]:
        """Yield what was counted, where the time for it is over."""
        for key in [key for key, ends in self._ends.items() if ends <= now]:
            repeated = self._counted.pop(key, None)
            if repeated is None:
                del self._ends[key]
            else:
                self._ends[key] = now + WINDOW
                yield repeated
