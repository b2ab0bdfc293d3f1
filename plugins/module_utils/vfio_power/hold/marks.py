# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No host is killed twice: a device that sleeps for the first time in a boot is marked before.

The mark is taken away once the device has proven harmless: it slept and came back, the host lived
on for a while, or all was let go in good order. A mark that another boot left tells that the host
died while the device was armed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import Optional

from ..touch.marked import Mark, MarkFiles
from ..words.address import PciAddress
from ..words.facts import Identity
from .surroundings import Surroundings

LIVED_ON = 600.0
"""Seconds after which a host that still lives has survived it."""


class Marks:
    """The marks of this boot. ``desk`` has the worker that writes files."""

    def __init__(self, desk: Surroundings, files: MarkFiles, boot: str) -> None:
        self._desk = desk
        self._files = files
        self._boot = boot
        self._armed: dict[PciAddress, Mark] = {}
        self._proven: dict[PciAddress, Mark] = {}
        self._counting: dict[PciAddress, Mark] = {}

    def restore(self) -> dict[PciAddress, Mark]:
        """Go on from what helpers before us marked; return what another boot left behind.

        Raises OSError where the marks cannot be listed.
        """
        found = self._files.load()
        self._proven = self._files.proven()
        self._armed = {address: it for address, it in found.items() if it.boot == self._boot}
        for address in self._armed:
            self.let_live(address)
        return {address: it for address, it in found.items() if it.boot != self._boot}

    def forget(self, addresses: Iterable[PciAddress]) -> None:
        """Take marks away that somebody else remembers now. Raises OSError."""
        for address in addresses:
            self._files.remove(address)

    def let_live(self, address: PciAddress) -> None:
        """Start to count how long the host lives on with a device that is armed."""
        mark = self._armed.get(address)
        if mark is not None and self._counting.get(address) is not mark:
            self._counting[address] = mark
            self._desk.call_later(LIVED_ON, partial(self._lived, address, mark))

    def wipe(self, besides: Collection[PciAddress]) -> None:
        """Take all marks away but those of devices that could not be let go. For workers."""
        for address in list(self._armed):
            if address not in besides:
                self._armed.pop(address, None)
                self._files.remove(address)

    # What workers tell of the device that they have, and of no other.

    def arm(self, address: PciAddress, identity: Optional[Identity], slept_ms: int) -> None:
        """Mark a device before its first mode call in this boot. Raises OSError."""
        for marks in (self._armed, self._proven):
            if address in marks and marks[address].identity == identity:
                return
        mark = Mark(self._boot, identity, slept_ms)
        self._files.write(address, mark)
        self._armed[address] = mark

    def seen_back(self, address: PciAddress, slept_ms: int) -> None:
        """Hear that a device is awake and well, and how long it has slept in all until now."""
        mark = self._armed.get(address)
        if mark is not None and slept_ms > mark.slept_ms:
            self._prove(address, mark)

    def _lived(self, address: PciAddress, mark: Mark) -> None:
        if self._counting.get(address) is mark:
            del self._counting[address]
        prove = partial(self._prove, address, mark)
        self._desk.submit("marks", prove, lambda _none, _error: None)

    def _prove(self, address: PciAddress, mark: Mark) -> None:
        if self._armed.get(address) is not mark:
            return  # proven already, or of the card that was there before
        self._proven[address] = mark  # first: it must never be in neither
        if self._armed.pop(address, None) is None:
            return  # the other way to prove it was faster
        try:
            self._files.prove(address, mark)
        except OSError:
            self._armed[address] = mark  # it stays marked, which harms nobody
