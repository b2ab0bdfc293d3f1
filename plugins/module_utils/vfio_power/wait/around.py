# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The surroundings of hold/: a loop, workers beside it, the host's clocks and dice."""

from __future__ import annotations

import os
import time
from typing import Callable, Optional, TypeVar

from ..hold.surroundings import Timer
from ..words.errors import VfioPowerError
from .journal import tell_failure
from .loop import Loop
from .workers import Outcome, Workers

T = TypeVar("T")


def dice() -> float:
    """Return a number from 0 to 1; the random module would bring megabytes for it."""
    return int.from_bytes(os.urandom(4), "little") / 0xFFFFFFFF


class Around:
    """What hold/surroundings.py asks for, of this loop and these workers."""

    def __init__(
        self,
        loop: Loop,
        workers: Workers,
        uptime: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._loop = loop
        self._workers = workers
        self.uptime = uptime
        self.chance = chance

    def clock(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, in the loop's thread; what the host sleeps through does not count."""
        return self._loop.call_in(seconds, callback)

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back once when ``uptime`` is there, in the loop's thread."""
        return self._loop.call_at_uptime(when, callback)

    def submit(
        self,
        key: str,
        work: Callable[[], T],
        done: Callable[[Optional[T], Optional[Exception]], None],
        begun: Optional[Callable[[], None]] = None,
    ) -> None:
        """Run work in a worker and hand its beginning and end to the loop's thread."""

        def ended(outcome: Outcome[T]) -> None:
            error = outcome.error
            if error is not None and not isinstance(error, Exception):
                raise error
            if error is not None and not isinstance(error, VfioPowerError):
                tell_failure(error)  # with the way to it; what is answered is shorter
            done(outcome.value, error)

        self._workers.submit(key, work, ended, begun)

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back while the descriptor is readable."""
        self._loop.watch(fd, callback)

    def unwatch(self, fd: int) -> None:
        """Stop watching."""
        self._loop.unwatch(fd)
