# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration and the devices it came to mean on this host, loaded, resolved, stored.

Reads sysfs and syncs files, so it runs in a worker; the keeper gets the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable, NamedTuple, Optional

from ..think import quirks
from ..think.resolve import resolve
from ..think.select import asks_udev
from ..touch.quirks import Loaded, load
from ..touch.store import Loaded as Stored
from ..touch.store import Store
from ..touch.sysfs import Sysfs
from ..words.address import PciAddress
from ..words.declaration import Declaration, Known, Rule
from ..words.errors import GenerationMismatch
from ..words.facts import Facts, Identity
from ..words.quirk import Kind


class Table(NamedTuple):
    """What is declared, which devices that means, and how the whole bus looks."""

    declaration: Declaration = Declaration()
    known: Mapping[PciAddress, Known] = {}
    devices: Mapping[PciAddress, Facts] = {}
    damaged: str = ""
    lost: bool = False  # something was declared, and nobody can tell what
    known_bad: Loaded = Loaded()
    matched: Mapping[str, int] = {}  # rule name: how many devices it found

    def rule(self, address: PciAddress) -> Optional[Rule]:
        """Return the rule that a device is under, or None."""
        known = self.known.get(address)
        return self.declaration.rule(known.rule) if known else None

    def identity(self, address: PciAddress) -> Optional[Identity]:
        """Return which card is at an address, or which was; None where nobody knows."""
        facts, known = self.devices.get(address), self.known.get(address)
        return facts.identity if facts else known.identity if known else None

    def has_quirk(self, address: PciAddress, kind: Kind) -> bool:
        """Tell whether a device has a quirk of that kind."""
        facts = self.devices.get(address)
        return facts is not None and quirks.has(facts, kind, self.known_bad.quirks) is not None

    def ready(self, address: PciAddress) -> bool:
        """Tell whether the declared device itself is there, on a VFIO driver."""
        facts, known = self.devices.get(address), self.known.get(address)
        if facts is None or known is None or not facts.vfio:
            return False
        return known.identity in (None, facts.identity)


class Tables:
    """Makes tables of the host as it is now."""

    def __init__(
        self,
        store: Store,
        sysfs: Sysfs,
        described: Callable[[Mapping[PciAddress, Facts]], Mapping[PciAddress, Facts]],
        known_bad: Callable[[], Loaded] = load,
    ) -> None:
        self._store = store
        self._sysfs = sysfs
        self._described = described
        self._known_bad = known_bad

    def reload(self) -> Table:
        """Resolve what is stored against the bus as it is; remember devices seen anew."""
        loaded = self._store.load()
        table = self._resolved(loaded.declaration, loaded.known)
        if loaded.damaged:
            # Kept as evidence until the next change.
            return table._replace(damaged=loaded.damaged, lost=loaded.lost)
        try:
            self._remember(table, loaded)
        except GenerationMismatch:
            return self.reload()  # somebody stored another one meanwhile
        except OSError as error:
            # What is declared can be kept all the same: a full disk must not let devices go.
            reason = f"{error.filename}: {error.strerror}"
            return table._replace(damaged=f"The devices found cannot be stored: {reason}.")
        return table

    def declare(self, wanted: Declaration, expected: int) -> Table:
        """Store another declaration, durably, and resolve it.

        Raises GenerationMismatch when the stored one is not the expected one. An
        equal declaration is not written again and keeps its generation.
        """
        loaded = self._store.load()
        stored = loaded.declaration
        if stored.generation != expected:
            raise GenerationMismatch(expected, stored.generation)
        same = wanted._replace(generation=stored.generation) == stored
        generation = stored.generation if same else stored.generation + 1
        table = self._resolved(wanted._replace(generation=generation), loaded.known)
        self._save(table, expected)
        return table

    def _resolved(self, declaration: Declaration, known: tuple[Known, ...]) -> Table:
        devices: Mapping[PciAddress, Facts] = self._sysfs.devices()
        if asks_udev(declaration):
            devices = self._described(devices)
        resolution = resolve(declaration, devices, known)
        entries = {entry.address: entry for entry in resolution.known}
        return Table(
            declaration,
            entries,
            devices,
            known_bad=self._known_bad(),
            matched=resolution.matched,
        )

    def _remember(self, table: Table, loaded: Stored) -> None:
        """Store which devices the rules mean by now, and nothing where these are the same.

        Never the declaration: it is as it was declared, also where a newer program would spell it
        otherwise, and the one before may have to read it again.
        """
        known = tuple(table.known.values())
        if known != loaded.known:
            self._store.remember(known, expected=loaded.declaration.generation)

    def _save(self, table: Table, expected: int) -> None:
        self._store.save(table.declaration, tuple(table.known.values()), expected=expected)
