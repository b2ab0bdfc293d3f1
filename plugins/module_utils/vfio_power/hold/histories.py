# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of each declared card: counted here as it happens, written down rarely."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Callable, NamedTuple, Optional, Union

from ..think.chronicle import Chronicle, caught_up, counted_anew, spread, timed, woken
from ..touch.chronicles import HistoryFile
from ..words.address import PciAddress
from ..words.facts import Power
from ..words.history import FOREIGN, OWN, History, Incident
from ..words.report import Wakes
from .surroundings import Surroundings, Timer
from .table import Table

BEGUN = 5.0
"""Seconds until a history that has just begun is on disk: from then on it outlives the helper."""

SOON = 300.0
"""Seconds from a wake until it is on disk; however many come meanwhile, that is one write."""

HOUR = 3600.0
"""Seconds after which the times asleep and awake are written down where nothing else happened."""

AT_ONCE = 1.0
"""Seconds in which devices below one port that wake are one incident."""


class _Wave(NamedTuple):
    """An incident that others may still join."""

    began: float  # seconds since the boot
    incident: Incident
    devices: frozenset[PciAddress]


class Histories:
    """The history of each declared card. ``desk`` has the worker that reads and writes files.

    ``power`` reads what the kernel counts. A file that cannot be written is told of once, by
    ``unwritten``.
    """

    def __init__(
        self,
        desk: Surroundings,
        file: HistoryFile,
        power: Callable[[PciAddress], Optional[Power]],
        boot: str,
        unwritten: Callable[[OSError], None],
    ) -> None:
        self.damaged = ""
        self._desk = desk
        self._file = file
        self._power = power
        self._boot = boot
        self._unwritten = unwritten
        self._told = False
        self._on_disk = False  # there is something that may have to be forgotten
        self._devices: dict[PciAddress, Chronicle] = {}
        self._table = Table()
        self._waves: dict[PciAddress, _Wave] = {}  # by port
        self._timer: Optional[Timer] = None
        self._due = 0.0  # when the timer ends, in seconds since the boot

    def restore(self) -> None:
        """Go on from what is on disk; what cannot be used begins anew."""
        chronicles, self.damaged = self._file.load()
        self._on_disk = bool(chronicles)
        for it in chronicles:
            same_boot = it.counted.boot == self._boot
            self._devices[it.address] = it if same_boot else counted_anew(it)

    def go_on(self, held: Mapping[PciAddress, Wakes]) -> None:
        """Hear what was held before us, and how often it was woken in that time."""
        for address in self._devices.keys() | held.keys():
            it = self._devices.get(address) or self._new(address)
            wakes = held.get(address)
            it = it._replace(seen=Wakes()) if wakes is None else caught_up(it, wakes)
            self._devices[address] = it

    def install(self, table: Table) -> None:
        """Begin the history of each declared card that has none; end those of all others."""
        self._table = table
        declared = {address: self._current(address) for address in table.known}
        before = self._devices
        self._devices = {**before, **declared} if table.lost else declared
        if self._devices or before:
            self._write_in(HOUR if self._devices.keys() == before.keys() else BEGUN)

    def of(self, address: PciAddress) -> Optional[History]:
        """Return the history of the card at an address, or None."""
        it = self._devices.get(address)
        return it.history if it else None

    def woken(self, address: PciAddress, wakes: Wakes, *, own: bool) -> None:
        """Count the last of a hold's wakes, and those below one port at once as one incident."""
        it = self._devices.get(address)
        if it is None:
            return  # held without being declared, and about to be let go
        kind = OWN if own else FOREIGN
        incident = self._join(address, Incident(wakes.last or it.history.since, kind))
        self._devices[address] = it._replace(history=woken(it.history, kind, incident), seen=wakes)
        self._write_in(SOON)

    def write(self, done: Callable[[], None] = lambda: None) -> None:
        """Write all down now, and say when that was done or could not be."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        snapshot = tuple(self._devices.values())
        if not snapshot and not self._on_disk:
            done()
            return

        def save() -> Union[list[Chronicle], OSError]:
            now = [timed(it, self._boot, self._power(it.address)) for it in snapshot]
            try:
                self._file.save(now)
            except OSError as error:
                return error
            return now

        def saved(
            written: Union[list[Chronicle], OSError, None], _error: Optional[Exception]
        ) -> None:
            if not isinstance(written, OSError):
                self._on_disk = bool(written)
                self._note_times(written or ())
            elif not self._told:
                self._unwritten(written)
            self._told = isinstance(written, OSError)
            if self._devices:
                self._write_in(HOUR)
            done()

        self._desk.submit("history", save, saved)

    def _current(self, address: PciAddress) -> Chronicle:
        """Return what to go on with for the card that is at an address now."""
        it, identity = self._devices.get(address), self._table.identity(address)
        if it is None:
            return self._new(address)._replace(identity=identity)
        if identity is None or it.identity == identity:
            return it
        if it.identity is None:
            return it._replace(identity=identity)
        return self._new(address)._replace(identity=identity, seen=it.seen)

    def _new(self, address: PciAddress) -> Chronicle:
        return Chronicle(address, None, History(self._desk.clock()))

    def _join(self, address: PciAddress, incident: Incident) -> Optional[Incident]:
        """Return the incident that a wake makes or joins; None where its device is in already."""
        facts = self._table.devices.get(address)
        port = facts.root_port if facts and facts.root_port else address
        wave, now = self._waves.get(port), self._desk.uptime()
        if wave is None or now - wave.began > AT_ONCE:
            self._waves[port] = _Wave(now, incident, frozenset((address,)))
            return incident
        if address in wave.devices:
            return None
        for other in wave.devices & self._devices.keys():
            it = self._devices[other]
            self._devices[other] = it._replace(history=spread(it.history, len(wave.devices) + 1))
        joined = wave.incident._replace(devices=len(wave.devices) + 1)
        self._waves[port] = wave._replace(devices=wave.devices | {address})
        return joined

    def _note_times(self, written: Iterable[Chronicle]) -> None:
        """Keep the times that a worker has read; wakes may have come meanwhile."""
        for new in written:
            it = self._devices.get(new.address)
            if it is not None and it.identity == new.identity:
                history = it.history._replace(
                    asleep_before=new.history.asleep_before,
                    awake_before=new.history.awake_before,
                )
                self._devices[new.address] = it._replace(history=history, counted=new.counted)

    def _write_in(self, seconds: float) -> None:
        due = self._desk.uptime() + seconds
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._timer, self._due = self._desk.call_at(due, self.write), due
