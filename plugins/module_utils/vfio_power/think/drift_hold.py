# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the helper does with a device against what its rule asks, and who else has it.

Each check returns the drift it finds, or None; drift.py has their order.
"""

from __future__ import annotations

from typing import Optional

from ..words.mode import Expect, Mode
from ..words.report import Drift
from .codes import found
from .deadlines import deadline_of
from .drift_case import RUNNING, Case, lasting, seconds
from .paused import way_out
from .reentry import BUCKET, Breaker


def stuck(case: Case) -> Optional[Drift]:
    """Find a call into the kernel that does not return."""
    running = case.hold.running if case.hold else None
    if running is None or running.seconds is None:
        return None
    if running.seconds <= deadline_of(running.call):
        return None
    lasting = seconds(running.seconds)
    message = f"{case.subject}: {running.call} has not returned from the kernel for {lasting}"
    return found("stuck", message, "Look at the kernel log; the device may hang in a reset")


def quarantined(case: Case) -> Optional[Drift]:
    """Find a device that is not trusted, declared or not: somebody has to look at it."""
    why = case.hold.quarantined if case.hold else None
    if why is None:
        return None
    look = _LOOK.get(why.code, _LOOK["quarantined"])
    hint = f"{look}; to trust it again: vfio-powerctl clear {case.address}"
    return found(why.code, f"{why.message}; it is not taken again before it is cleared", hint)


_LOOK = {
    "quarantined": "Look at the kernel log, also of the boot before",
    "power-error": "Look at the kernel log, often only a cold start helps",
}


def leased(case: Case) -> Optional[Drift]:
    """Find a device that was given to somebody, declared or not."""
    leases = case.hold.leases if case.hold else ()
    if not leases:
        return None
    holders = " and ".join(
        lease.holder + (f" for {seconds(lease.until - case.now)} more" if lease.until else "")
        for lease in leases
    )
    hint = f"It comes back with: vfio-powerctl reclaim {case.address} --holder {leases[0].holder}"
    return found("leased", f"{case.subject} is lent to {holders}", hint)


def undeclared_hold(case: Case) -> Optional[Drift]:
    """Find a device that is held though no rule has it."""
    if case.rule is not None or not case.held:
        return None
    message = f"{case.subject} is held by the helper and not declared"
    return found("undeclared-hold", message, "Converge this host again; then it is let go")


def busy(case: Case) -> Optional[Drift]:
    """Find a device that a guest has: its state is the guest's business."""
    rule, failure = case.rule, case.hold.failure if case.hold else None
    if rule is None or case.held or not (rule.holds or rule.expect is not Expect.ANY):
        return None
    hint = f"When it is free: vfio-powerctl reclaim {case.address}, or converge again"
    if case.opened_by:
        openers = " and ".join(case.opened_by)
        return found("busy", f"{case.subject} is in use by {openers}", hint)
    if failure is not None and failure.code == "busy":
        message = f"{case.subject} was in use by somebody else when the helper wanted to open it"
        return found("busy", message, hint)
    return None


def paused(case: Case) -> Optional[Drift]:
    """Find a device that is not held because nothing is: no fault of its own."""
    if not case.paused or case.rule is None or not case.rule.holds:
        return None
    message = f"{case.subject} is not held while the helper is paused: {case.paused}"
    return found("paused", message, way_out(case.paused))


def failed(case: Case) -> Optional[Drift]:
    """Pass on what the helper could not do; of no interest once the rule asks nothing of it."""
    failure = case.hold.failure if case.hold else None
    if failure is None or case.rule is None or not (case.rule.holds or case.held):
        return None
    hint = failure.hint or "Look at the kernel log: journalctl -k"
    if failure.code in _TRIED_ONCE:
        hint += f"; then: vfio-powerctl reclaim {case.address}"
    return found(failure.code, failure.message, hint)


_TRIED_ONCE = ("group-not-viable", "kernel-refused", "node-denied")
"""Refusals after which nobody tries again before somebody asks for it."""


def wake_storm(case: Case) -> Optional[Drift]:
    """Find a device that is left awake, as somebody wakes it again and again."""
    reentries, until = (case.hold.reentries, case.hold.waiting_until) if case.hold else (None, None)
    if reentries is None or until is None or reentries.breaker != Breaker.OPEN.value:
        return None
    often = f"woken {reentries.storm_wakes} times in {lasting(reentries.storm_seconds)}"
    rest = lasting(until - case.now)
    return found(
        "wake-storm",
        f"{case.subject} was {often}; it is left awake for another {rest}, then tried once more",
        "Find what reads it: lspci, lshw, fact gathering and monitoring agents do;"
        " vfio-powerctl watch --who names it when the device is tried again",
    )


def waiting(case: Case) -> Optional[Drift]:
    """Find a device that was woken and has its time to be entered again."""
    until = case.hold.waiting_until if case.hold else None
    if until is None or case.rule is None or case.rule.mode is not Mode.ENTRY_WITH_WAKEUP:
        return None
    message = f"{case.subject} was woken; low power is entered again in {seconds(until - case.now)}"
    reentries = case.hold.reentries if case.hold else None
    if reentries is not None and reentries.put_off_by == BUCKET:
        message += f", when the bound of {case.rule.reentry.max_per_hour} an hour allows it"
    hint = "Nothing to do; vfio-powerctl watch --who tells who wakes it next"
    return found("waiting", message, hint)


def mode_mismatch(case: Case) -> Optional[Drift]:
    """Compare the mode; without the helper nobody knows it, and that is told of the host."""
    rule, hold = case.rule, case.hold
    if rule is None or (hold is None and case.helper != RUNNING):
        return None
    engaged = hold.engaged if hold is not None else Mode.NONE
    if case.held == rule.holds and engaged is rule.mode:
        return None
    wanted = f"mode {rule.mode}{', reserved' if rule.reserve else ''}"
    stands = f"held with mode {engaged} engaged" if case.held else "not held"
    message = f"{case.subject} is declared {wanted}, and is {stands}{_meanwhile(case)}"
    hint = f"Converge again, or: vfio-powerctl reclaim {case.address}"
    return found("mode-mismatch", message, hint)


def _meanwhile(case: Case) -> str:
    hold = case.hold
    if hold is not None and hold.running is not None:
        call, lasting = hold.running.call, hold.running.seconds
        if lasting is None:
            return f"; {call} waits until another call has returned"
        return f"; {call} is under way for {seconds(lasting)}"
    if hold is not None and hold.taken_after is not None and not hold.held:
        return f"; it is taken in {seconds(hold.taken_after - case.now)}"
    return ""
