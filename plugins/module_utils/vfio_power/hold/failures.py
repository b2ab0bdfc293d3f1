# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed call means to people: the drift code it becomes, its errno and next step."""

from __future__ import annotations

import errno
import os

from ..touch.backends import GroupNotViable
from ..words.address import PciAddress
from ..words.errors import KernelRefused, Unsupported, VfioPowerError
from ..words.facts import Facts
from ..words.report import Failure

_DENIED = (errno.EACCES, errno.EPERM)


class NotOurs(VfioPowerError):
    """The device is not the declared one, or not there to be taken; ``code`` says which."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.code = code


def failure_of(error: Exception, address: PciAddress, facts: Facts | None, dev: str) -> Failure:
    """Turn what a worker raised into what is reported of the device."""
    if isinstance(error, NotOurs):
        return Failure(error.code, error.message, error.hint)
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


def _refusal(error: KernelRefused, facts: Facts | None, dev: str) -> Failure:
    opening = error.operation.startswith("open")
    if opening and error.number == errno.EBUSY:
        return Failure("busy", error.message, error.hint, error.operation, error.errno_name)
    owner = node_owner(facts, dev) if opening and error.number in _DENIED else None
    if owner:
        hint = f"Give {owner[0]} back to root (chown root:root {owner[0]}), or run udevadm trigger"
        message = f"{error.message}; {owner[0]} belongs to user {owner[1]}"
        return Failure("node-denied", message, hint, error.operation, error.errno_name)
    return Failure("kernel-refused", error.message, error.hint, error.operation, error.errno_name)


def node_owner(facts: Facts | None, dev: str) -> tuple[str, int] | None:
    """Return path and owner of the first node on the way in that is not root's."""
    if facts is None:
        return None
    for path in (f"{dev}/vfio/{facts.iommu_group}", f"{dev}/vfio/devices/{facts.cdev}"):
        try:
            owner = os.stat(path).st_uid
        except OSError:
            continue
        if owner:
            return path, owner
    return None
