# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a woken device is entered again: after a delay, within a bucket, unless a storm blows.

Whoever reads a device every second would have it wake and sleep all day. After a wake nobody can
see whether the readers are done, as the eventfd tells of the first access only. What is left is
to choose the time: a token bucket bounds the entries of an hour, and a breaker gives up on a
device that does not get to sleep, until it is tried once more.

Values in, values out. Times are seconds of a clock that nobody sets and that outlives us;
``chance`` is a number from 0 to 1, another one each time.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Optional

from ..words.declaration import Reentry

JUDGED = 8
"""How many sleeps the closed breaker looks at."""

SHORT = 5.0
"""Seconds: sleeps that are shorter on average are a storm."""

GOOD = 60.0
"""Seconds: a sleep that was longer speaks for the end of a storm."""

ENOUGH_GOOD = 2
"""How many good sleeps close the breaker."""

REST = 900.0
"""Seconds that a device is left awake in a storm."""

JITTER = 0.1
"""The part by which a wait is shorter or longer than it would be."""

BUCKET, BREAKER = "bucket", "breaker"
"""What can put an entry off."""


class Breaker(str, Enum):
    """Whether a device is entered again as usual."""

    CLOSED = "closed"
    OPEN = "open"  # it is left awake
    HALF_OPEN = "half-open"  # it is tried; one short sleep opens it, good ones close it


class Span(NamedTuple):
    """A sleep from its entry to the wake that ended it, or a storm of them."""

    since: float
    until: float

    @property
    def lasted(self) -> float:
        """Return its length."""
        return self.until - self.since


class Memory(NamedTuple):
    """What is remembered of a device from one wake to the next."""

    spent: float = 0.0  # tokens that are missing in the bucket
    counted: float = 0.0  # when they were counted
    asleep_since: Optional[float] = None
    due: Optional[float] = None  # when it is entered again
    put_off_by: Optional[str] = None  # BUCKET or BREAKER: why that is later than the delay
    suppressed: int = 0
    own: bool = False  # the last wake was our own doing
    breaker: Breaker = Breaker.CLOSED
    sleeps: tuple[Span, ...] = ()  # the last ones that somebody else ended, while it is closed
    good: int = 0  # good sleeps, while it is half-open
    storm_wakes: int = 0  # while it is not closed, as is the storm's span up to its last wake
    storm: Span = Span(0.0, 0.0)


def entered(memory: Memory, now: float) -> Memory:
    """Low power is engaged; after a storm that is the attempt."""
    breaker = Breaker.HALF_OPEN if memory.breaker is Breaker.OPEN else memory.breaker
    return memory._replace(asleep_since=now, due=None, put_off_by=None, breaker=breaker)


def woken(memory: Memory, bounds: Reentry, now: float, chance: float, *, own: bool) -> Memory:
    """Account for a wake, and set the time of the next entry.

    A wake of our own doing is nobody's storm: the device goes back after its delay, for that is
    what is declared, and it takes no token. But "own" is what we say in doubt, and a stranger who
    always comes while we work would never be bounded. A call of ours wakes a device once, so the
    second own wake in a row takes its token like any other.
    """
    free = own and not memory.own
    memory = _refilled(memory, bounds, now)._replace(own=own)
    if not own:
        memory = _judged(memory, now)
    token_in = 0.0 if free else _token_in(memory, bounds)
    put_off_by, wait = None, bounds.delay
    if memory.breaker is Breaker.OPEN:
        put_off_by, wait = BREAKER, REST
    elif token_in > wait:
        put_off_by = BUCKET
    wait = max(wait * (1 - JITTER + 2 * JITTER * chance), token_in)
    return memory._replace(
        spent=memory.spent + (not free),
        asleep_since=None,
        due=now + wait,
        put_off_by=put_off_by,
        suppressed=memory.suppressed + (put_off_by is not None),
    )


def _refilled(memory: Memory, bounds: Reentry, now: float) -> Memory:
    """Put the tokens of the time that passed into the bucket; it may be a smaller one now."""
    came = max(0.0, now - memory.counted) * bounds.max_per_hour / 3600
    return memory._replace(spent=min(max(0.0, memory.spent - came), bounds.burst), counted=now)


def _token_in(memory: Memory, bounds: Reentry) -> float:
    """Return after how many seconds there is a token."""
    return max(0.0, memory.spent + 1 - bounds.burst) * 3600 / bounds.max_per_hour


def _judged(memory: Memory, now: float) -> Memory:
    """Let the breaker see a sleep that somebody else ended."""
    if memory.asleep_since is None:
        return memory
    sleep = Span(memory.asleep_since, max(now, memory.asleep_since))
    closed = memory.breaker is Breaker.CLOSED
    return _judge_usual(memory, sleep) if closed else _judge_attempt(memory, sleep)


def _judge_usual(memory: Memory, sleep: Span) -> Memory:
    sleeps = (*memory.sleeps, sleep)[-JUDGED:]
    if len(sleeps) < JUDGED or sum(it.lasted for it in sleeps) / JUDGED >= SHORT:
        return memory._replace(sleeps=sleeps)
    storm = Span(sleeps[0].since, sleep.until)
    return memory._replace(breaker=Breaker.OPEN, sleeps=(), storm_wakes=JUDGED, storm=storm)


def _judge_attempt(memory: Memory, sleep: Span) -> Memory:
    """A sleep neither short nor good leaves it undecided; the bucket bounds such ones."""
    storm = memory.storm._replace(until=sleep.until)
    memory = memory._replace(storm_wakes=memory.storm_wakes + 1, storm=storm)
    if sleep.lasted < SHORT:
        return memory._replace(breaker=Breaker.OPEN, good=0)
    good = memory.good + (sleep.lasted > GOOD)
    if good < ENOUGH_GOOD:
        return memory._replace(good=good)
    return memory._replace(breaker=Breaker.CLOSED, good=0, storm_wakes=0)
