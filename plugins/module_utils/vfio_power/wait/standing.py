# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the helper stands as a whole, for the journal and for ``systemctl status``."""

from __future__ import annotations

from ..hold.keeper import Keeper
from .journal import tell
from .systemd import Notifier


class Standing:
    """One line that is told when it has changed."""

    def __init__(self, keeper: Keeper, manager: Notifier) -> None:
        self._keeper = keeper
        self._manager = manager
        self._told = ""

    def ready(self, program: str) -> None:
        """Tell that the helper is ready, and how it stands."""
        self._told = self._line()
        tell("ready", f"{program} is ready: {self._told}", self._goes_by())
        self._manager.ready(self._told)

    def changed(self) -> None:
        """Tell how it stands now, if that is news."""
        before, self._told = self._told, self._line()
        if self._told != before:
            tell("standing", self._told, self._goes_by())
            self._manager.status(self._told)

    def _goes_by(self) -> dict[str, str]:
        return {"VFIO_GENERATION": str(self._keeper.table.declaration.generation)}

    def _line(self) -> str:
        reason, jobs = self._keeper.bars.pausing.reason, self._keeper.jobs
        if jobs.all_stuck:
            return f"all {jobs.workers} workers hang in the kernel: no device can be moved"
        if reason:
            return f"paused, nothing is held: {reason}"
        return f"{len(self._keeper.table.known)} devices declared"
