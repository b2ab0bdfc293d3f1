# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wanted of a device now: its rule, as far as a permit, a bar or a quirk leaves it."""

from __future__ import annotations

from typing import Callable, Optional

from ..think.policy import Goal, State, goal_of
from ..think.quirks import in_the_way
from ..words.address import PciAddress
from ..words.report import Failure
from .bars import Bars
from .holder import Holder
from .permits import Permits
from .table import Table


class Goals:
    """Derives the goal of each device; a device that we never had to do with has no holder."""

    def __init__(
        self,
        bars: Bars,
        permits: Permits,
        d3cold_allowed: Callable[[PciAddress], Optional[bool]],
    ) -> None:
        self._bars = bars
        self._permits = permits
        self._d3cold_allowed = d3cold_allowed

    def of(self, address: PciAddress, table: Table, holder: Optional[Holder]) -> Goal:
        """Say what is wanted of a device."""
        rule = table.rule(address)
        if self._bars.against(address, table):
            return Goal.RELEASE
        if not self._permits.has(address):
            return Goal.RELEASE
        if table.lost and rule is None and holder is not None:
            return holder.goal  # nothing moves because a file was damaged
        if rule is None or not table.ready(address):
            return Goal.RELEASE
        quirk = self.by_quirk(address, table, holder)
        if quirk is not None:
            return Goal.RELEASE if quirk.code == "unsupported" else Goal.KEEP_AWAKE
        return goal_of(rule.mode, rule.reserve)

    def by_quirk(
        self, address: PciAddress, table: Table, holder: Optional[Holder]
    ) -> Optional[Failure]:
        """Say which quirk keeps a device out of its declared mode, or None."""
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
