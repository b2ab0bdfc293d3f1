# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps every declared device under its rule: the one place that knows all of them.

Runs in the loop's thread. What is wanted of a device follows from its rule, the
leases on it and its permit; a holder brings it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Callable, Optional

from ..think.deadlines import deadline_of
from ..think.policy import ENGAGED, Action, Goal, State, goal_of
from ..think.quirks import in_the_way
from ..think.units import unit
from ..touch.records import Record, Records
from ..words.address import PciAddress
from ..words.declaration import Known, Reentry
from ..words.facts import Facts
from ..words.mode import Mode
from ..words.quirk import Kind
from ..words.report import Failure, HoldReport, Quarantined, Running
from .asks import Ask, Asks
from .bars import Bars
from .errands import Errands
from .grip import Grip
from .holder import Holder
from .jobs import Job, Jobs
from .lending import Lending
from .marks import Marks
from .permits import Permits
from .surroundings import Surroundings
from .table import Table
from .windows import Windows

Listener = Callable[[PciAddress, str, str], None]


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
        listener: Listener,
    ) -> None:
        self.resting = False
        self.table = Table()
        self.jobs = jobs
        self.bars = bars
        self.marks = marks
        self.asks = Asks(around)
        self.permits = Permits(around, self.refresh, self.ask)
        self.lending: Optional[Lending] = None
        self._around = around
        self._errands = errands
        self._windows = windows
        self._records = records
        self._listener = listener
        self._holders: dict[PciAddress, Holder] = {}
        self._below: dict[PciAddress, list[Holder]] = {}  # by port

    def install(self, table: Table) -> None:
        """Go by another table from now on; what is no longer declared is let go."""
        self.table = table
        self._below = {}
        for holder in self._holders.values():
            self._put_below_its_port(holder)
        self.refresh_all()

    def take_over(self, grips: Mapping[PciAddress, Grip], rest: Mapping[int, ExitStack]) -> None:
        """Go on with what a helper before us held; to be followed by ``install``."""
        records = self._records.load()
        for address in records.keys() - grips.keys():
            self._records.remove(address)
        for address, grip in grips.items():
            holder = self._holders[address] = Holder(address, self, self._around)
            holder.take_over(grip, records.get(address))
            self.remember(holder)
        self.permits.grant_from_before(it for it in grips if not self.leases_on(it))
        for group, closing in rest.items():
            job = Job(f"group {group}", Action.LET_GO.value)
            self.jobs.submit(job, closing.close, lambda _none, _error: None)

    def refresh(self, address: PciAddress) -> None:
        """Tell a device's holder what is wanted now."""
        holder = self._holders.get(address)
        goal = self._goal(address)
        if holder is None and goal is Goal.RELEASE:
            self.asks.settled(address)
            return
        if holder is None:
            holder = self._holders[address] = Holder(address, self, self._around)
            self._put_below_its_port(holder)
        rule = self.table.rule(address)
        holder.wait.bounds = rule.reentry if rule else Reentry()
        holder.enter_only_once(once=self.table.has_quirk(address, Kind.NO_REENTRY))
        holder.want(goal)

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
        for address in free:
            if address in self._holders:
                self._holders[address].ask()
        self.permits.grant(free)

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

    def distrust(self, address: PciAddress, code: str, message: str) -> None:
        """Let a device go, and do not take it again before somebody trusts it."""
        why = Quarantined(code, message, self.clock())
        self.bars.quarantine.add(address, self.table.identity(address), why)
        self.refresh(address)

    def trust(self, addresses: Iterable[PciAddress]) -> None:
        """Let devices out of quarantine, and take them as if they were asked for now."""
        cleared = self.bars.quarantine.clear(addresses)
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
        known = self.table.known.get(address)
        report = HoldReport(
            address,
            known.rule if known else None,
            taken_after=None if self._barred(address) else self.permits.due(address),
            leases=self.lending.of(address) if self.lending else (),
            failure=self._by_quirk(address),
            quarantined=self._distrusted(address),
        )
        holder = self._holders.get(address)
        if holder is None:
            return report
        report = _told_by(holder, report, self._wanted_mode(address))
        return report._replace(running=self._running(holder))

    def reports(self) -> list[HoldReport]:
        """Report every device that is declared, held, lent or in quarantine, in bus order."""
        lent = self.lending.addresses() if self.lending else set()
        held = {address for address, holder in self._holders.items() if holder.grip is not None}
        there = self.bars.quarantine.addresses() & self.table.devices.keys()
        distrusted = {it for it in there if self._distrusted(it)}
        known = {*self.table.known, *held, *lent, *distrusted}
        return [self.report(address) for address in sorted(known)]

    def tell(self, address: PciAddress, event: str, detail: str = "") -> None:
        """Tell the listener what happened to a device."""
        self._listener(address, event, detail)

    def clock(self) -> float:
        """Return seconds since the epoch."""
        return self._around.clock()

    def let_all_go(self, done: Callable[[], None], within: float) -> None:
        """Let every device go, side by side, and say when the last one is, or time is up."""
        held = self.held()
        ask = Ask(held, lambda *_one: None, lambda _ask: done())
        self.wait_for(ask, within, self.permits.close)

    def come_to_rest(self, done: Callable[[], None], within: float) -> None:
        """Begin nothing any more; say when what is under way has ended, or time is up."""
        self.resting = True
        busy = [address for address, holder in self._holders.items() if holder.busy]
        self.wait_for(Ask(busy, lambda *_one: None, lambda _ask: done()), within, lambda: None)

    def after_system_sleep(self) -> None:
        """Look at every device that may sleep: the host slept, and some forget over that."""
        for address, holder in self._holders.items():
            if holder.state in ENGAGED and holder.grip is not None:
                self._around.submit(
                    _lane(address, None, holder.grip),
                    partial(self._errands.is_awake, address),
                    partial(_doubt_if, holder),
                )

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
        """Run an action in a worker, with the window over its port open meanwhile."""
        address, grip = holder.address, holder.grip
        known = self.table.known.get(address, Known(address, None, ""))
        facts = self.table.devices.get(address)
        port = self._port(address)
        asked_by = self.asks.about(address)

        def ended(held: Optional[Grip], error: Optional[Exception]) -> None:
            self._look_for_wakes(port)
            self._windows.end(port, address)
            self.marks.let_live(address)
            if error is not None:
                kept = None if action in (Action.TAKE, Action.LET_GO) else grip
                done(kept, self._errands.failure(error, address, facts))
                return
            for ask in asked_by:
                ask.note(address, action.value)
            done(held, None)

        self._look_for_wakes(port)
        self._windows.begin(port)
        lane, call = _lane(address, facts, grip), action.value
        job = Job(lane, call, partial(self._begun, holder), partial(self._late, address, call))
        self.jobs.submit(job, lambda: self._errands.run(action, known, facts, grip), ended)

    def remember(self, holder: Holder) -> None:
        """Write down how a device stands, or forget it once it is let go."""
        try:
            if holder.grip is None and not holder.busy:
                self._records.remove(holder.address)
                return
            record = Record(holder.state, holder.wakes, holder.entered, holder.wait.memory)
            self._records.save(holder.address, record)
        except OSError:
            self._records.remove(holder.address)  # better none than one that is not true

    def own_wake(self, holder: Holder) -> bool:
        """Tell whether a wake seen now may be our own doing."""
        return self._windows.own(self._port(holder.address), holder.address)

    def happened(self, holder: Holder, event: str, detail: str = "") -> None:
        """Tell the listener; stand aside where the device is wanted, or can do nothing for us."""
        self._listener(holder.address, event, detail)
        if event == "requested":
            self.stand_aside(holder.address)
        if event == "failed":
            message = f"{holder.address}: reported an uncorrectable error"
            self.distrust(holder.address, "quarantined", message)
        failure = holder.failure if event == "refused" else None
        if failure and failure.code == "unsupported":
            self.bars.unsupported.add(holder.address)
            self.refresh(holder.address)
        if failure and failure.code == "power-error":
            self.distrust(holder.address, failure.code, failure.message)

    def settled(self, holder: Holder) -> None:
        """Hear that a device has nothing left to do."""
        self.asks.settled(holder.address)

    def _begun(self, holder: Holder) -> None:
        holder.begun = self._around.uptime()  # until now it waited for a worker

    def _late(self, address: PciAddress, call: str) -> None:
        lasting = f"for {deadline_of(call):.0f} s"
        self.tell(address, "stuck", f"{address}: {call} has not returned {lasting}")

    def _running(self, holder: Holder) -> Optional[Running]:
        if holder.running is None or holder.begun is None:
            return holder.running
        return holder.running._replace(seconds=self._around.uptime() - holder.begun)

    def _goal(self, address: PciAddress) -> Goal:
        rule = self.table.rule(address)
        if self._barred(address):
            return Goal.RELEASE
        if self.table.lost and rule is None and address in self._holders:
            return self._holders[address].goal  # nothing moves because a file was damaged
        if rule is None or not self.permits.has(address) or not self.table.ready(address):
            return Goal.RELEASE
        quirk = self._by_quirk(address)
        if quirk is not None:
            return Goal.RELEASE if quirk.code == "unsupported" else Goal.KEEP_AWAKE
        return goal_of(rule.mode, rule.reserve)

    def _distrusted(self, address: PciAddress) -> Optional[Quarantined]:
        return self.bars.quarantine.of(address, self.table.identity(address))

    def _barred(self, address: PciAddress) -> bool:
        return self.bars.against(address, self.table.identity(address), self.table.rule(address))

    def _by_quirk(self, address: PciAddress) -> Optional[Failure]:
        """Say which quirk keeps a device out of its declared mode, or None."""
        rule, facts = self.table.rule(address), self.table.devices.get(address)
        if rule is None or facts is None or not self.table.ready(address):
            return None
        holder = self._holders.get(address)
        return in_the_way(
            facts,
            rule.mode,
            self.table.known_bad.quirks,
            spent=holder is not None and holder.state is State.SPENT,
            d3cold_allowed=lambda: self._errands.d3cold_allowed(address),
        )

    def _wanted_mode(self, address: PciAddress) -> Mode:
        rule = self.table.rule(address)
        return rule.mode if rule else Mode.NONE

    def _port(self, address: PciAddress) -> PciAddress:
        """Return what devices that wake together have in common; a device alone is its own."""
        facts = self.table.devices.get(address)
        return facts.port if facts and facts.port else address

    def _put_below_its_port(self, holder: Holder) -> None:
        self._below.setdefault(self._port(holder.address), []).append(holder)

    def _look_for_wakes(self, port: PciAddress) -> None:
        for holder in list(self._below.get(port, ())):
            holder.look_for_wake()


def _doubt_if(holder: Holder, awake: Optional[bool], _error: Optional[Exception]) -> None:
    if awake:
        holder.doubt()


def _lane(address: PciAddress, facts: Optional[Facts], grip: Optional[Grip]) -> str:
    """Return what keeps jobs of one IOMMU group in a row, also when the device is gone."""
    if grip is not None:
        return f"group {grip.group}"
    return f"group {facts.iommu_group}" if facts else str(address)


def _told_by(holder: Holder, report: HoldReport, mode: Mode) -> HoldReport:
    counted = mode is Mode.ENTRY_WITH_WAKEUP
    by_quirk = report.failure if holder.engaged is Mode.NONE else None  # else not heeded yet
    return report._replace(
        state=holder.state.value,
        held=holder.grip is not None,
        engaged=holder.engaged,
        backend=holder.grip.backend if holder.grip else None,
        wakes=holder.wakes if counted else None,
        entered=holder.entered,
        waiting_until=holder.wait.until,
        reentries=holder.wait.report() if counted else None,
        failure=holder.failure or by_quirk,
    )
