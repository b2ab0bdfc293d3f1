# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``watch --who``: waits for the helper's events and the kernel's trace at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from selectors import EVENT_READ, PollSelector
from types import FrameType
from typing import Any, NoReturn, Optional

from ..think.witness import Witness
from ..touch.client import Client, Connection
from ..touch.tracing import Trace
from .stage import Surroundings

Told = dict[str, Any]

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def witnessed(client: Client, around: Surroundings) -> Generator[Told, None, None]:
    """Yield what the helper tells, with who it was, and the wakes that only the kernel knows of.

    SIGTERM and a closed terminal end it as Ctrl-C does: by KeyboardInterrupt.
    """
    with _ended_by_signals(), around.tracefs.tracing() as trace:
        helper = client.call("GetStatus").get("pid")
        witness = Witness(partial(around.who_is, helper=helper))
        with client.listening("Monitor") as helper_says:
            while True:
                yield from _turn(witness, helper_says, trace)


def _turn(witness: Witness, helper_says: Connection, trace: Trace) -> Iterator[Told]:
    heard = helper_says.arrived() if _waited(witness, helper_says, trace) else []
    # In this order: what the kernel noted before an event is here when the event is.
    now = time.monotonic()
    ahead = time.time() - now
    yield from witness.see(trace.lines(), now, ahead)
    for told in heard:
        completed = witness.hear(told, ahead)
        trace.follow(witness.addresses)
        yield completed
    yield from witness.count(now, ahead)


def _waited(witness: Witness, helper_says: Connection, trace: Trace) -> bool:
    """Wait for either; tell whether the helper says something."""
    due = witness.due()
    patience = None if due is None else max(0.0, due - time.monotonic())
    # Not epoll: the kernel notes that somebody waits for a trace each time that it is asked.
    with PollSelector() as either:
        either.register(helper_says, EVENT_READ)
        either.register(trace, EVENT_READ)
        return any(key.fileobj is helper_says for key, _events in either.select(patience))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Leave nothing behind in the kernel when somebody ends the command."""

    def end(_number: int, _frame: Optional[FrameType]) -> NoReturn:
        raise KeyboardInterrupt

    heeded = [it for it in _SIGNALS if signal.getsignal(it) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
