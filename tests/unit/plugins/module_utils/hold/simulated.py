# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole helper in one thread and in a time of its own: what happens next, the test says."""

from __future__ import annotations

import socket
from collections import deque
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Callable
from unittest.mock import patch

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold import grips
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.grips import Kept
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.eventfd import eventfd
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import daemon
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.loop import Loop
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.steward import MOMENT
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.workers import (
    Workers,
    _Job,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.descriptor import OwnedFd
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import HoldReport

from ..fake.host import FakeHost
from .helper import Helper

TURNS = 1000  # of a loop that would never come to rest
EPOCH = 1_900_000_000.0


class Bench(Workers):
    """Workers that do a job when they are told to."""

    def __init__(self, loop: Loop, size: int) -> None:
        super().__init__(loop, size)
        self.jobs: deque[_Job] = deque()

    def _start(self, job: _Job) -> None:
        self.busy += 1
        self.jobs.append(job)

    def work(self, turn: int = 0) -> None:
        """Do one of the jobs, whose end the loop hears of."""
        job = self.carry_out(turn)
        self._finish(job)

    def carry_out(self, turn: int = 0) -> _Job:
        """Do one of the jobs, whose end nobody hears of."""
        self.jobs.rotate(-turn)
        job = self.jobs.popleft()
        if job.begun is not None:
            job.begun()
        job.run()
        return job


class Call:
    """A call that did not come by way of a socket."""

    def __init__(self, parameters: dict[str, Any], *, more: bool = False) -> None:
        self.parameters = parameters
        self.more = more
        self.leave: Callable[[], None] = lambda: None
        self.answers: list[Any] = []
        self.errors: list[str] = []

    def reply(self, parameters: Any, continues: bool = False) -> None:
        self.answers.append(parameters)

    def error(self, name: str, parameters: Any = None) -> None:
        self.errors.append(f"{name} {parameters}")

    def refuse(self, error: Exception) -> None:
        self.errors.append(str(error))

    def on_close(self, callback: Callable[[], None]) -> None:
        self.leave = callback


class StoodStill:
    """Clocks that only the test moves."""

    def __init__(self) -> None:
        self.ahead = 1000.0

    def __call__(self) -> float:
        return self.ahead

    uptime = __call__


class Simulated(Helper):
    """Nothing happens but in ``proceed``, ``work`` and what calls them."""

    def __init__(self, host: FakeHost, folder: Path, **settings: float) -> None:
        super().__init__(host, folder, **settings)
        self.clock = StoodStill()  # type: ignore[assignment]
        self.set_ahead = 0.0  # seconds by which somebody has set the clock of people
        self.unexpected: list[BaseException] = []
        self._counters: list[OwnedFd] = []  # what a process has open besides nodes
        self._patches = ExitStack()
        for place, name, value in (
            (daemon, "Workers", Bench),
            (daemon, "tell", lambda *_told: None),
            (daemon, "tell_failure", self.unexpected.append),
            (daemon.Around, "clock", lambda _around: EPOCH + self.set_ahead + self.clock()),
            (grips, "eventfd", self._eventfd),
            (grips, "_UNSEEN", 0.0),
            (self.store, "hand_over", partial(self._handed_over, self.store.hand_over)),
        ):
            self._patches.enter_context(patch.object(place, name, value))

    def start(self) -> None:
        """Start it; what is declared is loaded then."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("")  # any name
        self._make(listener)
        self.proceed()

    def die(self, undone: int = 0) -> None:
        """Die, so many jobs done of which the loop has not heard. The kernel closes the rest."""
        bench = self.bench
        for _job in range(min(undone, len(bench.jobs))):
            bench.carry_out()
        self.daemon.close()
        kernel = self.host.kernel
        for counter in self._counters:
            if counter.fileno() not in kernel._files:
                counter.close()
        self._counters.clear()
        for number in kernel._files.keys() - {number for _name, number in self.store._kept}:
            kernel.close(number)

    def end(self) -> None:
        """Leave nothing open."""
        self.store.clear()
        self._patches.close()

    @property
    def bench(self) -> Bench:
        """Return the workers of devices."""
        assert isinstance(self.daemon.workers, Bench)
        return self.daemon.workers

    @property
    def at_rest(self) -> bool:
        """Tell whether nothing is under way."""
        return not self.bench.jobs and not self.daemon.steward.looking

    def call(self, method: str, *, more: bool = False, **parameters: Any) -> Call:
        """Ask for something, without waiting for the answer."""
        call = Call(parameters, more=more)
        self.daemon.service.methods()[method](call)  # type: ignore[arg-type]
        self.proceed()
        return call

    def proceed(self) -> None:
        """Let the loop and the clerk turn until only devices are waited for."""
        loop, clerk = self.daemon.loop, self.daemon.clerk
        assert isinstance(clerk, Bench)
        for _turn in range(TURNS):
            if clerk.jobs:
                clerk.work()
            elif loop._soon or self._overdue() or loop._selector.select(0):
                loop.run_once()
            else:
                return
        raise AssertionError("the loop does not come to rest")

    def work(self, turn: int = 0) -> None:
        """Do one of the devices' jobs, if there is any."""
        if self.bench.jobs:
            self.bench.work(turn % len(self.bench.jobs))
        self.proceed()

    def settle(self) -> None:
        """Do all that there is to do without time passing, but for the look at a new bus."""
        while not self.at_rest:
            if self.daemon.steward.looking:
                self.clock.ahead += MOMENT
            self.work()

    def reports(self) -> dict[PciAddress, HoldReport]:
        """Return how every device stands."""
        return {report.address: report for report in self.daemon.keeper.reports()}

    def _overdue(self) -> bool:
        return any(it.patience() == 0 for it in self.daemon.loop.timers)

    def _handed_over(self, hand_over: Callable[[], list[Kept]]) -> list[Kept]:
        kept = hand_over()
        self._counters.extend(descriptor for _keepsake, descriptor in kept)
        return kept

    def _eventfd(self) -> OwnedFd:
        self._counters.append(eventfd())
        return self._counters[-1]
