# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop: waits for descriptors and times, and calls back. It holds no opinion.

Everything that decides runs in its one thread. What may block runs in workers.py, whose
threads come back through ``call_soon_threadsafe``, the only method they may call.
"""

from __future__ import annotations

import heapq
import os
import selectors
import signal
import time
from collections import deque
from typing import Callable, NamedTuple, Optional, Protocol, Union

from ..words.descriptor import OwnedFd

Callback = Callable[[], None]


class HasFileno(Protocol):
    """Anything with a descriptor."""

    def fileno(self) -> int:
        """Return its number."""


FileLike = Union[int, HasFileno]

LONGEST_WAIT = 86400.0  # seconds; epoll refuses waits of more than 24 days


def boot_time() -> float:
    """Return seconds since the boot, those included that the host slept through."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Timer:
    """Something to be called at a time, unless it is cancelled before."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callback) -> None:
        self.when = when
        self.callback: Optional[Callback] = callback

    def cancel(self) -> None:
        """Forget it; cancelling again, or too late, does nothing."""
        self.callback = None

    def __lt__(self, other: Timer) -> bool:
        """Tell which of two is due first."""
        return self.when < other.when


class Timers:
    """Those that go by one clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._heap: list[Timer] = []

    def add(self, when: float, callback: Callback) -> Timer:
        """Have something called at a time."""
        timer = Timer(when, callback)
        heapq.heappush(self._heap, timer)
        return timer

    def patience(self) -> float:
        """Return the seconds until the next one, or the longest wait where there is none."""
        while self._heap and self._heap[0].callback is None:
            heapq.heappop(self._heap)
        if not self._heap:
            return LONGEST_WAIT
        return min(max(self._heap[0].when - self.clock(), 0), LONGEST_WAIT)

    def take_due(self) -> list[Timer]:
        """Return those whose time has come, and have them no more."""
        now = self.clock()
        due: list[Timer] = []
        while self._heap and self._heap[0].when <= now:
            due.append(heapq.heappop(self._heap))
        return due


class _Watch(NamedTuple):
    readable: Optional[Callback]
    writable: Optional[Callback]


class Loop:
    """Calls back when a descriptor is ready or a time has come; blocks while nothing is due.

    ``failed`` is told of an error that a callback let escape, and the loop goes on; without
    it the error ends ``run``.
    """

    def __init__(
        self,
        failed: Optional[Callable[[Exception], None]] = None,
        clock: Callable[[], float] = time.monotonic,
        uptime: Callable[[], float] = boot_time,
    ) -> None:
        """``clock`` may stand still while the host sleeps, and ``uptime`` may not."""
        self.clock = clock
        self.timers = (Timers(clock), Timers(uptime))
        self._failed = failed
        self._selector = selectors.DefaultSelector()
        self._watches: dict[int, _Watch] = {}
        self._soon: deque[Callback] = deque()
        self._running = False
        self._wakened, self._waker = _pipe()
        self.watch(self._wakened, self._drain_waker)

    def watch(
        self, file: FileLike, readable: Optional[Callback], writable: Optional[Callback] = None
    ) -> None:
        """Call back when the file can be read, or written. Watching it again replaces that.

        Both None: it stays known but nothing is waited for.
        """
        number = file if isinstance(file, int) else file.fileno()
        before = self._watches.get(number)
        watch = _Watch(readable, writable)
        if watch == before:
            return
        self._watches[number] = watch
        events = _events(watch)
        if before is not None and _events(before):
            if events:
                self._selector.modify(number, events, watch)
            else:
                self._selector.unregister(number)
        elif events:
            self._selector.register(number, events, watch)

    def unwatch(self, file: FileLike) -> None:
        """Stop watching; to be called before the file is closed. Unknown files are ignored."""
        number = file if isinstance(file, int) else file.fileno()
        watch = self._watches.pop(number, None)
        if watch is not None and _events(watch):
            self._selector.unregister(number)

    def call_at(self, when: float, callback: Callback) -> Timer:
        """Call back at a time of the loop's clock, which nobody sets."""
        return self.timers[0].add(when, callback)

    def call_at_uptime(self, when: float, callback: Callback) -> Timer:
        """Call back so many seconds after the boot, those included that the host sleeps through.

        The selector waits by a clock that stands still meanwhile, so what is due when the host is
        awake again is called when it returns next.
        """
        return self.timers[1].add(when, callback)

    def call_in(self, seconds: float, callback: Callback) -> Timer:
        """Call back after that many seconds."""
        return self.call_at(self.clock() + seconds, callback)

    def call_soon_threadsafe(self, callback: Callback) -> None:
        """Call back in the loop's thread; for threads and signal handlers."""
        self._soon.append(callback)
        try:
            os.write(self._waker.fileno(), b"\0")
        except OSError:
            pass  # a full pipe wakes the loop as well, and a closed loop needs no waking

    def on_signal(self, number: int, callback: Callback) -> None:
        """Call back in the loop when the process gets a signal."""
        signal.signal(number, lambda _number, _frame: self.call_soon_threadsafe(callback))

    def run(self) -> None:
        """Serve until somebody calls ``stop``."""
        self._running = True
        while self._running:
            self.run_once()

    def run_once(self) -> None:
        """Wait for the next thing to happen, and call back for all that is due."""
        for key, events in self._selector.select(self._patience()):
            watch: _Watch = key.data
            if events & selectors.EVENT_WRITE and watch.writable is not None and self._minds(key):
                self._call(watch.writable)
            if events & selectors.EVENT_READ and watch.readable is not None and self._minds(key):
                self._call(watch.readable)
        for _turn in range(len(self._soon)):
            self._call(self._soon.popleft())
        self._call_due()

    def _minds(self, key: selectors.SelectorKey) -> bool:
        """Tell whether no earlier callback closed this file, or watches another of its number."""
        return self._watches.get(key.fd) is key.data

    def stop(self) -> None:
        """End ``run`` after the present round; for callbacks."""
        self._running = False

    def close(self) -> None:
        """Give the loop's own descriptors back."""
        self.unwatch(self._wakened)
        self._selector.close()
        self._waker.close()
        self._wakened.close()

    def _patience(self) -> float:
        if self._soon:
            return 0
        return min(timers.patience() for timers in self.timers)

    def _call_due(self) -> None:
        for timer in [timer for timers in self.timers for timer in timers.take_due()]:
            callback, timer.callback = timer.callback, None
            if callback is not None:
                self._call(callback)

    def _call(self, callback: Callback) -> None:
        try:
            callback()
        except Exception as error:
            if self._failed is None:
                raise
            self._failed(error)

    def _drain_waker(self) -> None:
        try:
            os.read(self._wakened.fileno(), 4096)
        except BlockingIOError:
            return


def _events(watch: _Watch) -> int:
    readable = selectors.EVENT_READ if watch.readable is not None else 0
    writable = selectors.EVENT_WRITE if watch.writable is not None else 0
    return readable | writable


def _pipe() -> tuple[OwnedFd, OwnedFd]:
    """Return the reading and the writing end of a pipe that never blocks."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    return OwnedFd(reading), OwnedFd(writing)
