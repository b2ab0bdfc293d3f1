# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices below one port wake together: each call to one of them may be why another one wakes."""

from __future__ import annotations

from collections.abc import Iterable

from ..words.address import PciAddress
from .holder import Holder
from .table import Table
from .windows import Windows


class Neighbours:
    """All holders by port, and the windows that our calls open over them."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._table = Table()
        self._below: dict[PciAddress, list[Holder]] = {}  # by port

    def install(self, table: Table, holders: Iterable[Holder]) -> None:
        """Go by the ports of another table from now on, for all holders that there are."""
        self._table = table
        self._below = {}
        for holder in holders:
            self.add(holder)

    def add(self, holder: Holder) -> None:
        """Put a holder below the port of its device."""
        self._below.setdefault(self.port(holder.address), []).append(holder)

    def port(self, address: PciAddress) -> PciAddress:
        """Return what devices that wake together have in common; a device alone is its own.

        A root port that returns from D3cold wakes all below it, also beyond a switch.
        """
        facts = self._table.devices.get(address)
        return facts.root_port if facts and facts.root_port else address

    def begin_call(self, port: PciAddress) -> None:
        """Open the window over a port; what woke before that was not this call."""
        self._look_for_wakes(port)
        self._windows.begin(port)

    def end_call(self, port: PciAddress, address: PciAddress) -> None:
        """Close it after a call to one device; what woke until now may have been this call."""
        self._look_for_wakes(port)
        self._windows.end(port, address)

    def own_wake(self, address: PciAddress) -> bool:
        """Tell whether a wake of a device seen now may be our own doing."""
        return self._windows.own(self.port(address), address)

    def _look_for_wakes(self, port: PciAddress) -> None:
        for holder in list(self._below.get(port, ())):
            holder.look_for_wake()
