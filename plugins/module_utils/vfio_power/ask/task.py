# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One low_power task as values: what is asked, what was stored, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from ..think.parse import Request
from ..think.plan import Step
from ..touch.host_policy import Remembered
from ..touch.store import Loaded
from ..words.address import PciAddress
from ..words.allowance import HostPolicy
from ..words.declaration import Declaration, Rule
from ..words.report import HoldReport


class Wish(NamedTuple):
    """The options of a task, as they were given."""

    devices: list[object]
    exclude: list[object]
    purge: bool = False
    apply: bool = True
    settle: int = 5
    timeout: int = 120
    fail_on_drift: bool = True


class Task(NamedTuple):
    """What is asked, what was stored, and what is to be stored."""

    wish: Wish
    request: Request
    loaded: Loaded
    merged: Declaration
    remembered: Remembered = Remembered()  # of the host's policy before us

    @property
    def stored(self) -> Declaration:
        """Return what was declared before."""
        return self.loaded.declaration

    @property
    def differs(self) -> bool:
        """Tell whether something has to be stored."""
        return self.merged != self.stored or bool(self.loaded.damaged)

    @property
    def listed(self) -> set[str]:
        """Return the names of the rules that this task is about."""
        return {entry.name for entry in self.request.entries}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what was wrong with the stored files."""
        return tuple(filter(None, (self.loaded.damaged, self.remembered.damaged)))

    def rule_before(self, address: PciAddress) -> Optional[Rule]:
        """Return the rule that a device went by before."""
        known = (it for it in self.loaded.known if it.address == address)
        return next((self.stored.rule(it.rule) for it in known), None)


class Done(NamedTuple):
    """What was done to the devices, or would be."""

    actions: Mapping[PciAddress, tuple[str, ...]] = {}
    reports: Mapping[PciAddress, HoldReport] = {}
    pending: tuple[PciAddress, ...] = ()
    steps: Optional[Mapping[PciAddress, Step]] = None  # in check mode: what would be done
    errors: Mapping[PciAddress, str] = {}  # why the host's policy could not be written
    policies: Mapping[PciAddress, HostPolicy] = {}  # in check mode: what it would be
    rules: Optional[str] = None  # for udev, where the host's policy was looked at

    def entered(self, now: float) -> dict[PciAddress, float]:
        """Return since when each device may be on its way to the state that is expected of it."""
        since = {
            address: report.entered
            for address, report in self.reports.items()
            if report.entered is not None and report.waiting_until is None
        }
        return {**since, **{address: now for address, did in self.actions.items() if did}}
