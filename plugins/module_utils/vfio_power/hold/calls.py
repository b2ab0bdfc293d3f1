# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our calls to devices: each in a worker, one at a time per IOMMU group."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Callable, Optional

from ..think.deadlines import deadline_of
from ..think.policy import Action
from ..words.address import PciAddress
from ..words.declaration import Known
from ..words.facts import Facts
from ..words.report import Failure
from .errands import Errands
from .grip import Grip
from .holder import Holder
from .jobs import Job, Jobs
from .neighbours import Neighbours
from .surroundings import Listener, Surroundings
from .table import Table


class Calls:
    """Sends errands to the workers and brings back how they ended."""

    def __init__(
        self,
        around: Surroundings,
        errands: Errands,
        jobs: Jobs,
        neighbours: Neighbours,
        listener: Listener,
    ) -> None:
        self._around = around
        self._errands = errands
        self._jobs = jobs
        self._neighbours = neighbours
        self._listener = listener

    def carry_out(
        self,
        holder: Holder,
        action: Action,
        table: Table,
        done: Callable[[Optional[Grip], Optional[Failure]], None],
    ) -> None:
        """Run an action, with the window over the device's port open meanwhile."""
        address, grip = holder.address, holder.grip
        known = table.known.get(address, Known(address, None, ""))
        facts = table.devices.get(address)
        port = self._neighbours.port(address)

        def ended(held: Optional[Grip], error: Optional[Exception]) -> None:
            self._neighbours.end_call(port, address)
            if error is not None:
                kept = None if action in (Action.TAKE, Action.LET_GO) else grip
                done(kept, self._errands.failure(error, address, facts))
                return
            done(held, None)

        self._neighbours.begin_call(port)
        lane, call = _lane(address, facts, grip), action.value
        job = Job(lane, call, partial(self._begun, holder), partial(self._late, address, call))
        self._jobs.submit(job, lambda: self._errands.run(action, known, facts, grip), ended)

    def close(self, group: int, closing: ExitStack) -> None:
        """Close what is open of an IOMMU group and belongs to no device that is held."""
        job = Job(f"group {group}", Action.LET_GO.value)
        self._jobs.submit(job, closing.close, lambda _none, _error: None)

    def look_at(self, holder: Holder) -> None:
        """Let a holder doubt that its device may sleep, if the device is seen awake."""
        self._around.submit(
            _lane(holder.address, None, holder.grip),
            partial(self._errands.is_awake, holder.address),
            partial(_doubt_if, holder),
        )

    def _begun(self, holder: Holder) -> None:
        holder.begun = self._around.uptime()  # until now it waited for a worker

    def _late(self, address: PciAddress, call: str) -> None:
        lasting = f"for {deadline_of(call):.0f} s"
        self._listener(address, "stuck", f"{address}: {call} has not returned {lasting}")


def _doubt_if(holder: Holder, awake: Optional[bool], _error: Optional[Exception]) -> None:
    if awake:
        holder.doubt()


def _lane(address: PciAddress, facts: Optional[Facts], grip: Optional[Grip]) -> str:
    """Return what keeps jobs of one IOMMU group in a row, also when the device is gone."""
    if grip is not None:
        return f"group {grip.group}"
    return f"group {facts.iommu_group}" if facts else str(address)
