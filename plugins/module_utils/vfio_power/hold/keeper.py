# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps every declared device under its rule: the one place that knows all of them.

Runs in the loop's thread. What is wanted of a device follows from its rule, the
leases on it and its permit; a holder brings it there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from typing import Callable, Optional

from ..think.policy import Action, Goal, State
from ..think.units import unit
from ..touch.records import Record, Records
from ..words.address import PciAddress
from ..words.declaration import Reentry
from ..words.quirk import Kind
from ..words.report import Failure, HoldReport, Quarantined
from .asks import Ask, Asks
from .bars import Bars
from .calls import Calls
from .errands import Errands
from .failures import reported_an_error
from .goals import Goals
from .grip import Grip
from .held_off import HeldOff
from .histories import Histories
from .holder import Holder
from .jobs import Jobs
from .lending import Lending
from .marks import Marks
from .neighbours import Neighbours
from .permits import Permits
from .recall import Recall, unsupported_by
from .reporting import Reporting
from .rounds import Rounds
from .surroundings import Listener, Surroundings
from .table import Table
from .windows import Windows


class Keeper:
    """All holders, and what they may do."""

    def __init__(
        self,
        around: Surroundings,
        errands: Errands,
        jobs: Jobs,
        windows: Windows,
        records: Records,
        bars: Bars,
        marks: Marks,
        histories: Histories,
        listener: Listener,
    ) -> None:
        self.table = Table()
        self.jobs = jobs
        self.bars = bars
        self.marks = marks
        self.histories = histories
        self.asks = Asks(around)
        self.permits = Permits(around, self.refresh, self.ask, self._write_permits)
        self.keep_permits: Callable[[], None] = lambda: None
        self.lending: Optional[Lending] = None
        self._rest: Optional[Ask] = None
        self._around = around
        self._recall = Recall(records)
        self._listener = listener
        self._holders: dict[PciAddress, Holder] = {}
        self.held_off = HeldOff()
        self._goals = Goals(
            bars, self.permits, self.held_off, errands.d3cold_allowed, errands.policy
        )
        self._reporting = Reporting(around.uptime, bars, self.permits, self._goals, histories)
        self._neighbours = Neighbours(windows)
        self._calls = Calls(around, errands, jobs, self._neighbours, listener)
        self.rounds = Rounds(
            around, self._holders, self._calls, errands.power, self.distrust, self.refresh
        )

    def install(self, table: Table) -> None:
        """Go by another table from now on; what is no longer declared is let go."""
        self.table = table
        self._neighbours.install(table, self._holders.values())
        self.histories.install(table)
        self.refresh_all()

    def take_over(self, grips: Mapping[PciAddress, Grip], rest: Mapping[int, ExitStack]) -> None:
        """Go on with what a helper before us held; to be followed by ``install``."""
        records = self._recall.all()
        self.bars.unsupported.update(unsupported_by(records))
        for address in records.keys() - grips.keys():
            self._stand_back(address, records[address])
        self.histories.go_on({it: record.wakes for it, record in records.items()})
        for address, grip in grips.items():
            holder = self._holders[address] = Holder(address, self, self._around)
            holder.take_over(grip, records.get(address))
            self.remember(holder)
        aside = self.permits.aside
        self.permits.grant_from_before(it for it in grips.keys() - aside if not self.leases_on(it))
        for group, closing in rest.items():
            self._calls.close(group, closing)

    def _stand_back(self, address: PciAddress, record: Record) -> None:
        """Go on to know of a device that is not held what it went through, and if it was refused.

        Such a one is not taken before somebody asks for it, or binds it.
        """
        holder = self._holders[address] = Holder(address, self, self._around)
        holder.stand_back(record)
        if not holder.has_a_past:
            self.remember(holder)  # or forget what a call was that took it, or let it go

    def was_refused(self, address: PciAddress) -> bool:
        """Tell whether a device is not to be tried before somebody asks for it, or it is bound."""
        holder = self._holders.get(address)
        return holder is not None and holder.grip is None and holder.failure is not None

    def refresh(self, address: PciAddress) -> None:
        """Tell a device's holder what is wanted now."""
        holder = self._holders.get(address)
        goal = self._goals.of(address, self.table, holder)
        if holder is None and goal is Goal.RELEASE:
            self.asks.settled(address)
            return
        if holder is None:
            holder = self._holders[address] = Holder(address, self, self._around)
            self._neighbours.add(holder)
        known, rule = self.table.known.get(address), self.table.rule(address)
        holder.belongs_to(known.identity if known else None)
        holder.wait.bounds = rule.reentry if rule else Reentry()
        holder.enter_only_once(once=self.table.has_quirk(address, Kind.NO_REENTRY))
        holder.want(goal)
        self._look_again(address)

    def _look_again(self, address: PciAddress) -> None:
        """Look at the host's policy until it is as declared: nobody tells when it is written."""
        if self.rounds.comes_by(address) or not self.permits.has(address):
            return
        if self._goals.by_policy(address, self.table):
            self.rounds.come_by(address)

    def refresh_all(self) -> None:
        """Tell every device's holder what is wanted now."""
        for address in self.addresses():
            self.refresh(address)

    def addresses(self) -> list[PciAddress]:
        """Return every device that is declared, or that we ever had to do with."""
        return list({**self.table.known, **self._holders})

    def ask(self, addresses: Iterable[PciAddress]) -> None:
        """Permit devices because somebody asks for them now, and retry what was refused."""
        free = [address for address in addresses if not self.leases_on(address)]
        self.retry(free)
        self.permits.grant(free)

    def retry(self, addresses: Iterable[PciAddress]) -> None:
        """Forget which calls were refused, so that what is wanted is tried again."""
        for address in addresses:
            if address in self._holders:
                self._holders[address].ask()

    def rearm(self, addresses: Iterable[PciAddress]) -> None:
        """Enter devices once more that stay awake because of a quirk, as far as it allows that."""
        for address in addresses:
            if address in self._holders:
                self._holders[address].rearm()
            self.refresh(address)

    def wait_for(self, ask: Ask, timeout: float, begin: Callable[[], None]) -> None:
        """Begin something and let a request wait until its devices have settled."""
        with self.asks.beginning(ask, timeout):
            begin()
        for address in list(ask.pending):
            self.refresh(address)
        self.asks.close_empty(ask)

    def stand_aside(self, address: PciAddress) -> None:
        """Let a device and its whole unit go: somebody else is to have it."""
        self.permits.withdraw(self.unit(address))

    def forget_refusal(self, address: PciAddress) -> None:
        """A device was bound anew: what its driver did not offer before, it may offer now."""
        self.bars.unsupported.discard(address)
        holder = self._holders.get(address)
        if holder is not None:
            holder.ask()
            holder.failure = None  # perhaps of another card
            self.remember(holder)

    def distrust(self, address: PciAddress, code: str, message: str) -> None:
        """Let a device go, and do not take it again before somebody trusts it."""
        why = Quarantined(code, message, self.clock())
        self.bars.quarantine.add(address, self.table.identity(address), why)
        self.refresh(address)

    def trust(self, cleared: Collection[PciAddress]) -> None:
        """Take devices that were let out of quarantine as if they were asked for now."""
        for address in self._holders.keys() & set(cleared):
            self._holders[address].failure = None
        self.ask(cleared)

    def unit(self, address: PciAddress) -> list[PciAddress]:
        """Return the devices that are let go and taken together."""
        return list(unit(address, self.table.devices))

    def leases_on(self, address: PciAddress) -> bool:
        """Tell whether a device is lent."""
        return self.lending is not None and bool(self.lending.of(address))

    def report(self, address: PciAddress) -> HoldReport:
        """Say from memory how a device stands with us."""
        leases = self.lending.of(address) if self.lending else ()
        return self._reporting.report(address, self.table, self._holders.get(address), leases)

    def reports(self) -> list[HoldReport]:
        """Report every device that is declared, held, lent or in quarantine, in bus order."""
        lent = self.lending.addresses() if self.lending else set()
        held = {address for address, holder in self._holders.items() if holder.grip is not None}
        there = self.bars.quarantine.addresses() & self.table.devices.keys()
        distrusted = {it for it in there if self.bars.distrusted(it, self.table)}
        known = {*self.table.known, *held, *lent, *distrusted}
        return [self.report(address) for address in sorted(known)]

    def tell(self, address: PciAddress, event: str, detail: str = "") -> None:
        """Tell the listener what happened to a device."""
        self._listener(address, event, detail)

    def clock(self) -> float:
        """Return seconds since the epoch."""
        return self._around.clock()

    def _write_permits(self) -> None:
        self.keep_permits()  # which is somebody else's to say, once there is somebody

    def let_all_go(self, done: Callable[[], None], within: float) -> None:
        """Let every device go, side by side, and say when the last one is, or time is up."""
        ask = Ask(self.held(), lambda *_one: None, lambda _ask: done())
        self.wait_for(ask, within, self.permits.close)
        for holder in self._holders.values():
            self.remember(holder)  # without what was refused

    def come_to_rest(self, done: Callable[[], None], within: float) -> None:
        """Begin nothing any more; say when what is under way has ended, or time is up."""
        busy = [address for address, holder in self._holders.items() if holder.busy]
        self._rest = Ask(busy, lambda *_one: None, lambda _ask: done())
        self.wait_for(self._rest, within, lambda: None)

    def held(self) -> list[PciAddress]:
        """Return the devices that are open, or about to be."""
        return [a for a, holder in self._holders.items() if holder.grip or holder.busy]

    # What holders ask of us.

    def carry_out(
        self,
        holder: Holder,
        action: Action,
        done: Callable[[Optional[Grip], Optional[Failure]], None],
    ) -> None:
        """Run an action in a worker, and note it for those who wait for the device."""
        asked_by = self.asks.about(holder.address)

        def ended(grip: Optional[Grip], failure: Optional[Failure]) -> None:
            self.marks.let_live(holder.address)
            for ask in asked_by if failure is None else ():
                ask.note(holder.address, action.value)
            done(grip, failure)

        self._calls.carry_out(holder, action, self.table, ended)

    def remember(self, holder: Holder) -> None:
        """Write down how a device stands, for a helper that takes over."""
        address = holder.address
        refused = holder.state is State.REFUSED or address in self.bars.unsupported
        if self.permits.closed:
            refused = False  # whoever starts us again asks for all
        failure = holder.failure if refused else None
        self._recall.note(holder, failure, declared=self._may_be_declared(address))

    def _may_be_declared(self, address: PciAddress) -> bool:
        """Tell whether a device is declared, or nobody can tell any more what is."""
        return address in self.table.known or self.table.lost

    def own_wake(self, holder: Holder) -> bool:
        """Tell whether a wake seen now may be our own doing."""
        return self._neighbours.own_wake(holder.address)

    def happened(self, holder: Holder, event: str, detail: str = "") -> None:
        """Tell the listener; stand aside where the device is wanted, or can do nothing for us."""
        if event in ("woken-own", "woken-foreign"):
            self.histories.woken(holder.address, holder.wakes, own=event == "woken-own")
        self._listener(holder.address, event, detail)
        if event == "requested":
            self.stand_aside(holder.address)
        if event == "failed":
            why = reported_an_error(holder.address)
            self.distrust(holder.address, why.code, why.message)
        failure = holder.failure if event == "refused" else None
        if failure and failure.code == "unsupported":
            self.bars.unsupported.add(holder.address)
            self.refresh(holder.address)
        if failure and failure.code in ("power-error", "quarantined"):
            self.distrust(holder.address, failure.code, failure.message)

    def settled(self, holder: Holder) -> None:
        """Hear that a device has nothing left to do."""
        if holder.grip is None and not self._may_be_declared(holder.address):
            holder.forget()  # nobody asks for it any more
        self.asks.settled(holder.address)

    @property
    def resting(self) -> bool:
        """Tell whether nothing is to be begun any more."""
        return self._rest is not None

    def put_off(self, holder: Holder) -> None:
        """Hear that a device rests. Who asked for more of it is not told that it was done."""
        if self._rest is not None:
            self.asks.settle(self._rest, holder.address)
