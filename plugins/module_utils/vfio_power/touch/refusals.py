# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What usually lies behind an errno, as a next step; data for touch/kernel.py."""

from __future__ import annotations

import errno

_OPENING = ("open", "open the group", "open the container", "open /dev/iommu")

_WHEN_OPENING = {
    errno.EBUSY: "Somebody else has it open, a guest perhaps: release it there",
    errno.ENOENT: "Bind the device to vfio-pci",
    errno.EACCES: (
        "Look at the owner of its node below /dev/vfio, and at power/runtime_status:"
        " the driver before may have left runtime power management off"
    ),
    errno.EPERM: "The IOMMU group is not ours to take: look for another owner of the group",
    errno.ENODEV: "The device or its port did not power up: look at the kernel log",
    errno.EINVAL: "The device is open elsewhere, or its power management failed",
    errno.EAGAIN: "A reset of its slot goes on for long: try again later",
}
_WHEN_CALLING = {
    errno.EIO: "The device could not be resumed: look at the kernel log",
    errno.EINVAL: "It is in low power already, or the kernel does not know the request",
}
_WHEN_ATTACHING = {
    errno.EPERM: "The group is not viable, or the platform does not remap interrupts",
    errno.ENODEV: "The kernel has no TYPE1v2 IOMMU: switch the IOMMU on",
}


def hint_for(operation: str, number: int) -> str:
    """Return the likely next step, or an empty string."""
    if operation in _OPENING:
        return _WHEN_OPENING.get(number, "")
    if operation == "attach the container":
        return _WHEN_ATTACHING.get(number, "")
    return _WHEN_CALLING.get(number, "")
