# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the whole host slept (suspend, hibernation) since somebody asked last."""

from __future__ import annotations

from typing import Callable

JUMP = 1.0
"""Seconds by which two clocks have to part before that is taken for a sleep."""


class SystemSleep:
    """Compares a clock that stands still while the host sleeps with one that goes on."""

    def __init__(self, standing: Callable[[], float], going: Callable[[], float]) -> None:
        self._standing = standing
        self._going = going
        self._apart = going() - standing()

    def happened(self) -> bool:
        """Tell whether the host slept since the last call, or since the start."""
        before, self._apart = self._apart, self._going() - self._standing()
        return self._apart - before > JUMP
