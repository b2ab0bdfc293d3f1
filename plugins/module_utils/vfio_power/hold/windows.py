# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose wake was it? A window is open over all devices below a port while we call one of them.

The kernel does not say who woke a device. While a call of ours runs on it, or on
anything below the same port, it may have been us: a port that returns from D3cold
resumes every device below it, some of them a moment after the call came back.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Callable

TAIL = 1.0
"""Seconds for which a finished call can still be the reason that a neighbour wakes."""


class Windows:
    """Remembers for each port which of our calls run below it, and when the last one ended."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._running: dict[Hashable, int] = {}
        self._ended: dict[Hashable, dict[Hashable, float]] = {}  # port: device: when

    def begin(self, port: Hashable) -> None:
        """Open the window: a call is about to run below the port."""
        self._running[port] = self._running.get(port, 0) + 1

    def end(self, port: Hashable, device: Hashable) -> None:
        """Close it again; a tail stays open for the neighbours of the device."""
        self._running[port] -= 1
        if not self._running[port]:
            del self._running[port]
        self._ended.setdefault(port, {})[device] = self._clock()

    def own(self, port: Hashable, device: Hashable) -> bool:
        """Tell whether a wake of the device seen now may be our own doing."""
        if port in self._running:
            return True
        lately = self._clock() - TAIL
        ended = self._ended.get(port, {})
        return any(when > lately for other, when in ended.items() if other != device)
