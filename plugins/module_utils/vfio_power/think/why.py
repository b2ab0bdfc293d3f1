# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a device is awake, why it is not deeper, and which state is the best it can reach.

What keeps it awake is found in why_awake.py, what is between it and D3cold in why_not_deeper.py;
what the helper does with it is told by its drift.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..words.report import Drift
from ..words.why import Reason, Why
from . import why_awake, why_not_deeper
from .position import Position

TELLING = (
    "stuck",
    "quarantined",
    "power-error",
    "leased",
    "group-not-viable",
    "paused",
    "unsupported",
    "kernel-refused",
    "node-denied",
    "awake-by-quirk",
    "host-policy",
    "wake-storm",
    "waiting",
    "mode-mismatch",
)
"""Drift that says why a device is awake, as nothing of sysfs does."""


def explain(position: Position, drift: Iterable[Drift] = ()) -> Why:
    """Return all that can be said of a device's sleep."""
    reasons = why_not_deeper.not_deeper(position)
    return Why(
        best=why_not_deeper.best(position, reasons),
        awake=_awake(position, drift),
        not_deeper=reasons,
        ports=tuple(reversed(position.ports)),
        device=position.device,
        siblings=position.siblings,
    )


def _awake(position: Position, drift: Iterable[Drift]) -> tuple[Reason, ...]:
    told = tuple(
        Reason(it.code, position.address, it.message, it.hint)
        for it in drift
        if it.code in TELLING and not position.asleep
    )
    found = (*told, *why_awake.causes(position))
    return found or why_awake.guess(position)


def blockers(position: Position) -> tuple[Reason, ...]:
    """Return what may keep a device from falling asleep, and who is awake beside it."""
    if not position.device.awake:
        return ()
    causes = why_awake.causes(position)
    counted = None if causes else why_awake.kernel_use(position)
    return (*causes, *((counted,) if counted else ()), *why_not_deeper.awake_beside(position))
