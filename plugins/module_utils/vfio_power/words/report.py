# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a device: by the helper over its socket, and to people as drift."""

from __future__ import annotations

from typing import NamedTuple, Optional

from .address import PciAddress
from .history import History
from .mode import Mode


class Wakes(NamedTuple):
    """How often a device left low power: ``foreign`` are those not caused by our own calls."""

    total: int = 0
    foreign: int = 0
    last: Optional[float] = None  # seconds since the epoch


class Reentries(NamedTuple):
    """How the entries after wakes are bounded; think/reentry.py decides it."""

    breaker: str = "closed"  # open: left awake after a storm of wakes; half-open: tried again
    put_off_by: Optional[str] = None  # bucket or breaker, while it waits longer than its delay
    suppressed: int = 0  # entries that were put off so far
    storm_wakes: int = 0  # since the storm began; 0 while the breaker is closed
    storm_seconds: float = 0.0  # from the beginning of the storm to its last wake


class Lease(NamedTuple):
    """A device given to a named holder; it ends at ``ends``, or with the boot.

    ``until`` is for people: it is wrong once somebody sets the clock.
    """

    address: PciAddress
    holder: str
    since: float  # seconds since the epoch
    until: Optional[float] = None
    ends: Optional[float] = None  # seconds since the boot


class Running(NamedTuple):
    """A call into the kernel that has not returned yet, or still waits for its turn."""

    call: str  # open, close, entry, exit, …
    since: float  # when it was asked for, in seconds since the epoch
    seconds: Optional[float] = None  # for which the kernel has had it; None: it waits


class Failure(NamedTuple):
    """Why the helper could not do what is declared; ``code`` is the drift code it becomes."""

    code: str
    message: str
    hint: str = ""
    operation: str = ""
    errno: str = ""  # "EBUSY"; empty where no errno was involved

    @property
    def of_letting_go(self) -> bool:
        """Tell whether the device was closed without being fit for whoever gets it next."""
        return self.code in ("power-error", "quarantined") or self.operation == "close"


class Quarantined(NamedTuple):
    """Why a device is not taken any more, until somebody clears it."""

    code: str  # the drift code it is told as: quarantined or power-error
    message: str
    since: float  # seconds since the epoch


class HoldReport(NamedTuple):
    """One device as the helper sees it, from memory; the kernel is not asked."""

    address: PciAddress
    rule: Optional[str] = None  # None: held or leased without being declared
    state: str = "released"  # a State of think.policy
    held: bool = False
    engaged: Mode = Mode.NONE
    backend: Optional[str] = None  # group or cdev, while held
    wakes: Optional[Wakes] = None  # None: not in entry-with-wakeup
    entered: Optional[float] = None  # seconds since the epoch of the last accepted entry
    waiting_until: Optional[float] = None  # seconds since the epoch
    reentries: Optional[Reentries] = None  # None: not in entry-with-wakeup
    taken_after: Optional[float] = None  # a grace is running; taken at this time
    leases: tuple[Lease, ...] = ()
    running: Optional[Running] = None
    failure: Optional[Failure] = None
    quarantined: Optional[Quarantined] = None
    history: Optional[History] = None  # None: not declared


class Drift(NamedTuple):
    """One difference between declared and seen, with the next step."""

    code: str
    severity: str  # drift, excused or info
    message: str
    hint: str
