# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who was given which device, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, Optional

from ..touch.leases import Leases
from ..words.address import PciAddress
from ..words.report import Lease
from .surroundings import Surroundings, Timer


class Lending:
    """The leases in force; written down under /run, so that they end with the boot.

    A lease that cannot be written is given all the same, and ``unwritten`` told why: a guest
    comes before our memory of it.
    """

    def __init__(
        self,
        around: Surroundings,
        leases: Leases,
        ended: Callable[[list[PciAddress]], None],
        unwritten: Callable[[OSError], None],
    ) -> None:
        self._around = around
        self._store = leases
        self._ended = ended
        self._unwritten = unwritten
        self.damaged = ""  # why leases of before a restart are lost
        self._leases: list[Lease] = []
        self._timers: dict[tuple[PciAddress, str], Timer] = {}

    def restore(self) -> None:
        """Take over what was written down before a restart of the helper."""
        self._leases = list(self._store.load())
        self.damaged = self._store.damaged
        for lease in self._leases:
            self._end_in_time(lease)

    def mend(self) -> None:
        """Write the leases anew where they were damaged; whoever asks for that was told of it."""
        if self.damaged:
            self.damaged = ""
            self._write()

    def of(self, address: PciAddress) -> tuple[Lease, ...]:
        """Return the leases on a device."""
        return tuple(lease for lease in self._leases if lease.address == address)

    @property
    def count(self) -> int:
        """How many leases there are."""
        return len(self._leases)

    def addresses(self) -> set[PciAddress]:
        """Return every device that is lent."""
        return {lease.address for lease in self._leases}

    def lend(self, addresses: Iterable[PciAddress], holder: str, ttl: Optional[float]) -> None:
        """Give devices to a holder; the same holder asking again starts its time anew."""
        now = self._around.clock()
        until = now + ttl if ttl else None
        ends = self._around.uptime() + ttl if ttl else None
        fresh = [Lease(address, holder, now, until, ends) for address in addresses]
        taken = {(lease.address, lease.holder) for lease in fresh}
        kept = [lease for lease in self._leases if (lease.address, lease.holder) not in taken]
        self._keep(kept + fresh)
        for lease in fresh:
            self._end_in_time(lease)

    def end(self, addresses: Iterable[PciAddress], holder: Optional[str]) -> list[PciAddress]:
        """End one holder's leases, or all of them (None); return the devices now free of any."""
        among = set(addresses)
        ending = [
            lease
            for lease in self._leases
            if lease.address in among and holder in (None, lease.holder)
        ]
        self._keep([lease for lease in self._leases if lease not in ending])
        for lease in ending:
            self._forget_timer(lease)
        still = self.addresses()
        return sorted({lease.address for lease in ending} - still)

    def _keep(self, leases: list[Lease]) -> None:
        if leases == self._leases:
            return
        self._leases = leases
        self._write()

    def _write(self) -> None:
        try:
            self._store.save(self._leases)
        except OSError as error:
            self._unwritten(error)

    def _end_in_time(self, lease: Lease) -> None:
        self._forget_timer(lease)
        if lease.ends is None:
            return
        key = (lease.address, lease.holder)
        self._timers[key] = self._around.call_at(lease.ends, lambda: self._ran_out(*key))

    def _ran_out(self, address: PciAddress, holder: str) -> None:
        self._ended(self.end([address], holder))

    def _forget_timer(self, lease: Lease) -> None:
        timer = self._timers.pop((lease.address, lease.holder), None)
        if timer is not None:
            timer.cancel()
