# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wanted of a device now: its rule, as far as a permit, a bar or a quirk leaves it."""

from __future__ import annotations

from typing import Callable, Optional

from ..think.drift_policy import policy_in_the_way
from ..think.policy import Goal, State, goal_of
from ..think.quirks import in_the_way
from ..words.address import PciAddress
from ..words.allowance import HostPolicy
from ..words.report import Failure
from .bars import Bars
from .held_off import HeldOff
from .holder import Holder
from .permits import Permits
from .table import Table


class Goals:
    """Derives the goal of each device; a device that we never had to do with has no holder."""

    def __init__(
        self,
        bars: Bars,
        permits: Permits,
        held_off: HeldOff,
        d3cold_allowed: Callable[[PciAddress], Optional[bool]],
        policy: Callable[[PciAddress], HostPolicy],
    ) -> None:
        self._bars = bars
        self._permits = permits
        self._held_off = held_off
        self._d3cold_allowed = d3cold_allowed
        self._policy = policy

    def of(self, address: PciAddress, table: Table, holder: Optional[Holder]) -> Goal:
        """Say what is wanted of a device; one that is held off may be let go, and nothing else."""
        wanted = self._wanted(address, table, holder)
        if wanted is Goal.RELEASE or address not in self._held_off:
            return wanted
        held = holder is not None and holder.state is not State.RELEASED
        return _awake(holder, wanted) if held else Goal.RELEASE

    def _wanted(self, address: PciAddress, table: Table, holder: Optional[Holder]) -> Goal:
        rule = table.rule(address)
        if self._bars.against(address, table):
            return Goal.RELEASE
        if not self._permits.has(address):
            return Goal.RELEASE
        if table.lost and rule is None and holder is not None:
            return holder.goal  # nothing moves because a file was damaged
        if rule is None or not table.ready(address):
            return Goal.RELEASE
        why_not = self.in_the_way(address, table, holder)
        goal = goal_of(rule.mode, rule.reserve)
        if why_not is not None:
            return Goal.RELEASE if why_not.code == "unsupported" else _awake(holder, goal)
        return goal

    def in_the_way(
        self, address: PciAddress, table: Table, holder: Optional[Holder]
    ) -> Optional[Failure]:
        """Say which quirk, or the host's policy, keeps a device out of its declared mode."""
        return self._by_quirk(address, table, holder) or self.by_policy(address, table)

    def by_policy(self, address: PciAddress, table: Table) -> Optional[Failure]:
        """Say how the host's policy for a device differs from what is declared, or None."""
        rule = table.rule(address)
        if rule is None or rule.policy == HostPolicy() or not table.ready(address):
            return None
        return policy_in_the_way(address, rule, self._policy(address))

    def _by_quirk(
        self, address: PciAddress, table: Table, holder: Optional[Holder]
    ) -> Optional[Failure]:
        rule, facts = table.rule(address), table.devices.get(address)
        if rule is None or facts is None or not table.ready(address):
            return None
        return in_the_way(
            facts,
            rule.mode,
            table.known_bad.quirks,
            spent=holder is not None and holder.state is State.SPENT,
            d3cold_allowed=lambda: self._d3cold_allowed(address),
        )


def _awake(holder: Optional[Holder], wanted: Goal) -> Goal:
    """Keep a device awake; one that waits to be entered again is, and goes on waiting."""
    waits = holder is not None and holder.state is State.WAITING
    return wanted if waits and wanted is Goal.ENTRY_WITH_WAKEUP else Goal.KEEP_AWAKE
