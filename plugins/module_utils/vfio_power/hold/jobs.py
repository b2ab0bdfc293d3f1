# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs that workers have from us, and which of them wait in the kernel for too long."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional, TypeVar

from ..think.deadlines import deadline_of
from .surroundings import Surroundings, Timer

T = TypeVar("T")


def _nothing() -> None:
    """Hear it and do nothing."""


class Job(NamedTuple):
    """One call. ``begun`` hears that a worker has it, ``late`` that it is past its deadline."""

    lane: str  # those of one lane run one after the other
    call: str  # as think/deadlines.py names it
    begun: Callable[[], None] = _nothing
    late: Callable[[], None] = _nothing


class Jobs:
    """All of them. ``changed`` hears when the last worker hangs, and when one is free again."""

    def __init__(self, around: Surroundings, workers: int, changed: Callable[[], None]) -> None:
        self.workers = workers
        self._around = around
        self._changed = changed
        self._late: set[Job] = set()

    @property
    def stuck(self) -> int:
        """How many workers hang in a call."""
        return len(self._late)

    @property
    def all_stuck(self) -> bool:
        """Tell whether no worker is left for anything else."""
        return self.stuck >= self.workers

    def submit(
        self,
        job: Job,
        work: Callable[[], T],
        done: Callable[[Optional[T], Optional[Exception]], None],
    ) -> None:
        """Run ``work`` in a worker, then ``done`` in the loop's thread."""
        timers: list[Timer] = []

        def begun() -> None:
            timers.append(self._around.call_later(deadline_of(job.call), late))
            job.begun()

        def late() -> None:
            self._late.add(job)
            job.late()
            self._changed()

        def ended(value: Optional[T], error: Optional[Exception]) -> None:
            for timer in timers:
                timer.cancel()
            if job in self._late:
                self._late.discard(job)
                self._changed()
            done(value, error)

        self._around.submit(job.lane, work, ended, begun)
