# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives devices the time to fall asleep, and no more than that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..think.drift_case import Case
from ..think.drift_power import not_as_expected, not_suspended
from ..touch.sysfs import Sysfs
from ..words.address import PciAddress
from ..words.declaration import Rule
from .ground import Ground

EVERY = 0.05  # seconds between two looks


class Wait(NamedTuple):
    """One device that may still be on its way, and how many seconds it has left."""

    address: PciAddress
    rule: Rule
    left: float


def settle(waits: list[Wait], ground: Ground) -> None:
    """Return when every device is as expected, or had its time. Setting the clock changes none."""
    begun = ground.ticks()
    while waits:
        passed = ground.ticks() - begun
        waits = [wait for wait in waits if passed < wait.left and not arrived(wait, ground.sysfs)]
        if waits:
            ground.sleep(EVERY)


def arrived(wait: Wait, sysfs: Sysfs) -> bool:
    """Tell whether a device is in the state that its rule expects."""
    case = Case(wait.address, rule=wait.rule, power=sysfs.power(wait.address))
    return not_suspended(case) is None and not_as_expected(case) is None


def waits_for(
    rules: Mapping[PciAddress, Rule],
    entered: Mapping[PciAddress, float],
    seconds: float,
    now: float,
) -> list[Wait]:
    """List the devices to wait for; ``entered`` is when each one's last entry was accepted.

    One that is later than now was told by a clock that has been set back since.
    """
    return [
        Wait(address, rules[address], seconds - max(0.0, now - moment))
        for address, moment in entered.items()
        if address in rules
    ]
