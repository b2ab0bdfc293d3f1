# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the helper stands back: it holds nothing and takes nothing, whatever is declared."""

from __future__ import annotations

from typing import Callable, Optional

from ..touch.standby import PauseFile
from .surroundings import Surroundings


class Pausing:
    """By command, which is kept on disk, or by the off switch of the host."""

    def __init__(self, desk: Surroundings, file: PauseFile, switch: Callable[[], str]) -> None:
        """``switch`` says why the host wants no helper, or returns an empty string."""
        self.damaged = ""
        self._desk = desk
        self._file = file
        self._switch = switch
        self._off = ""
        self._since: Optional[float] = None

    @property
    def reason(self) -> str:
        """Why we stand back, or an empty string."""
        if self._off or self._since is None:
            return self._off
        if self.damaged:
            return "nobody can tell whether it was paused before, as paused.json is damaged"
        return "vfio-powerctl pause was called"

    def restore(self) -> None:
        """Go on from what is on disk; where nobody can tell what that was, stand back."""
        self._since, self.damaged = self._file.load()
        if self.damaged and self._since is None:
            self._since = self._desk.clock()
        self.look()

    def look(self) -> None:
        """Look at the off switch again."""
        self._off = self._switch()

    def switched_off(self) -> bool:
        """Look whether the host was switched off meanwhile."""
        before = self._off
        if not before:  # it ends by hand only
            self.look()
        return bool(self._off) and not before

    def set(self, *, paused: bool, done: Callable[[Optional[Exception]], None]) -> None:
        """Pause or end it; in force once it is on disk. The off switch ends by hand only."""
        since = self._desk.clock() if paused else None
        if paused and self._since is not None:
            since = self._since

        def stored(_none: None, error: Optional[Exception]) -> None:
            if error is None:
                self._since, self.damaged = since, ""
                self.look()
            done(error)

        self._desk.submit("pause", lambda: self._file.save(since), stored)
