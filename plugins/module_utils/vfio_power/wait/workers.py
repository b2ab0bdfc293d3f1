# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads for calls that may block; what they bring back is handled in the loop.

Jobs of one key (a device) run one after the other in the order they came, those of
different keys side by side. The bookkeeping is done in the loop's thread alone.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from functools import partial
from typing import Any, Callable, Generic, Optional, TypeVar

from .loop import Loop

T = TypeVar("T")


class Outcome(Generic[T]):
    """What a job returned, or the error it ended with."""

    __slots__ = ("error", "value")

    def __init__(self, value: Optional[T] = None, error: Optional[BaseException] = None) -> None:
        self.value = value
        self.error = error


class _Job:
    __slots__ = ("begun", "done", "key", "outcome", "work")

    def __init__(
        self,
        key: str,
        work: Callable[[], Any],
        done: Callable[[Outcome[Any]], None],
        begun: Optional[Callable[[], None]],
    ) -> None:
        self.key = key
        self.work = work
        self.done = done
        self.begun = begun
        self.outcome: Outcome[Any] = Outcome()

    def run(self) -> None:
        try:
            self.outcome = Outcome(self.work())
        except BaseException as error:
            self.outcome = Outcome(error=error)


class Workers:
    """At most ``size`` threads, each started when it is first needed."""

    def __init__(self, loop: Loop, size: int) -> None:
        self.size = size
        self.busy = 0  # jobs that a thread has, or is about to take
        self._loop = loop
        self._queues: dict[str, deque[_Job]] = {}  # a key is here while one of its jobs runs
        self._ready: queue.SimpleQueue[Optional[_Job]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(
        self,
        key: str,
        work: Callable[[], T],
        done: Callable[[Outcome[T]], None],
        begun: Optional[Callable[[], None]] = None,
    ) -> None:
        """Run ``work`` in a thread, then ``done`` in the loop; for the loop's thread.

        ``begun`` is called in the loop as well, once a thread has taken the work.
        """
        job = _Job(key, work, done, begun)
        waiting = self._queues.get(key)
        if waiting is not None:
            waiting.append(job)
            return
        self._queues[key] = deque()
        self._start(job)

    def close(self, patience: float = 0.0) -> None:
        """End idle threads, waiting that long for busy ones. Jobs not begun are dropped.

        A thread that the kernel keeps is left behind; being a daemon it ends with the process.
        """
        self._closed = True
        for _thread in self._threads:
            self._ready.put(None)
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start(self, job: _Job) -> None:
        self.busy += 1
        self._ready.put(job)
        if self.busy > len(self._threads) < self.size:
            thread = threading.Thread(target=self._serve, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        while True:
            job = self._ready.get()
            if job is None or self._closed:
                return
            if job.begun is not None:
                self._loop.call_soon_threadsafe(job.begun)
            job.run()
            if self._closed:
                return
            self._loop.call_soon_threadsafe(partial(self._finish, job))

    def _finish(self, job: _Job) -> None:
        self.busy -= 1
        try:
            job.done(job.outcome)
        finally:
            waiting = self._queues[job.key]
            if waiting:
                self._start(waiting.popleft())
            else:
                del self._queues[job.key]
