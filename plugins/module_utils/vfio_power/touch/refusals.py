# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What usually lies behind an errno, as a next step; data for touch/kernel.py.

One errno means different things of different operations, and EINVAL even of one. Nothing is
concluded from it but what to look at.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

_LOG = "look at the kernel log (journalctl -k)"
_LOOK = "Look at the kernel log (journalctl -k)"
_OURS = (
    "This is a fault of the helper: start it again, systemctl restart vfio-powerd, and report it"
)
_TAKEN = "Somebody else has {} open, a guest perhaps: release it there"
_TAKEN_GROUP = _TAKEN.format("a device of its IOMMU group")

_ANY = {
    errno.EBADF: _OURS,
    errno.EBADFD: _OURS,
    errno.EFAULT: _OURS,
    errno.EMFILE: "The helper has too many files open: raise LimitNOFILE of vfio-powerd.service",
    errno.ENFILE: "The host has too many files open: look who, or raise fs.file-max",
    errno.ENOMEM: "The host is out of memory: make room and try again",
}
_NODE = {
    errno.ENOENT: "The node is not there: bind the device to a VFIO driver",
    errno.EACCES: "Look who owns the node and who may open it: ls -l /dev/vfio /dev/iommu",
    errno.EPERM: (
        "The unit allows the nodes of drivers that were there when it was started: load the"
        " driver, then systemctl restart vfio-powerd"
    ),
    errno.ENXIO: f"The driver went away meanwhile: {_LOG}",
    errno.ENODEV: f"The driver went away meanwhile: {_LOG}",
    errno.ELOOP: "The node is a link, which is not followed: find out who made it",
}
_HOST_NODE = {
    **_NODE,
    errno.ENOENT: "The kernel does not offer VFIO: modprobe vfio-pci, and switch the IOMMU on",
    errno.ENODEV: "The kernel does not offer VFIO: modprobe vfio-pci, and switch the IOMMU on",
}
_OPEN = {
    errno.ENODEV: f"The device or its port did not power up: {_LOG}",
    errno.EBUSY: f"The device or its port did not power up: {_LOG}",
    errno.EIO: f"The device or its port did not power up: {_LOG}",
    errno.EINVAL: f"Its power management failed: look at power/runtime_status, and {_LOG}",
    errno.EACCES: (
        "Look at power/runtime_status: the driver before may have left runtime power management"
        " off. Or it is a virtual function, and its physical one asks for a token"
    ),
    errno.EPERM: _TAKEN_GROUP,
    errno.EAGAIN: "A reset of its slot goes on for long: try again later",
}
_CALL = {
    errno.EIO: f"The device could not be resumed: {_LOG}",
    errno.EINVAL: "The kernel does not know the request: use a newer one, or another VFIO driver",
    errno.ENOTTY: "The kernel does not know the request: use a newer one, or another VFIO driver",
    errno.ENODEV: f"The device has gone: {_LOG}",
}
_ENTER = {
    **_CALL,
    errno.EINVAL: "It is in low power already: let it go and take it again, with release, reclaim",
}

_HINTS: Mapping[str, Mapping[int, str]] = {
    "open the group": {**_NODE, errno.EBUSY: _TAKEN.format("it")},
    "open the container": _HOST_NODE,
    "open /dev/iommu": _HOST_NODE,
    "open the node": {**_NODE, errno.EBUSY: _TAKEN.format("it")},
    "attach the container": {errno.EPERM: _TAKEN_GROUP, errno.EINVAL: _TAKEN_GROUP},
    "set the IOMMU": {
        errno.EPERM: "The platform does not remap interrupts: switch that on in its firmware",
        errno.ENODEV: "The kernel has no TYPE1v2 IOMMU: switch it on, modprobe vfio_iommu_type1",
    },
    "open": _OPEN,
    "bind": {**_OPEN, errno.EBUSY: _TAKEN_GROUP, errno.EINVAL: _TAKEN.format("it")},
    "enter low power": _ENTER,
    "enter low power with wakeup": _ENTER,
}


def hint_for(operation: str, number: int) -> str:
    """Return the likely next step."""
    hints = _HINTS.get(operation, _CALL)
    return hints.get(number) or _ANY.get(number, _LOOK)
