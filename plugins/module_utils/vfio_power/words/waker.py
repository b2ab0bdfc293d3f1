# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who woke a device, as far as the kernel's trace tells."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Optional


class Kind(str, Enum):
    """What is known of who woke a device."""

    PROCESS = "process"
    OWN = "own"  # the helper, by a call of its own
    KERNEL = "kernel"  # one of its threads, and nobody says on whose behalf
    INTERRUPT = "interrupt"
    LOST = "lost"  # the trace has a gap
    UNRECORDED = "unrecorded"  # the trace says nothing of it


class Waker(NamedTuple):
    """Who it was. Where it cannot be told, ``kind`` says why."""

    kind: Kind
    command: Optional[str] = None  # the process name; its arguments stay private
    pid: Optional[int] = None
    guest: Optional[str] = None  # the name of the guest that it runs
    unit: Optional[str] = None  # the systemd unit that it belongs to

    @property
    def told(self) -> bool:
        """Tell whether it is known who it was."""
        return self.kind in (Kind.PROCESS, Kind.OWN)
