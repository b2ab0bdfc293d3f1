# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One device before the judge, and how it is spoken of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from ..words.address import PciAddress
from ..words.allowance import HostPolicy
from ..words.declaration import Known, Rule
from ..words.facts import Facts, HostFacts, Power
from ..words.report import HoldReport
from ..words.rival import Rival
from ..words.why import Reason

RUNNING, ABSENT, DOWN, STOPPED = "running", "absent", "down", "stopped"
"""The helper answers; is not installed; is installed and does not answer; is not to be asked."""


class Case(NamedTuple):
    """All that is known of one device at one moment; None for what is not there or not known."""

    address: PciAddress
    rule: Optional[Rule] = None
    known: Optional[Known] = None
    facts: Optional[Facts] = None
    power: Optional[Power] = None
    hold: Optional[HoldReport] = None
    policy: HostPolicy = HostPolicy()  # of the host, as it was seen
    helper: str = RUNNING
    paused: str = ""  # why the helper stands back
    host: HostFacts = HostFacts()
    opened_by: tuple[str, ...] = ()  # "qemu-system-x86 (pid 812)"; the helper is not among them
    group_drivers: Mapping[PciAddress, str] = {}  # others of its IOMMU group on host drivers
    blockers: tuple[Reason, ...] = ()  # what may keep it from falling asleep
    not_deeper: tuple[Reason, ...] = ()  # what is between it and D3cold
    best: Optional[str] = None  # the deepest state that it can reach
    rivals: tuple[Rival, ...] = ()  # others who write its power policy
    left_out: tuple[PciAddress, ...] = ()  # of its unit, and in reach of nobody while it is held
    now: float = 0.0  # seconds since the epoch
    settle: float = 5.0  # seconds that a device gets to fall asleep

    @property
    def held(self) -> bool:
        """Tell whether the helper has the device open."""
        return self.hold is not None and self.hold.held

    @property
    def subject(self) -> str:
        """Return the device as a sentence begins with it."""
        told = [self._card()]
        if self.rule is not None and self.rule.name != str(self.address):
            told.append(f"rule {self.rule.name!r}")
        told = [text for text in told if text]
        return f"{self.address} ({', '.join(told)})" if told else str(self.address)

    def _card(self) -> str:
        if self.facts is not None and self.facts.model:
            return self.facts.model
        identity = self.facts.identity if self.facts else self.known and self.known.identity
        return f"{identity.vendor}:{identity.device}" if identity else ""


def reached(power: Optional[Power]) -> str:
    """Say in words in which state a device was seen."""
    if power is None:
        return "in a power state that cannot be read"
    if power.asleep:
        return f"asleep in {power.power_state}"
    if power.runtime_status == "active":
        return f"awake in {power.power_state}"
    return f"{power.runtime_status} in {power.power_state}"


def lasting(length: float) -> str:
    """Return a length of time in the unit that people would use."""
    if length < 120:
        return seconds(length)
    return f"{length / 60:.0f} min" if length < 7200 else f"{length / 3600:.0f} h"


def seconds(length: float) -> str:
    """Return a length of time in whole seconds."""
    return f"{max(0, round(length))} s"
