# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the helper run what is installed, and puts back what was there before if it does not.

Private to this collection. It is done in one go on the host: a helper that cannot start loses
its devices after half a minute, and a controller may be gone for longer.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Callable, NamedTuple

from ansible_collections.vfio.power.plugins.module_utils._installation import Change, Installation
from ansible_collections.vfio.power.plugins.module_utils._module import next_step
from ansible_collections.vfio.power.plugins.module_utils._service import (
    UNIT,
    Look,
    NotStarted,
    Service,
)
from ansible_collections.vfio.power.plugins.module_utils._verdict import were_compared, wrong_with

LOOK_AT = f"Look at: systemctl status {UNIT}"
LOOK_EVERY = 0.2  # seconds
LOOKS = 300
"""A minute: as long as the kernel may need for a device that does not come back."""


class DidNotComeUp(Exception):
    """What is installed does not run; ``journal`` has the last lines that it wrote."""

    def __init__(self, message: str, journal: list[str], put_back: bool) -> None:
        super().__init__(message)
        self.journal = journal
        self.put_back = put_back


class Verdict(NamedTuple):
    """What is wrong with a helper, if anything is, and what was seen of it."""

    trouble: str
    goes_on: bool = False
    """Whether it was seen to hold, device by device, what the one before held."""


class Started(NamedTuple):
    """What was done to have the helper run."""

    restarted: bool
    changes: list[Change]


class Upgrade:
    """Brings the helper from what it runs to what is installed, or back.

    ``make_ready`` does what the host needs for the program of a version that was put back, and
    ``sleep`` passes the time between two looks.
    """

    def __init__(
        self,
        installation: Installation,
        service: Service,
        make_ready: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._installation = installation
        self._service = service
        self._make_ready = make_ready
        self._sleep = sleep

    def bring_up(self, *, write: bool) -> Started:
        """Restart the helper where that is due or it does not serve, and see it.

        Without ``write`` only say what would be done. Raises DidNotComeUp.
        """
        restart = self._installation.restart_due or not self._service.active
        if not restart and self._installation.previous() is None:
            return Started(False, [])
        if not write:
            return Started(restart, self._installation.seen(write=False))
        before = self._service.look()
        trouble = self._judge(before, restart=restart).trouble
        if trouble:
            raise self._gone_back(before, trouble)
        return Started(restart, self._installation.seen(write=True))

    def _gone_back(self, before: Look, trouble: str) -> DidNotComeUp:
        journal = self._service.journal()
        told = [f"The helper of version {self._installation.version} did not come up: {trouble}."]
        if journal:
            told.append(f"The last line of its journal: {journal[-1]}")
        if self._installation.previous() is None:
            told.append(f"Nothing was installed before that could be put back. {LOOK_AT}.")
            return DidNotComeUp("\n".join(told), journal, put_back=False)
        try:
            self._installation.put_back()
            version = self._installation.version
            self._make_ready(version)
        except OSError as error:
            told.append(
                f"What was installed before could not be put back: {error}. The helper is left as"
                f" it is. {next_step(error)}, then run the task again."
            )
            return DidNotComeUp("\n".join(told), journal, put_back=False)
        back = f"What was installed before (version {version}) was put back"
        verdict = self._judge(before, restart=True)
        if verdict.trouble:
            told.append(f"{back}, and does not come up either: {verdict.trouble}. {LOOK_AT}.")
            return DidNotComeUp("\n".join(told), journal, put_back=False)
        with suppress(OSError):  # what is not noted now is by the next run, which restarts it again
            self._installation.seen(write=True)
        held = ", and holds what was held" if verdict.goes_on else ""
        told.append(f"{back}: it answers{held}.")
        told.append(
            f"Report the journal, and run the collection of version {version} until that is mended:"
            " each run tries again."
        )
        return DidNotComeUp("\n".join(told), journal, put_back=True)

    def _judge(self, before: Look, *, restart: bool) -> Verdict:
        """Restart the helper where that is due, and look at it."""
        try:
            if restart:
                self._service.restart()
        except NotStarted as error:
            return Verdict(str(error).rstrip("."))
        after = self._look_at_rest()
        return Verdict(
            wrong_with(before, after, self._installation.version), were_compared(before, after)
        )

    def _look_at_rest(self) -> Look:
        """Look once nothing moves. One that serves may be about to take devices, or let them go."""
        look = self._service.look()
        for _again in range(LOOKS):
            if not any(report.running for report in look.answer.holds.values()):
                break
            self._sleep(LOOK_EVERY)
            look = self._service.look()
        return look
