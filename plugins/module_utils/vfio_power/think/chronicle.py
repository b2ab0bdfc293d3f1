# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a card's history grows. Bounded: of the incidents the last ten are kept, the rest is counted.

A history belongs to a card. Another one at its address begins its own.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from ..words.address import PciAddress
from ..words.facts import Identity, Power
from ..words.history import FOREIGN, OWN, History, Incident
from ..words.report import Wakes

MOST = 10


class Counted(NamedTuple):
    """What the kernel had counted when it was read last, in that boot."""

    boot: str = ""
    asleep_ms: int = 0
    awake_ms: int = 0


class Chronicle(NamedTuple):
    """A history with what it takes to go on with it.

    ``seen`` are the wakes of the hold that are in it: what its record has more, came after it was
    written down.
    """

    address: PciAddress
    identity: Optional[Identity]
    history: History
    counted: Counted = Counted()
    seen: Wakes = Wakes()


def woken(history: History, kind: str, incident: Optional[Incident]) -> History:
    """Add a wake; ``incident`` None: it belongs to the one that is the newest already."""
    own, foreign = history.own + (kind == OWN), history.foreign + (kind == FOREIGN)
    grown = history._replace(own=own, foreign=foreign)
    return grown if incident is None else _with(grown, incident, 1)


def spread(history: History, devices: int) -> History:
    """Let the newest incident have so many devices."""
    newest = tuple(it._replace(devices=devices) for it in history.last[:1])
    return history._replace(last=newest + history.last[1:])


def caught_up(it: Chronicle, wakes: Wakes) -> Chronicle:
    """Add the wakes that a hold had after the history was written down."""
    before = it.seen if it.seen.total <= wakes.total else Wakes()
    foreign = max(0, wakes.foreign - before.foreign)
    missing = wakes.total - before.total
    if not missing:
        return it._replace(seen=wakes)
    own = max(0, missing - foreign)
    history = it.history._replace(own=it.history.own + own, foreign=it.history.foreign + foreign)
    last = Incident(wakes.last or history.since, FOREIGN if foreign else OWN)
    return it._replace(history=_with(history, last, missing), seen=wakes)


def timed(it: Chronicle, boot: str, power: Optional[Power]) -> Chronicle:
    """Take down what the kernel counts; it begins anew also where a card was plugged in again."""
    if power is None:
        return it
    now = Counted(boot, power.suspended_ms, power.active_ms)
    anew = now.asleep_ms < it.counted.asleep_ms or now.awake_ms < it.counted.awake_ms
    return (counted_anew(it) if anew else it)._replace(counted=now)


def counted_anew(it: Chronicle) -> Chronicle:
    """Let what the kernel had counted be of before: it counts from zero again."""
    history, before = it.history, it.counted
    history = history._replace(
        asleep_before=history.asleep_before + before.asleep_ms / 1000,
        awake_before=history.awake_before + before.awake_ms / 1000,
    )
    return it._replace(history=history, counted=Counted())


def slept(history: History, power: Power) -> tuple[float, float]:
    """Return for how many seconds the card was asleep and awake in all."""
    asleep = history.asleep_before + power.suspended_ms / 1000
    return asleep, history.awake_before + power.active_ms / 1000


def _with(history: History, incident: Incident, count: int) -> History:
    last = (incident, *history.last)[:MOST]
    return history._replace(incidents=history.incidents + count, last=last)
