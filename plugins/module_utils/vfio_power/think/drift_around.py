# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift that comes from what is around a device: its unit, its port, other tools.

Each check returns the drift it finds, or None; drift.py has their order.
"""

from __future__ import annotations

from typing import Optional

from ..words.allowance import Allowance
from ..words.declaration import Rule
from ..words.mode import Expect
from ..words.report import Drift
from .codes import DRIFT, found
from .drift_case import Case, reached
from .drift_power import SLEEPING


def set_incomplete(case: Case) -> Optional[Drift]:
    """Find a hold on a part of what the kernel gives and resets together."""
    if case.rule is None or not case.rule.holds or not case.held or not case.left_out:
        return None
    others = ", ".join(str(address) for address in case.left_out)
    message = (
        f"{case.subject} is held without {others}, given and reset together with it:"
        " no guest can have them, and the reset at the end of a guest is held up"
    )
    hint = "Declare them too; mode none with reserve: true keeps them awake and held"
    return found("set-incomplete", message, hint)


def d3cold_blocked(case: Case) -> Optional[Drift]:
    """Find a device that rests in D3hot, and what is between it and D3cold.

    Where nobody can do anything about it, that is of interest only if D3cold is expected.
    """
    rule, power = case.rule, case.power
    if rule is None or power is None or not power.asleep or power.power_state != "D3hot":
        return None
    if not case.not_deeper or rule.expect not in SLEEPING or _declared_so(rule):
        return None
    expected = rule.expect is Expect.D3COLD
    if not expected and case.best != "D3cold":
        return None
    because = "; ".join(reason.message for reason in case.not_deeper)
    drift = found(
        "d3cold-blocked",
        f"{case.subject} is {reached(power)}, and D3cold is out of its reach: {because}",
        case.not_deeper[0].hint,
    )
    return drift._replace(severity=DRIFT) if expected else drift


def _declared_so(rule: Rule) -> bool:
    return rule.policy.d3cold is Allowance.FORBID


def rival_policy(case: Case) -> Optional[Drift]:
    """Find others who write what decides about the sleep of a declared device."""
    if case.rule is None or not case.rivals:
        return None
    told = "; ".join(map(str, case.rivals))
    message = f"others decide about the sleep of {case.subject} too: {told}"
    hint = "Take it out there, or leave the device to that tool; the last one to write wins"
    return found("rival-policy", message, hint)
