# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that are not taken any more, until somebody who has looked at them says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, Optional

from ..touch.distrust import Distrusted, DistrustFile
from ..words.address import PciAddress
from ..words.facts import Identity
from ..words.report import Quarantined
from .marks import Marks
from .surroundings import Listener, Surroundings


class Quarantine:
    """Kept on disk. What cannot be written is in force all the same, and ``unwritten`` told why."""

    def __init__(
        self,
        desk: Surroundings,
        file: DistrustFile,
        listener: Listener,
        unwritten: Callable[[OSError], None],
    ) -> None:
        self.damaged = ""
        self._listener = listener
        self._desk = desk
        self._file = file
        self._unwritten = unwritten
        self._devices: dict[PciAddress, Distrusted] = {}
        self._newest: tuple[Distrusted, ...] = ()  # what the save that waits is to write
        self._waits = False

    def restore(self, marks: Marks) -> None:
        """Go on from what is on disk, and distrust the devices with which a host died before."""
        devices, self.damaged = self._file.load()
        self._devices = {it.address: it for it in devices}
        try:
            left = marks.restore()
        except OSError as error:
            left = {}
            reason = f"{error.filename} cannot be listed ({error.strerror})"
            unknown = f"{reason}: whether the host died with an armed device is not known."
            self.damaged = f"{self.damaged} {unknown}".lstrip()
        for address, mark in left.items():
            message = f"{address}: the host died while this device was armed"
            why = Quarantined("quarantined", message, self._desk.clock())
            self._devices[address] = Distrusted(address, mark.identity, why)
            self._listener(address, "quarantined", message)
        if left:
            try:
                self._file.save(self._devices.values())
                marks.forget(left)
            except OSError as error:
                self._unwritten(error)

    def of(self, address: PciAddress, identity: Optional[Identity]) -> Optional[Quarantined]:
        """Say why a device is in here, or None; another one at the address is not meant."""
        it = self._devices.get(address)
        if it is None or (identity is not None and it.identity not in (None, identity)):
            return None
        return it.why

    def addresses(self) -> set[PciAddress]:
        """Return every address of which a device is in here."""
        return set(self._devices)

    def add(self, address: PciAddress, identity: Optional[Identity], why: Quarantined) -> None:
        """Put a device in, or have it in for another reason."""
        before = self.of(address, identity)
        if before is not None and (before.code, before.message) == (why.code, why.message):
            return
        self._devices[address] = Distrusted(address, identity, why)
        self._listener(address, "quarantined", why.message)
        self._save()

    def clear(
        self, addresses: Iterable[PciAddress], done: Callable[[Optional[Exception]], None]
    ) -> None:
        """Let devices out; in force once that is on disk."""
        cleared = {it: self._devices[it] for it in set(addresses) & self._devices.keys()}
        left = [it for it in self._devices.values() if it.address not in cleared]

        def stored(_none: None, error: Optional[Exception]) -> None:
            if error is None:
                self.damaged = ""
                for address, device in sorted(cleared.items()):
                    if self._devices.get(address) is device:  # and not in for a new reason
                        del self._devices[address]
                        self._listener(address, "cleared", "")
                if list(self._devices.values()) != left:
                    self._save()  # others came in meanwhile, and wrote down those that leave
            done(error)

        if cleared:
            self._desk.submit("quarantine", lambda: self._file.save(left), stored)
        else:
            done(None)

    def mend(self) -> None:
        """Write what is known in the place of a file that was damaged."""
        if self.damaged:
            self._save()

    def when_written(self, done: Callable[[], None]) -> None:
        """Say when all that is known by now was written, or could not be."""

        def behind(_none: None, _error: Optional[Exception]) -> None:
            if self._waits:
                self.when_written(done)
            else:
                done()

        self._desk.submit("quarantine", lambda: None, behind)

    def _save(self) -> None:
        """Write what is known. A save that waits for its turn takes it along."""
        self._newest = tuple(self._devices.values())
        if self._waits:
            return
        self._waits = True

        def save() -> Optional[OSError]:
            self._waits = False  # first: what comes from here on needs another save
            try:
                self._file.save(self._newest)
            except OSError as error:
                return error
            return None

        def saved(unwritten: Optional[OSError], error: Optional[Exception]) -> None:
            if unwritten is not None:
                self._unwritten(unwritten)
            elif error is None:
                self.damaged = ""

        self._desk.submit("quarantine", save, saved)
