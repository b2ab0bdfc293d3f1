# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be said of a device's power state against what its rule expects.

Each check returns the drift it finds, or None. drift.py says in which order they are
asked, and when they are not: while a guest has the device, or before it has settled.
"""

from __future__ import annotations

from typing import Optional

from ..words.mode import Expect, Mode
from ..words.report import Drift
from .codes import found
from .drift_case import Case, reached

SLEEPING = (Expect.ASLEEP, Expect.D3COLD)


def power_error(case: Case) -> Optional[Drift]:
    """A device that did not come back: a guest that gets it would not get a working one.

    The PM core may call it active all the same. One of which the helper saw it is in quarantine.
    """
    power = case.power
    if power is None or not power.lost:
        return None
    message = (
        f"{case.subject} did not come back from low power: its runtime_status is"
        f" {power.runtime_status} and its power_state {power.power_state}"
    )
    return found("power-error", message, "Look at the kernel log; often only a cold start helps")


def runtime_pm_forbidden(case: Case) -> Optional[Drift]:
    """With ``on`` the kernel accepts an entry and never suspends the device."""
    rule, power = case.rule, case.power
    if rule is None or power is None or power.control != "on":
        return None
    if rule.mode is Mode.NONE and rule.expect not in SLEEPING:
        return None
    message = f"{case.subject} may not sleep: its power/control reads on"
    path = f"/sys/bus/pci/devices/{case.address}/power/control"
    return found(
        "runtime-pm-forbidden", message, f"Find out who wrote it, then: echo auto > {path}"
    )


def no_power_management(case: Case) -> Optional[Drift]:
    """Suspended, and yet in D0: the device has nothing to save power with."""
    rule, power = case.rule, case.power
    if rule is None or power is None or rule.expect is not Expect.ASLEEP:
        return None
    if power.runtime_status != "suspended" or power.power_state != "D0":
        return None
    message = f"{case.subject} is suspended but stays in D0: it has no PCI power management"
    return found("no-power-management", message, "Nothing can be saved here: remove the rule")


def not_suspended(case: Case) -> Optional[Drift]:
    """A mode is engaged and the device is awake all the same."""
    rule, power = case.rule, case.power
    if rule is None or power is None or rule.mode is Mode.NONE or rule.expect not in SLEEPING:
        return None
    if power.runtime_status == "suspended":
        return None
    told = "; ".join(reason.message for reason in case.blockers)
    message = (
        f"{case.subject} is {reached(power)} in mode {rule.mode}{f' ({told})' if told else ''}"
    )
    return found("not-suspended", message, _next(case))


def not_as_expected(case: Case) -> Optional[Drift]:
    """The state that was seen is another than the expected one."""
    rule, power = case.rule, case.power
    if rule is None or power is None or rule.expect is Expect.ANY:
        return None
    seen_as_expected = {
        Expect.AWAKE: not power.asleep,
        Expect.ASLEEP: power.asleep,
        Expect.D3COLD: power.asleep and power.power_state == "D3cold",
    }
    if seen_as_expected[rule.expect]:
        return None
    message = f"{case.subject} is {reached(power)}, and {rule.expect} is expected"
    return found("not-as-expected", message, _way_to(rule.expect, case))


def _way_to(expect: Expect, case: Case) -> str:
    if expect is Expect.AWAKE:
        return "Declare mode none with reserve: true to keep it awake"
    if case.power is not None and case.power.asleep:
        return f"Look what is in the way: vfio-powerctl why {case.address}"
    return _next(case)


def _next(case: Case) -> str:
    """Return what to do about what keeps the device itself awake; its neighbours seldom do."""
    mine = (reason for reason in case.blockers if reason.address == case.address)
    # That the kernel counts a user is true, and tells nobody what to do.
    own = (reason.hint for reason in mine if reason.code != "kernel-use")
    return next(own, f"Look what uses it or holds it awake: vfio-powerctl why {case.address}")


def hold_saves_nothing(case: Case) -> Optional[Drift]:
    """Where unopened devices sleep by themselves, holding one open saves no power."""
    rule = case.rule
    if rule is None or rule.mode is Mode.NONE or not case.held:
        return None
    if case.host.disable_idle_d3 is not False:
        return None
    message = (
        f"{case.subject} would sleep without being held: vfio-pci runs with disable_idle_d3 off"
    )
    hint = "Keep it for its wake count and reservation, or declare mode none with expect: asleep"
    return found("hold-saves-nothing", message, hint)
