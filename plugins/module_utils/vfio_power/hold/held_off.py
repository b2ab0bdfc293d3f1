# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that stay awake while somebody changes the host's policy for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..words.address import PciAddress


class HeldOff:
    """Counts who wants each device left awake; several clients may want the same one."""

    def __init__(self) -> None:
        self._wanted: Counter[PciAddress] = Counter()

    def __contains__(self, address: PciAddress) -> bool:
        """Tell whether a device is not to be taken or entered now."""
        return self._wanted[address] > 0

    def begin(self, addresses: Iterable[PciAddress]) -> None:
        """Leave them awake from now on."""
        self._wanted.update(addresses)

    def end(self, addresses: Iterable[PciAddress]) -> None:
        """Take one wish for each of them back."""
        self._wanted.subtract(addresses)
        self._wanted = +self._wanted  # keeps those above zero
