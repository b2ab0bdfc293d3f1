# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A time that somebody is given, begun and ended as often as it takes."""

from __future__ import annotations

from typing import Optional

from .loop import Callback, Loop, Timer


class Patience:
    """Calls ``over`` once that many seconds have passed since it was begun, and not ended."""

    def __init__(self, loop: Loop, seconds: float, over: Callback) -> None:
        self._loop = loop
        self._seconds = seconds
        self._over = over
        self._timer: Optional[Timer] = None

    @property
    def runs(self) -> bool:
        """Tell whether it was begun, and is neither over nor ended."""
        return self._timer is not None

    def begin(self) -> None:
        """Let the time run; it is not begun anew where it runs already."""
        if self._timer is None:
            self._timer = self._loop.call_in(self._seconds, self._passed)

    def end(self) -> None:
        """Stop it; stopping again does nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _passed(self) -> None:
        self._timer = None
        self._over()
