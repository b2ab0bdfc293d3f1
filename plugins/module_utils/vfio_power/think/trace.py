# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of the kernel's trace of runtime power management, read into values.

A call that wants a device awake begins with ``rpm_resume``, whoever makes it and whether or not
the device sleeps. Only its return, ``rpm_return_int``, says what it did: 0 is a device that woke
by it, 1 is one that was awake, and less is an error. An asynchronous call returns 0 at once and
leaves the work to a thread of the kernel, which makes a call of its own.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, Union

from ..words.address import PciAddress

BEGINS, RETURNS = "rpm_resume", "rpm_return_int"
EVENTS = (BEGINS, RETURNS)
"""Of the system ``rpm``: the tracepoints whose lines are read here."""

UNNAMED = "<...>"
"""What the kernel prints for the name of a task that it has not noted, or not any more."""

_ASYNC = 0x01  # RPM_ASYNC of <linux/pm_runtime.h>
_IN_INTERRUPT = "hHszZ"
_PAGE = 4096  # bytes that the kernel takes of a filter, with the end of the text

# "      lspci-812     [001] d..1.   117.204311: rpm_resume: 0000:02:00.0 flags-0 cnt-1  dep-0 …"
_LINE = re.compile(
    r"\s*(?P<command>.*)-(?P<task>\d+)\s+(?:\([\s\d-]+\)\s+)?\[\d+\]\s+..(?P<context>.)\S*\s+"
    r"(?P<seconds>\d+\.\d+): (?P<event>\w+): (?P<text>.*)",
    re.DOTALL,
)
_BEGAN = re.compile(r"(?P<address>\S+) flags-(?P<flags>[0-9a-f]+) ")
# _THIS_IP_ as "rpm_resume+0x1b5/0x6d0"; suspending and idling return through the same tracepoint.
_RETURNED = re.compile(r"rpm_resume[^:\s]*:(?P<address>\S+) ret=(?P<result>-?\d+)")
_LOST = re.compile(r"CPU:\d+ \[LOST (?:\d+ )?EVENTS\]")


class Began(NamedTuple):
    """A task wants a device awake."""

    address: PciAddress
    task: int  # the kernel's pid of the thread
    seconds: float  # of the trace's clock
    command: str
    in_interrupt: bool  # the task is who happened to run when it came
    asynchronous: bool


class Returned(NamedTuple):
    """Its call is over; ``woke``: the device slept, and is awake by it."""

    address: PciAddress
    task: int
    seconds: float
    woke: bool


class Lost(NamedTuple):
    """The kernel had no room for some lines."""


Record = Union[Began, Returned, Lost]


def parse(line: str) -> Optional[Record]:
    """Read a line; None for one that says nothing of a PCI device that wakes."""
    found = _LINE.fullmatch(line)
    if found is None:
        return Lost() if _LOST.match(line) else None
    pattern = {BEGINS: _BEGAN, RETURNS: _RETURNED}.get(found["event"])
    said = pattern.match(found["text"]) if pattern else None
    address = _address(said["address"]) if said else None
    if said is None or address is None:
        return None
    task, seconds = int(found["task"]), float(found["seconds"])
    if found["event"] == RETURNS:
        return Returned(address, task, seconds, woke=said["result"] == "0")
    return Began(
        address,
        task,
        seconds,
        found["command"],
        found["context"] in _IN_INTERRUPT,
        bool(int(said["flags"], 16) & _ASYNC),
    )


def filter_of(addresses: set[PciAddress]) -> str:
    """Return the filter by which the kernel notes these devices alone.

    The names of many do not fit, and everything is noted then.
    """
    text = " || ".join(f'name == "{address}"' for address in sorted(addresses))
    return text if text and len(text) < _PAGE else "0"


def _address(name: str) -> Optional[PciAddress]:
    try:
        return PciAddress.parse(name)
    except ValueError:
        return None  # a device of another bus
