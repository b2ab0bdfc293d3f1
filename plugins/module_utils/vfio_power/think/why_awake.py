# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a device is awake: each check returns the reason it finds, or None."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Callable, Optional

from ..words.allowance import Allowance
from ..words.mode import Mode
from ..words.quirk import Kind, Quirk
from ..words.rival import POWER_CONTROL, written_by
from ..words.why import PM_OFF, Reason
from .position import Position, knob

Check = Callable[[Position], Optional[Reason]]


def in_use(position: Position) -> Optional[Reason]:
    """Find who has it open: then its state is their business."""
    openers = " and ".join(position.device.opened_by)
    if not openers:
        return None
    message = f"{position.address} is in use by {openers}"
    return _reason("in-use", position, message, "It may sleep when that is over, or was shut down")


def control_on(position: Position) -> Optional[Reason]:
    """Find the switch by which the kernel never suspends a device."""
    if position.device.power.control != "on":
        return None
    kept = "as the kernel leaves a device without a driver" if _driverless(position) else ""
    kept = kept and f", {kept}"
    by = written_by(position.device.rivals, POWER_CONTROL, "on")
    message = f"power/control of {position.address} reads on{kept}{by}: it must not be suspended"
    hint = f"To let it sleep: echo auto > {knob(position.address, POWER_CONTROL)}"
    if position.rule is not None and position.rule.policy.runtime_pm is Allowance.FORBID:
        message = f"power/control of {position.address} reads on, as is declared"
        hint = "Leave it; or, if it may sleep, declare runtime_pm: allow"
    return _reason("control-on", position, message, hint)


def runtime_pm_off(position: Position) -> Optional[Reason]:
    """Find a device that nobody can suspend, as some drivers leave theirs."""
    if position.device.power.runtime_status != PM_OFF:
        return None
    message = f"runtime power management of {position.address} is switched off"
    hint = "A driver may have left it so: bind the device to that driver and back, or boot anew"
    return _reason("runtime-pm-off", position, message, hint)


def virtual_functions(position: Position) -> Optional[Reason]:
    """A physical function with virtual ones never sleeps."""
    number = position.device.bounds.virtual_functions
    if not number:
        return None
    message = (
        f"{position.address} has {number} virtual functions, and never sleeps while it has any"
    )
    hint = f"If no guest uses them: echo 0 > {knob(position.address, 'sriov_numvfs')}"
    return _reason("virtual-functions", position, message, hint)


def host_driver(position: Position) -> Optional[Reason]:
    """A driver of the host decides itself when its device sleeps."""
    facts = position.device.facts
    if facts.vfio or facts.driver is None:
        return None
    message = f"{position.address} is on the driver {facts.driver}, which decides when it sleeps"
    hint = f"If a guest is to have it: driverctl set-override {position.address} vfio-pci"
    return _reason("host-driver", position, message, hint)


def disable_idle_d3(position: Position) -> Optional[Reason]:
    """Unopened devices stay awake on a host whose vfio-pci was told so."""
    held = position.hold is not None and position.hold.held
    if not position.host.disable_idle_d3 or held or position.device.opened_by:
        return None
    if not position.device.facts.vfio:
        return None
    places = ", ".join(rival.place for rival in position.idle_policy)
    unused = "is not held" if position.users_known else "may be in use, which root alone can see"
    message = (
        f"{position.address} {unused}, and vfio-pci keeps unopened devices awake here:"
        f" disable_idle_d3 is on{f' ({places})' if places else ''}"
    )
    hint = f"{_to_sleep_held(position.quirks)}; the switch itself takes a reload of vfio-pci"
    return _reason("disable-idle-d3", position, message, hint)


def _to_sleep_held(quirks: Iterable[Quirk]) -> str:
    """Say which mode lets a device sleep that the kernel keeps awake while nobody holds it."""
    kinds = {quirk.kind for quirk in quirks}
    if Kind.NO_HOLD in kinds:
        return f"It can sleep only unopened (quirk {Kind.NO_HOLD.value})"
    if Kind.NO_REENTRY in kinds:
        once = f"it sleeps once after it was opened (quirk {Kind.NO_REENTRY.value})"
        return f"Declare mode entry-with-wakeup for it: {once}"
    return "Declare mode entry for it"


def reserved(position: Position) -> Optional[Reason]:
    """Find a device that is held awake because that is declared."""
    rule, hold = position.rule, position.hold
    if rule is None or hold is None or not hold.held or rule.mode is not Mode.NONE:
        return None
    message = (
        f"{position.address} is held awake as declared: mode none with reserve (rule {rule.name})"
    )
    hint = "To let it sleep while it is held, declare mode entry or entry-with-wakeup"
    return _reason("reserved", position, message, hint)


def kernel_use(position: Position) -> Optional[Reason]:
    """Find users that the PM core counts and nobody else knows of."""
    usage = position.device.bounds.usage
    if not usage:
        return None
    users = "a user" if usage == 1 else f"{usage} users"
    message = f"the kernel counts {users} of {position.address} (power/runtime_usage)"
    hint = "Look again in a moment; if it stays so, look at the kernel log and trace events/rpm"
    return _reason("kernel-use", position, message, hint)


def unexplained(position: Position) -> Optional[Reason]:
    """Say so where nothing was found: somebody just read from it, most likely."""
    message = f"nothing that can be seen keeps {position.address} awake"
    hint = "Look again in a moment; lspci, lshw and monitoring agents wake a device by reading it"
    return _reason("unexplained", position, message, hint)


def _driverless(position: Position) -> bool:
    return position.device.facts.driver is None


def _reason(code: str, position: Position, message: str, hint: str) -> Reason:
    return Reason(code, position.address, message, hint)


CAUSES: Sequence[Check] = (
    in_use,
    control_on,
    runtime_pm_off,
    virtual_functions,
    host_driver,
    disable_idle_d3,
    reserved,
)
"""Each of them alone keeps a device awake, so that all are told."""

GUESSES: Sequence[Check] = (kernel_use, unexplained)
"""Where there is no cause, the first that has something to say."""


def causes(position: Position) -> tuple[Reason, ...]:
    """Return what surely keeps a device awake; nothing where it is not awake."""
    if not position.device.awake:
        return ()
    found = (check(position) for check in CAUSES)
    return tuple(reason for reason in found if reason is not None)


def guess(position: Position) -> tuple[Reason, ...]:
    """Return what else may be said of a device that is awake."""
    if not position.device.awake:
        return ()
    found = (check(position) for check in GUESSES)
    return tuple(reason for reason in found if reason is not None)[:1]
