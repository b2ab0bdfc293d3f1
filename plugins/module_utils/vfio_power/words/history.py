# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a card over the years: how often it was woken, and how long it slept."""

from __future__ import annotations

from typing import NamedTuple

OWN, FOREIGN = "own", "foreign"


class Incident(NamedTuple):
    """A wake. Devices below one port that wake at once are one incident."""

    at: float  # seconds since the epoch
    kind: str  # own or foreign, as its first wake was
    devices: int = 1  # that woke


class History(NamedTuple):
    """A card's history, over restarts of the helper and of the host.

    What the kernel counts in this boot is not in here: it is read where it is needed.
    """

    since: float = 0.0  # seconds since the epoch
    own: int = 0  # wakes
    foreign: int = 0
    incidents: int = 0
    last: tuple[Incident, ...] = ()  # the newest first
    asleep_before: float = 0.0  # seconds, before the kernel began to count this time
    awake_before: float = 0.0
