# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a device stands with us, told from memory: nothing is asked of the kernel for it."""

from __future__ import annotations

from typing import Callable, Optional

from ..words.address import PciAddress
from ..words.mode import Mode
from ..words.report import HoldReport, Lease, Running
from .bars import Bars
from .goals import Goals
from .histories import Histories
from .holder import Holder
from .permits import Permits
from .table import Table


class Reporting:
    """Puts together what the table, the bars, the permits and a holder know of a device."""

    def __init__(
        self,
        uptime: Callable[[], float],
        bars: Bars,
        permits: Permits,
        goals: Goals,
        histories: Histories,
    ) -> None:
        self._uptime = uptime
        self._bars = bars
        self._permits = permits
        self._goals = goals
        self._histories = histories

    def report(
        self,
        address: PciAddress,
        table: Table,
        holder: Optional[Holder],
        leases: tuple[Lease, ...],
    ) -> HoldReport:
        """Say how a device stands; without a holder we never had to do with it."""
        known, rule = table.known.get(address), table.rule(address)
        barred = self._bars.against(address, table)
        report = HoldReport(
            address,
            known.rule if known else None,
            taken_after=None if barred else self._permits.due(address),
            leases=leases,
            failure=self._goals.in_the_way(address, table, holder),
            quarantined=self._bars.distrusted(address, table),
            history=self._histories.of(address),
        )
        if holder is None:
            return report
        report = _told_by(holder, report, rule.mode if rule else Mode.NONE)
        return report._replace(running=self._running(holder))

    def _running(self, holder: Holder) -> Optional[Running]:
        if holder.running is None or holder.begun is None:
            return holder.running
        return holder.running._replace(seconds=self._uptime() - holder.begun)


def _told_by(holder: Holder, report: HoldReport, mode: Mode) -> HoldReport:
    counted = mode is Mode.ENTRY_WITH_WAKEUP
    why_not = report.failure if holder.engaged is Mode.NONE else None  # else not heeded yet
    return report._replace(
        state=holder.state.value,
        held=holder.grip is not None,
        engaged=holder.engaged,
        backend=holder.grip.backend if holder.grip else None,
        wakes=holder.wakes if counted else None,
        entered=holder.entered,
        waiting_until=holder.wait.until,
        reentries=holder.wait.report() if counted else None,
        failure=holder.failure or why_not,
    )
