# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time from a wake of one device to its next entry; think/reentry.py says how long it is."""

from __future__ import annotations

from typing import Callable, Optional

from ..think import reentry
from ..think.reentry import Breaker, Memory
from ..words.declaration import Reentry
from ..words.report import Reentries
from .surroundings import Surroundings, Timer


class Wait:
    """Waits, and remembers what bounds the next wait. Nothing lasts longer by a second wake."""

    def __init__(
        self,
        around: Surroundings,
        over: Callable[[], None],
        happened: Callable[[str, str], None],
    ) -> None:
        """``over`` hears that the time has come, ``happened`` of each move of the breaker."""
        self.bounds = Reentry()
        self.memory = Memory()
        self.until: Optional[float] = None  # seconds since the epoch
        self._around = around
        self._over = over
        self._happened = happened
        self._timer: Optional[Timer] = None

    def begin(self, *, own: bool) -> None:
        """Account for a wake, and wait."""
        before, around = self.memory.breaker, self._around
        now, chance = around.uptime(), around.chance()
        self.memory = reentry.woken(self.memory, self.bounds, now, chance, own=own)
        self.go_on()
        self._tell(before)

    def go_on(self) -> None:
        """Wait until the time that is remembered; perhaps another helper set it."""
        now = self._around.uptime()
        due = max(now, self.memory.due or now)
        self.until = self._around.clock() + due - now
        self._timer = self._around.call_at(due, self._over)

    def end(self) -> None:
        """Wait no longer."""
        self.until = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def entered(self) -> None:
        """Take note that the device may sleep from now on, until a wake."""
        before = self.memory.breaker
        self.memory = reentry.entered(self.memory, self._around.uptime())
        self._tell(before)

    def report(self) -> Reentries:
        """Say what bounds the entries."""
        memory = self.memory
        return Reentries(
            memory.breaker.value,
            memory.put_off_by if self.until is not None else None,
            memory.suppressed,
            memory.storm_wakes,
            memory.storm.lasted if memory.storm_wakes else 0.0,
        )

    def _tell(self, before: Breaker) -> None:
        """Tell of the breaker where it moved; of every wake would be too much for a journal."""
        memory = self.memory
        if memory.breaker is before:
            return
        storm = f"{memory.storm_wakes} wakes in {memory.storm.lasted:.0f} s"
        if memory.breaker is Breaker.OPEN and self.until is not None:
            storm += f"; left awake for {self.until - self._around.clock():.0f} s"
        self._happened(f"breaker-{memory.breaker.value}", storm)
