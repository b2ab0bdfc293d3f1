# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the calls that want a device awake did wake it, and who made that one."""

from __future__ import annotations

from typing import NamedTuple, Optional

from ..words.address import PciAddress
from ..words.waker import Kind, Waker
from .trace import Began, Returned

BELONG = 5.0
"""Seconds between a call and what comes of it: the thread that does the work, the helper's word."""

_MOST_CALLS = 64
"""That are under way for one device; of calls whose return was lost, the oldest are dropped."""


class _Call(NamedTuple):
    task: int
    at: float
    waker: Waker
    asynchronous: bool


class _Wake(NamedTuple):
    at: float
    waker: Waker


class _Device:
    """What the trace said of one device."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self.asked: Optional[_Wake] = None  # the last asynchronous call
        self.woken: Optional[_Wake] = None


class Wakers:
    """Remembers who wants which device awake, until it is known who woke it.

    Times are seconds of the trace's clock.
    """

    def __init__(self) -> None:
        self._devices: dict[PciAddress, _Device] = {}
        self._lost: Optional[float] = None

    def began(self, call: Began, waker: Waker) -> None:
        """Take note of a call, and of who makes it."""
        device = self._devices.setdefault(call.address, _Device())
        others = [it for it in device.calls if it.task != call.task]  # it makes one at a time
        this = _Call(call.task, call.seconds, waker, call.asynchronous)
        device.calls = [*others[1 - _MOST_CALLS :], this]
        if call.asynchronous:
            device.asked = _Wake(call.seconds, waker)

    def returned(self, end: Returned) -> Optional[Waker]:
        """Take note of a call's end; return who woke the device if it was woken by it."""
        device = self._devices.setdefault(end.address, _Device())
        call = next((it for it in device.calls if it.task == end.task), None)
        device.calls = [it for it in device.calls if it is not call]
        if not end.woke or (call is not None and call.asynchronous):
            return None
        at = end.seconds
        waker = self._nobody(at) if call is None else _on_behalf_of(device, call)
        device.woken, device.asked = _Wake(at, waker), None
        return waker

    def lost(self, now: float) -> None:
        """Take note of a gap."""
        self._lost = now

    def sleeps(self, address: PciAddress, since: float) -> None:
        """Forget a wake that was before the device went to sleep again."""
        device = self._devices.get(address)
        if device is not None and device.woken is not None and device.woken.at < since:
            device.woken = None

    def of(self, address: PciAddress, at: float) -> Waker:
        """Return who woke a device of which somebody else says that it woke now."""
        device = self._devices.get(address, _Device())
        if device.woken is not None and abs(at - device.woken.at) < BELONG:
            return device.woken.waker
        # The first call that is under way is doing it; those after it wait for its end.
        doing = next((it for it in device.calls if not it.asynchronous), None)
        return self._nobody(at) if doing is None else _on_behalf_of(device, doing)

    def _nobody(self, at: float) -> Waker:
        recently = self._lost is not None and abs(at - self._lost) < BELONG
        return Waker(Kind.LOST if recently else Kind.UNRECORDED)


def _on_behalf_of(device: _Device, call: _Call) -> Waker:
    """Return who made a call, or had a thread of the kernel make it."""
    asked = device.asked
    if call.waker.kind is Kind.KERNEL and asked is not None and call.at - asked.at < BELONG:
        return asked.waker
    return call.waker
