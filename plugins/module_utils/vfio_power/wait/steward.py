# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helper's own initiative: boot grace, binds, leases that run out, damaged files.

Brings what the bus and the clock say to the keeper. What clients ask comes in by
service.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Callable, Optional

from ..hold.keeper import Keeper
from ..hold.lending import Lending
from ..hold.surroundings import Surroundings
from ..hold.table import Table, Tables
from ..touch.graces import Graces, Left
from ..touch.leases import Leases
from ..touch.udev import Uevent
from ..words.address import PciAddress
from ..words.declaration import Declaration
from .journal import tell
from .settings import Settings

STOP_WITHIN = 60.0
"""Seconds that devices get to be let go when the helper stops."""


MOMENT = 0.1
"""Seconds from a change of the bus to a look at it: a bind comes with a burst of events."""

_GOES = ("unbind", "remove")
_CHANGES = ("bind", "add", *_GOES)


class Steward:
    """Keeps the keeper's table true, and gives devices to guests first."""

    def __init__(
        self,
        around: Surroundings,
        keeper: Keeper,
        tables: Tables,
        leases: Leases,
        graces: Graces,
        settings: Settings,
    ) -> None:
        self.settings = settings
        self._around = around
        self._keeper = keeper
        self._tables = tables
        self._graces = graces
        self.looking = False
        self._loaded = False
        self._early: list[Uevent] = []
        self._look_again = False
        self._bound: set[PciAddress] = set()
        self.lending = keeper.lending = Lending(
            around, leases, self._leases_ended, _leases_unwritten
        )
        keeper.keep_permits = self._keep_permits

    @property
    def damaged(self) -> str:
        """Say which of the stored files could not be used, until somebody converges."""
        keeper = self._keeper
        damaged = (keeper.table.damaged, self.lending.damaged, keeper.bars.damaged)
        return " ".join(filter(None, damaged))

    def start(self, grace: float, take_over: Callable[[], None], ready: Callable[[], None]) -> None:
        """Load what is declared; take it after a grace, or at once where that is 0.

        ``take_over`` brings what a helper before us held, once its rules are known.
        """

        def loaded(table: Optional[Table], error: Optional[Exception]) -> None:
            left = self._graces.load()
            self._keeper.permits.aside.update(left.aside)
            self.lending.restore()
            if self.lending.damaged:
                tell("damaged", self.lending.damaged)
            take_over()
            self._installed(table, error)
            if table is None:  # what is held stays, until somebody can tell what is declared
                self._keeper.install(Table(damaged=_not_loaded(error), lost=True))
            for address in self._keeper.table.known:
                seconds = self._grace_of(address, left, grace)
                if seconds is not None:
                    self._take_later([address], seconds)
            self._loaded = True
            self._keep_permits()
            for event in self._early:
                self.uevent(event)
            self._early.clear()
            ready()

        self._around.submit("table", self._tables.reload, loaded)

    def _grace_of(self, address: PciAddress, left: Left, grace: float) -> Optional[float]:
        """Say when a device may be taken after a start; None: not before somebody asks for it."""
        if address in left.graces:
            return left.graces[address]
        if address in left.aside:
            back = not left.aside[address] and self._keeper.table.ready(address)
            return self.settings.rebind_delay if back else None
        return None if self._keeper.was_refused(address) else grace

    def _keep_permits(self) -> None:
        if not self._loaded:
            return  # what the helper before us kept is still to be heeded
        keeper = self._keeper
        aside = {
            it: keeper.table.ready(it) for it in keeper.permits.aside & keeper.table.known.keys()
        }
        try:
            self._graces.save(Left(keeper.permits.left(), aside))
        except OSError as error:
            tell("unwritten", f"{error}: graces end if the helper restarts")

    def declare(
        self,
        wanted: Declaration,
        expected: int,
        declared: Callable[[Optional[Table], Optional[Exception]], None],
    ) -> None:
        """Store and resolve another declaration in a worker."""

        def stored(table: Optional[Table], error: Optional[Exception]) -> None:
            if table is not None:
                self.lending.mend()
                self._keeper.bars.quarantine.mend()
            declared(table, error)

        self._around.submit("table", lambda: self._tables.declare(wanted, expected), stored)

    def uevent(self, event: Uevent) -> None:
        """React to a change of the bus: a hint to look, never data.

        As long as nobody knows which devices are declared, and which belong together, it waits.
        """
        if not self._loaded:
            self._early.append(event)
            return
        if event.action in _GOES:
            self._keeper.stand_aside(event.address)
        if event.action == "unbind":
            self._tell_unbound(event.address)
        if event.action == "bind":
            self._bound.add(event.address)
        if event.action in _CHANGES:
            self.look_soon()

    def _tell_unbound(self, address: PciAddress) -> None:
        """Tell it of declared devices and those on a VFIO driver; no other is our business."""
        facts = self._keeper.table.devices.get(address)
        if address in self._keeper.table.known or (facts and facts.vfio):
            self._keeper.tell(address, "unbound", (facts and facts.driver) or "")

    def look_soon(self) -> None:
        """Look at the whole bus in a moment; once more if a look is under way already."""
        self._look_again = self.looking
        if not self.looking:
            self.looking = True
            self._around.call_later(MOMENT, self._look)

    def let_all_go(self, gone: Callable[[], None]) -> None:
        """Let every device go, side by side, take none any more, then say so."""
        tell("stopping", f"letting {len(self._keeper.held())} devices go")
        self._keeper.let_all_go(partial(self._wipe_marks, gone), STOP_WITHIN)

    def _wipe_marks(self, wiped: Callable[[], None]) -> None:
        """Leave nothing that tells the next boot of a crash: this is a stop in good order.

        Not before it is on disk which devices did not come back.
        """
        held = self._keeper.held()
        marks = self._keeper.marks

        def wipe() -> None:
            self._around.submit("marks", lambda: marks.wipe(held), lambda _none, _error: wiped())

        self._keeper.bars.quarantine.when_written(wipe)

    def _look(self) -> None:
        self._look_again = False  # what came until now is seen by this look
        bound, self._bound = self._bound, set()
        self._around.submit("table", self._tables.reload, partial(self._looked, bound))

    def _looked(
        self, bound: set[PciAddress], table: Optional[Table], error: Optional[Exception]
    ) -> None:
        self.looking = False
        back = self._came_back(table) if table else set()
        self._keeper.permits.withdraw(back)
        for address in bound | back:
            self._keeper.forget_refusal(address)
        self._installed(table, error)
        self._after_bind(bound | back)
        if self._look_again:
            self.look_soon()

    def _came_back(self, table: Table) -> set[PciAddress]:
        """Find the devices that were declared and away, also where their events were lost."""
        before = self._keeper.table
        away = (address for address in before.known if not before.ready(address))
        return {address for address in away if table.ready(address)}

    def _after_bind(self, bound: set[PciAddress]) -> None:
        known = self._keeper.table.known
        for address in sorted(bound & known.keys()):
            facts = self._keeper.table.devices.get(address)
            self._keeper.tell(address, "bound", (facts and facts.driver) or "")
        # Also for the sake of a sibling: its unbind had let the whole unit go.
        units = {member for address in bound for member in self._keeper.unit(address)}
        self._take_later(sorted(units & known.keys()), self.settings.rebind_delay)

    def _leases_ended(self, addresses: list[PciAddress]) -> None:
        for address in addresses:
            self._keeper.tell(address, "lease-ended")
        self._take_later(addresses, self.settings.quiet_time)

    def _take_later(self, addresses: Iterable[PciAddress], seconds: float) -> None:
        free = [a for a in addresses if not self._keeper.leases_on(a)]
        self._keeper.permits.grant_later(free, seconds)

    def _installed(self, table: Optional[Table], error: Optional[Exception]) -> None:
        if table is None:
            tell("unresolved", f"the declaration could not be resolved: {error}")
            return
        if table.damaged:
            tell("damaged", table.damaged)
        if table.known_bad.damaged:
            tell("damaged", table.known_bad.damaged)
        self._keeper.install(table)
        if self._keeper.permits.aside:
            self._keep_permits()


def _not_loaded(error: Optional[Exception]) -> str:
    return f"What is declared could not be loaded: {error}."


def _leases_unwritten(error: OSError) -> None:
    reason = f"{error.filename}: {error.strerror}"
    tell("unwritten", f"{reason}. Leases are in force, but forgotten if the helper restarts")
