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
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.drift import RUNNING
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.policy import Action
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import HoldReport

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
        trouble = self._trouble(before, restart=restart)
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
        except OSError as error:
            told.append(
                f"What was installed before could not be put back: {error}. The helper is left as"
                f" it is. {next_step(error)}, then run the task again."
            )
            return DidNotComeUp("\n".join(told), journal, put_back=False)
        version = self._installation.version
        self._make_ready(version)
        back = f"What was installed before (version {version}) was put back"
        trouble = self._trouble(before, restart=True)
        if trouble:
            told.append(f"{back}, and does not come up either: {trouble}. {LOOK_AT}.")
            return DidNotComeUp("\n".join(told), journal, put_back=False)
        with suppress(OSError):  # what is not noted now is by the next run, which restarts it again
            self._installation.seen(write=True)
        held = ", and holds what was held" if before.answer.helper.state == RUNNING else ""
        told.append(f"{back}: it answers{held}.")
        return DidNotComeUp("\n".join(told), journal, put_back=True)

    def _trouble(self, before: Look, *, restart: bool) -> str:
        """Restart the helper and look at it; return what is wrong with it, if anything is."""
        try:
            if restart:
                self._service.restart()
        except NotStarted as error:
            return str(error).rstrip(".")
        return wrong_with(before, self._look_at_rest(), self._installation.version)

    def _look_at_rest(self) -> Look:
        """Look once nothing moves. One that serves may be about to take devices, or let them go."""
        look = self._service.look()
        for _again in range(LOOKS):
            if not any(report.running for report in look.answer.holds.values()):
                break
            self._sleep(LOOK_EVERY)
            look = self._service.look()
        return look


def wrong_with(before: Look, after: Look, version: str) -> str:
    """Say in what a helper is not the one that was to go on; nothing where it is."""
    helper = after.answer.helper
    if helper.state != RUNNING:
        return f"it does not answer. {helper.trouble}".rstrip(". ")
    if helper.version != version:
        return f"version {helper.version} answers in its place"
    if before.answer.helper.answered and helper.answered:
        lost = ", ".join(str(address) for address in sorted(_lost(before, after)))
        return f"it does not hold any more: {lost}" if lost else ""
    # One of them speaks another API revision: the service manager can still count.
    if after.kept < before.kept:
        return f"of {before.kept} descriptors that were kept for it {after.kept} are left"
    return ""


def _lost(before: Look, after: Look) -> frozenset[PciAddress]:
    """Return what is not held any more without a reason of its own."""
    if after.answer.helper.paused:
        return frozenset()
    held = frozenset(address for address, hold in before.answer.holds.items() if _holds(hold))
    reports = after.answer.holds.items()
    fine = frozenset(address for address, report in reports if _is_well(report))
    return held & after.on_vfio - fine


def _is_well(report: HoldReport) -> bool:
    """Tell whether a device is held, or somebody asked for it, or it must not be held (a quirk)."""
    forbidden = report.failure is not None and report.failure.code == "unsupported"
    return _holds(report) or bool(report.leases) or bool(report.quarantined) or forbidden


def _holds(report: HoldReport) -> bool:
    """Tell whether a device is held, and not being let go."""
    closing = report.running is not None and report.running.call == Action.LET_GO.value
    return report.held and not closing
