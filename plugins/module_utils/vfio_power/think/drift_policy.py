# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a device is told of whose policy on the host is not as declared.

Each check returns the drift it finds, or None; drift.py has their order.
"""

from __future__ import annotations

from typing import Optional

from ..words.address import PciAddress
from ..words.allowance import HostPolicy, differing
from ..words.declaration import Rule
from ..words.mode import Mode
from ..words.report import Drift, Failure
from .codes import found
from .drift_case import Case

CODE = "host-policy"


def host_policy(case: Case) -> Optional[Drift]:
    """Find what sysfs says otherwise than declared; the helper does not enter meanwhile."""
    told = _told(case.rule, case.policy) if case.rule and case.facts else ""
    if not told:
        return None
    return found(CODE, f"{case.subject} is not under its host policy: {told}", _hint(case.address))


def policy_in_the_way(address: PciAddress, rule: Rule, seen: HostPolicy) -> Optional[Failure]:
    """Say why a device is not entered as things stand, or None."""
    told = _told(rule, seen)
    if rule.mode is Mode.NONE or not told:
        return None
    message = f"{address}: is left awake until its host policy is as declared: {told}"
    return Failure(CODE, message, _hint(address))


def _told(rule: Rule, seen: HostPolicy) -> str:
    parts = []
    for knob, wanted in differing(rule.policy, seen):
        now = knob.of(seen)
        reads = f"reads {knob.value(now)}" if now else "cannot be read"
        parts.append(f"{knob.attribute} {reads}, and {knob.option} {wanted} is declared")
    return "; ".join(parts)


def _hint(address: PciAddress) -> str:
    return f"Converge again; if that does not last, vfio-powerctl why {address} names who writes it"
