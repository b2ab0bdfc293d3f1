# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The codes of drift and how grave each is. Scripts and dashboards go by them: they stay.

When a code is told is in drift.py and the files named after it; the helper's own failures
bring theirs along. What each means for people is in docs/drift.md, where a test keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..words.report import Drift

DRIFT, EXCUSED, INFO = "drift", "excused", "info"

CODES = {
    "helper-down": DRIFT,
    "api-mismatch": DRIFT,
    "device-missing": DRIFT,
    "identity-changed": DRIFT,
    "not-bound": DRIFT,
    "group-not-viable": DRIFT,
    "unsupported": DRIFT,
    "kernel-refused": DRIFT,
    "node-denied": DRIFT,
    "mode-mismatch": DRIFT,
    "runtime-pm-forbidden": DRIFT,
    "host-policy": DRIFT,
    "not-suspended": DRIFT,
    "not-as-expected": DRIFT,
    "wake-storm": DRIFT,
    "stuck": DRIFT,
    "power-error": DRIFT,
    "quarantined": DRIFT,
    "set-incomplete": DRIFT,
    "undeclared-hold": DRIFT,
    "count-mismatch": DRIFT,
    "state-damaged": DRIFT,
    "leased": EXCUSED,
    "busy": EXCUSED,
    "paused": EXCUSED,
    "awake-by-quirk": EXCUSED,
    "waiting": INFO,
    "d3cold-blocked": INFO,  # drift where D3cold is expected
    "no-power-management": INFO,
    "rival-policy": INFO,
    "helper-outdated": INFO,
    "not-kept": INFO,
    "hold-saves-nothing": INFO,
}


def found(code: str, message: str, hint: str) -> Drift:
    """Return a drift with the severity of its code; one that is not in the table is grave."""
    return Drift(code, CODES.get(code, DRIFT), message, hint)


def drifted(drifts: Iterable[Drift]) -> bool:
    """Tell whether anything is neither excused nor mere information."""
    return any(drift.severity == DRIFT for drift in drifts)
