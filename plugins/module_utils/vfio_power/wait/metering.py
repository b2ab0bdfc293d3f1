# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the metrics for node_exporter, where that is switched on.

Never in a moment of its own: only when the loop gives a sign of life to the service manager, and is
awake anyway. Then it is written if anything has happened, and else every few minutes. What has
happened may not be at its end then, so it is written once more the next time.
"""

from __future__ import annotations

import time
from typing import Callable, Optional

from ..hold.keeper import Keeper
from ..hold.table import Table
from ..think.drift import Case, HostCase, judge, judge_host
from ..think.metrics import Device, Moment, exposition
from ..think.units import host_drivers
from ..touch.sysfs import Sysfs
from ..touch.textfile import write
from ..words.facts import HostFacts
from ..words.report import HoldReport
from ..words.version import VERSION
from .journal import tell
from .loop import Loop
from .workers import Outcome, Workers

QUIET = 300.0
"""Seconds after which it is written though nothing has happened, for the times and the stamp."""

TWICE = 2


class Meter:
    """Writes what a keeper knows to a file. ``damaged`` says which stored files cannot be used."""

    def __init__(
        self,
        loop: Loop,
        keeper: Keeper,
        sysfs: Sysfs,
        path: str,
        uptime: Callable[[], float],
        damaged: Callable[[], str],
    ) -> None:
        self.workers = Workers(loop, 1)  # of its own: the folder may be one that hangs
        self._keeper = keeper
        self._sysfs = sysfs
        self._path = path
        self._uptime = uptime
        self._damaged = damaged
        self._fresh = TWICE  # how often what happened last is still to be written
        self._written = 0.0  # in seconds since the boot
        self._told = False

    def happened(self) -> None:
        """Hear that there is something new to write."""
        self._fresh = TWICE

    def write_if_due(self) -> None:
        """Write, unless that would say the same again, or the last write is still under way."""
        if self.workers.busy or not self._is_due():
            return
        self._fresh, self._written = max(0, self._fresh - 1), self._uptime()
        keeper = self._keeper
        table, reports = keeper.table, keeper.reports()
        host = HostCase(
            version=VERSION,
            paused=keeper.bars.pausing.reason,
            quirks_damaged=table.known_bad.damaged,
            damaged=self._damaged(),
            declaration=table.declaration,
            matched=table.matched,
            workers=keeper.jobs.workers,
            stuck=keeper.jobs.stuck,
        )
        self.workers.submit("metrics", lambda: self._write(host, table, reports), self._ended)

    def _is_due(self) -> bool:
        return bool(self._fresh) or self._uptime() - self._written >= QUIET

    def _write(self, host: HostCase, table: Table, reports: list[HoldReport]) -> None:
        """Read what a look at sysfs tells, which wakes nothing, and write. For the worker."""
        now = time.time()
        offers = self._sysfs.host()
        devices = tuple(self._device(it, host.paused, offers, table, now) for it in reports)
        drift = tuple(judge_host(host))
        moment = Moment(now, VERSION, bool(host.paused), drift, devices)
        write(self._path, exposition(moment))

    def _device(
        self, report: HoldReport, paused: str, offers: HostFacts, table: Table, now: float
    ) -> Device:
        address = report.address
        rule, power = table.rule(address), self._sysfs.power(address)
        free = rule is not None and rule.holds and not report.held
        case = Case(
            address=address,
            rule=rule,
            known=table.known.get(address),
            facts=table.devices.get(address),
            # Of another device we cannot see whether a guest has it, and moves it as it likes.
            power=power if report.held else None,
            hold=report,
            policy=self._sysfs.policy(address),
            paused=paused,
            host=offers,
            group_drivers=host_drivers(address, table.devices) if free else {},
            now=now,
        )
        return Device(report, rule, table.identity(address), power, tuple(judge(case)))

    def _ended(self, outcome: Outcome[None]) -> None:
        error: Optional[BaseException] = outcome.error
        if error is None:
            self._told = False
        elif not isinstance(error, OSError):
            raise error
        elif not self._told:
            self._told = True
            tell("unwritten", f"{error.filename}: {error.strerror}. There are no metrics of now")
