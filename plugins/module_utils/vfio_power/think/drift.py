# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared against seen, for one device: what differs, why, and what to do about it.

Each check returns the drift it finds, or None. The first that speaks names the
cause; what comes after it would only repeat the consequences, and is not asked. What is
of interest whatever the cause stands aside of them.
The host as a whole is judged in drift_host.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, Optional

from ..words.report import Drift
from . import drift_around, drift_card, drift_hold, drift_policy, drift_power
from .codes import CODES, drifted
from .drift_case import ABSENT, DOWN, RUNNING, STOPPED, Case, reached
from .drift_host import HostCase, judge_host

__all__ = [
    "ABSENT",
    "CODES",
    "DOWN",
    "RUNNING",
    "STOPPED",
    "Case",
    "HostCase",
    "drifted",
    "judge",
    "judge_host",
    "reached",
]

Check = Callable[[Case], Optional[Drift]]

WHATEVER_IS_DECLARED: Sequence[Check] = (
    drift_hold.stuck,
    drift_card.device_missing,
    drift_card.identity_changed,
    drift_hold.quarantined,
    drift_power.power_error,
    drift_hold.leased,
    drift_hold.undeclared_hold,
)
AS_DECLARED: Sequence[Check] = (
    drift_card.not_bound,
    drift_hold.busy,
    drift_card.group_not_viable,
    drift_policy.host_policy,
    drift_hold.paused,
    drift_hold.failed,
    drift_hold.wake_storm,
    drift_hold.waiting,
    drift_hold.mode_mismatch,
    drift_power.runtime_pm_forbidden,
)
AS_EXPECTED: Sequence[Check] = (
    drift_power.no_power_management,
    drift_power.not_suspended,
    drift_around.d3cold_blocked,
    drift_power.not_as_expected,
)
ASIDE: Sequence[Check] = (
    drift_around.set_incomplete,
    drift_around.rival_policy,
    drift_power.hold_saves_nothing,
)


def judge(case: Case) -> list[Drift]:
    """Return what differs; an empty list for a device that is as declared."""
    cause = _first(WHATEVER_IS_DECLARED, case)
    if cause is None and case.rule is not None:
        cause = _first(AS_DECLARED, case)
        if cause is None and not _settling(case):
            cause = _first(AS_EXPECTED, case)
    asides = [check(case) for check in ASIDE]
    return [drift for drift in (cause, *asides) if drift is not None]


def _first(checks: Sequence[Check], case: Case) -> Optional[Drift]:
    return next((drift for check in checks for drift in [check(case)] if drift is not None), None)


def _settling(case: Case) -> bool:
    """Tell whether an entry was accepted so lately that the device may still be falling asleep."""
    entered = case.hold.entered if case.hold else None
    return entered is not None and 0 <= case.now - entered < case.settle
