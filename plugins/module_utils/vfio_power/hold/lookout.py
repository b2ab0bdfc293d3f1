# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds held devices that are lost while no call of ours would tell: a stranger woke them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Callable, Optional

from ..words.address import PciAddress
from ..words.facts import Power


class Lookout:
    """Looks at what sysfs has in memory, which wakes nothing and waits for nobody."""

    def __init__(self, power: Callable[[PciAddress], Optional[Power]]) -> None:
        self._power = power
        self._suspects: frozenset[PciAddress] = frozenset()

    def lost(self, held: Iterable[PciAddress]) -> Iterator[tuple[PciAddress, Power]]:
        """Yield the devices that looked lost now and the time before.

        Once is not enough: on its way from one state to another one a device looks like that too.
        """
        seen = {address: self._power(address) for address in held}
        lost = {address: power for address, power in seen.items() if power and power.lost}
        again = {it: power for it, power in lost.items() if it in self._suspects}
        self._suspects = frozenset(lost)
        yield from again.items()
