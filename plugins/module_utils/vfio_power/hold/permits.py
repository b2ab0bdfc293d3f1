# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the helper may have a device: at once because somebody asked, or after a grace."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Callable, Optional

from ..words.address import PciAddress
from .surroundings import Surroundings, Timer


class Permits:
    """The devices that may be taken now, and those that may be later.

    A device without a permit is let go, and not taken. Graces give a guest that
    starts with the host, or right after a bind, its device first. ``aside`` are those
    whose permit was withdrawn, and which nobody has asked for since.
    """

    def __init__(
        self,
        around: Surroundings,
        changed: Callable[[PciAddress], None],
        over: Callable[[list[PciAddress]], None],
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        """``changed`` hears of each permit; ``over`` of each grace that has ended, and grants.

        ``keep`` writes down what the next helper has to know, before anything moves by it.
        """
        self._around = around
        self._changed = changed
        self._over = over
        self._keep = keep
        self.closed = False
        self.aside: set[PciAddress] = set()
        self._granted: set[PciAddress] = set()
        self._later: dict[PciAddress, tuple[Timer, float]] = {}  # until when, since the boot

    def has(self, address: PciAddress) -> bool:
        """Tell whether the device may be held now."""
        return address in self._granted

    def due(self, address: PciAddress) -> Optional[float]:
        """Return when it may be taken (seconds since the epoch), or None: now or never."""
        later = self._later.get(address)
        return self._around.clock() + later[1] - self._around.uptime() if later else None

    def left(self) -> dict[PciAddress, float]:
        """Return the seconds that are left of each grace that runs."""
        now = self._around.uptime()
        return {address: end - now for address, (_timer, end) in self._later.items()}

    def grant_from_before(self, addresses: Iterable[PciAddress]) -> None:
        """Allow what was allowed when a helper before us died; nobody needs to hear of it."""
        self._granted.update(addresses)

    def grant(self, addresses: Iterable[PciAddress]) -> None:
        """Allow it now."""
        granted = [] if self.closed else list(addresses)
        kept = self.aside & set(granted) or self._later.keys() & set(granted)
        for address in granted:
            self._forget_later(address)
            self.aside.discard(address)
            self._granted.add(address)
        if kept:
            self._keep()
        for address in granted:
            self._changed(address)

    def withdraw(self, addresses: Iterable[PciAddress]) -> None:
        """Allow it no longer; a grace that runs ends without effect."""
        withdrawn = list(addresses)
        for address in withdrawn:
            self._forget_later(address)
            self._granted.discard(address)
        if not self.closed:
            self.aside.update(withdrawn)
            self._keep()
        for address in withdrawn:
            self._changed(address)

    def grant_later(self, addresses: Iterable[PciAddress], seconds: float) -> None:
        """Allow it after a grace, counted from now.

        What is allowed already stays allowed, and a longer grace that runs goes on.
        """
        if self.closed:
            return  # the graces that ran are on disk, for whoever starts the helper again
        end = self._around.uptime() + seconds
        for address in addresses:
            runs = self._later.get(address)
            if address in self._granted or (runs is not None and runs[1] > end):
                continue
            self._forget_later(address)
            self.aside.discard(address)
            timer = self._around.call_at(end, partial(self._ended, address))
            self._later[address] = (timer, end)
        self._keep()

    def close(self) -> None:
        """Allow nothing any more, now or later."""
        self.closed = True
        self.aside.clear()  # whoever starts the helper again asks for all
        self._keep()  # with the graces that run, which go on then
        self.withdraw([*self._granted, *self._later])

    def _ended(self, address: PciAddress) -> None:
        self._forget_later(address)
        self._over([address])

    def _forget_later(self, address: PciAddress) -> None:
        later = self._later.pop(address, None)
        if later is not None:
            later[0].cancel()
