# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins what the helper tells with what the kernel's trace says of who did it.

The helper tells of the wakes of devices in entry-with-wakeup, and the trace has who it was: the
kernel notes a call before the device wakes by it, so that the record is there when the event
comes. Of all other devices the trace alone has the wakes.

Times are seconds of the trace's clock. ``ahead`` is what the clock of people is ahead of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Callable, Optional

from ..words.address import PciAddress
from ..words.waker import Waker
from .repeats import Repeats
from .trace import Began, Lost, Returned, parse
from .wakers import Wakers
from .wire import report_from_json

Told = dict[str, Any]

WOKEN = "woken"
"""The event of a wake that only the trace has; the helper has none of that name."""

_WAKES = ("woken-foreign", "woken-own")
_AFTER_A_WAKE = ("waiting", "stays-awake")


class Witness:
    """Knows who woke what. ``who`` says of a call who makes it."""

    def __init__(self, who: Callable[[Began], Waker]) -> None:
        self._who = who
        self._wakers = Wakers()
        self._repeats = Repeats()
        self._devices: dict[PciAddress, Any] = {}  # as the helper told them last
        self._counted: set[PciAddress] = set()  # the helper tells of their wakes
        self._woken_by: dict[PciAddress, Waker] = {}

    @property
    def addresses(self) -> set[PciAddress]:
        """The devices that the helper has told of."""
        return set(self._devices)

    def hear(self, told: Told, ahead: float) -> Told:
        """Take in what the helper tells; return it with who it was where it is about a wake."""
        for document in told.get("devices", ()):
            self._remember(document)
        if "device" not in told:
            return told
        address = self._remember(told["device"])
        event, moment = told.get("event"), float(told.get("time", 0)) - ahead
        if event == "entering":
            self._wakers.sleeps(address, since=moment)
            self._woken_by.pop(address, None)
        elif event in _WAKES:
            self._woken_by[address] = self._wakers.of(address, moment)
        waker = self._woken_by.get(address)
        if waker is None or event not in (*_WAKES, *_AFTER_A_WAKE):
            return told
        return {**told, "woken_by": waker._asdict()}

    def see(self, lines: Iterable[str], now: float, ahead: float) -> Iterator[Told]:
        """Take in what the kernel noted; yield the wakes of which the helper does not tell."""
        known: dict[Any, Waker] = {}  # of these lines alone: a pid is not one's for ever
        for line in lines:
            record = parse(line)
            if isinstance(record, Lost):
                self._wakers.lost(now)
            elif record is None or record.address not in self._devices:
                continue
            elif isinstance(record, Began):
                caller = record.task, record.command, record.in_interrupt
                known[caller] = known.get(caller) or self._who(record)
                self._wakers.began(record, known[caller])
            else:
                yield from self._returned(record, now, ahead)

    def count(self, now: float, ahead: float) -> Iterator[Told]:
        """Yield how often those woke a device again who were told a moment ago."""
        for repeated in self._repeats.over(now):
            yield self._woken(repeated.address, repeated.waker, now + ahead, repeated.times)

    def due(self) -> Optional[float]:
        """Return when there may be something to count."""
        return self._repeats.due()

    def _remember(self, document: Any) -> PciAddress:
        report = report_from_json(document)
        self._devices[report.address] = document
        if report.held and report.wakes is not None:
            self._counted.add(report.address)
        else:
            self._counted.discard(report.address)
        return report.address

    def _returned(self, end: Returned, now: float, ahead: float) -> Iterator[Told]:
        waker = self._wakers.returned(end)
        if waker is None or end.address in self._counted:
            return
        if self._repeats.first(end.address, waker, now):
            yield self._woken(end.address, waker, end.seconds + ahead, 1)

    def _woken(self, address: PciAddress, waker: Waker, time: float, times: int) -> Told:
        return {
            "event": WOKEN,
            "time": time,
            "address": str(address),
            "detail": None,
            "device": self._devices[address],
            "times": times,
            "woken_by": waker._asdict(),
        }
