# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed call means to people: the drift code it becomes, its errno and next step."""

from __future__ import annotations

import errno
import os
from itertools import product
from typing import Optional

from ..think.policy import Action
from ..touch.backends import GroupNotViable
from ..words.address import PciAddress
from ..words.errors import KernelRefused, Unsupported, VfioPowerError
from ..words.facts import Facts, Power
from ..words.report import Failure

_NODES = {
    "open the group": "vfio/{0.iommu_group}",
    "open the container": "vfio/vfio",
    "open /dev/iommu": "iommu",
    "open the node": "vfio/devices/{0.cdev}",
}
"""The operations that open a node, which may be denied, and where it is below /dev."""

_CODES = {
    **dict.fromkeys(product(_NODES, (errno.EACCES, errno.EPERM)), "node-denied"),
    ("open the group", errno.EBUSY): "busy",
    ("attach the container", errno.EPERM): "busy",
    ("bind", errno.EBUSY): "busy",
    ("bind", errno.EPERM): "busy",
    ("bind", errno.EINVAL): "busy",  # what a node that is bound already answers
    ("enter low power", errno.ENOTTY): "unsupported",
    ("enter low power with wakeup", errno.ENOTTY): "unsupported",
}
"""What a refusal means, as far as it is more than a refusal. hold/errands.py has looked in sysfs
for what the errno does not say."""


_WHEN = {
    Action.TAKE: "when it was opened",
    Action.ENTER: "and was to sleep again",
    Action.ENTER_WITH_WAKEUP: "and was to sleep again",
    Action.EXIT: "when low power was ended",
    Action.LET_GO: "when it was let go",
}
_BEFORE_A_GUEST = "Look at the kernel log; reset it and bind it anew before a guest gets it"


class NotOurs(VfioPowerError):
    """The device is not the declared one, or not there to be taken; ``code`` says which."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.code = code


def reported_an_error(address: PciAddress) -> NotOurs:
    """Say that a device reported an uncorrectable error."""
    message = f"{address}: reported an uncorrectable error"
    return NotOurs("quarantined", message, f"To trust it again: vfio-powerctl clear {address}")


def lost(address: PciAddress, power: Power, action: Optional[Action] = None) -> NotOurs:
    """Say that a device did not come back, when we called it or when a stranger woke it."""
    when = _WHEN[action] if action else "when something else woke it"
    return NotOurs(
        "power-error",
        f"{address}: did not come back from {power.power_state} (runtime status"
        f" {power.runtime_status}) {when}",
        _BEFORE_A_GUEST,
    )


def silent(address: PciAddress, action: Action) -> NotOurs:
    """Say that a device looks well and does not answer."""
    message = f"does not answer any more, its config space was all ones {_WHEN[action]}"
    return NotOurs("power-error", f"{address}: {message}", _BEFORE_A_GUEST)


def explains(power: Power, refused: KernelRefused) -> bool:
    """Tell whether a device was refused because it is lost, and not because somebody has it.

    What another one does with it is not ours to judge. But a node answers EINVAL to both.
    """
    if _code(refused) == "busy":
        return refused.number == errno.EINVAL and power.runtime_status == "error"
    return power.lost


def failure_of(error: Exception, address: PciAddress, facts: Facts | None, dev: str) -> Failure:
    """Turn what a worker raised into what is reported of the device."""
    if isinstance(error, NotOurs):
        return _not_ours(error)
    if isinstance(error, Unsupported):
        return Failure("unsupported", error.message, error.hint)
    if isinstance(error, GroupNotViable):
        return Failure("group-not-viable", error.message, error.hint)
    if isinstance(error, KernelRefused):
        return _refusal(error, facts, dev)
    if isinstance(error, VfioPowerError):
        return Failure("kernel-refused", error.message, error.hint)
    # Nobody expected it. The device fails, the helper goes on.
    reason = f"{type(error).__name__}: {error}"
    return Failure("kernel-refused", f"{address}: {reason}", "The helper's journal says more")


def _not_ours(error: NotOurs) -> Failure:
    """Say it together with the refusal that let us look."""
    refused = error.__cause__
    if not isinstance(refused, KernelRefused):
        return Failure(error.code, error.message, error.hint)
    message = f"{error.message}; {refused.message}"
    return Failure(error.code, message, error.hint, refused.operation, refused.errno_name)


def _refusal(error: KernelRefused, facts: Facts | None, dev: str) -> Failure:
    code = _code(error)
    message, hint = error.message, error.hint
    if code == "node-denied" and facts is not None:
        path = f"{dev}/{_NODES[error.operation].format(facts)}"
        owner = _owner(path)
        if owner:
            message = f"{message}; {path} belongs to user {owner}"
            hint = f"Give {path} back to root (chown root:root {path}), or run udevadm trigger"
    return Failure(code, message, hint, error.operation, error.errno_name)


def _code(error: KernelRefused) -> str:
    return _CODES.get((error.operation, error.number), "kernel-refused")


def _owner(path: str) -> int:
    try:
        return os.stat(path).st_uid
    except OSError:
        return 0
