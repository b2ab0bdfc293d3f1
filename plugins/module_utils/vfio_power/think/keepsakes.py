# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the descriptors that the service manager keeps for us while we are away.

``vfp1.wake.0000-41-00.0.g15``: what it is, of which device, held by which way through which
IOMMU group. Facts that do not change while a device is held, and nothing else: anybody on the
host can read the names. A colon is not allowed in them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple, Optional

from ..words.address import PciAddress

FAMILY = "vfp"
_GENERATION = f"{FAMILY}1"

DEVICE = "device"
COUNTERS = ("wake", "request", "error")
"""The eventfds of a held device, in the order in which a grip has them."""

SHARED = "shared"
"""The group's descriptor or the iommufd, which devices of a group have in common."""

_PART = "|".join((SHARED, DEVICE, *COUNTERS))
_NAME = re.compile(rf"{_GENERATION}\.({_PART})(?:\.([0-9a-f-]+\.[0-7]))?\.([gc])([0-9]+)", re.ASCII)
_BACKENDS = {"g": "group", "c": "cdev"}
_LETTERS = {backend: letter for letter, backend in _BACKENDS.items()}


class Keepsake(NamedTuple):
    """What a kept descriptor is; ``address`` is None for a shared one."""

    part: str
    address: Optional[PciAddress]
    backend: str
    group: int

    def name(self) -> str:
        """Return the name it is kept under."""
        of = "" if self.address is None else "." + str(self.address).replace(":", "-")
        return f"{_GENERATION}.{self.part}{of}.{_LETTERS[self.backend]}{self.group}"

    @property
    def shared(self) -> Keepsake:
        """What a device shares with the others of its group."""
        return self._replace(part=SHARED, address=None)


def parse_name(name: str) -> Keepsake:
    """Read a name. Raises ValueError for one that this program did not give."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is not a name that this version gives")
    part, device, letter, group = found.groups()
    address = PciAddress.parse(device.replace("-", ":")) if device else None
    return Keepsake(part, address, _BACKENDS[letter], int(group))


def whole(kept: Collection[Keepsake]) -> dict[PciAddress, Keepsake]:
    """Return the devices of which everything is there, what they share included."""
    return {
        device.address: device
        for device in kept
        if device.address is not None
        and device.part == DEVICE
        and all(device._replace(part=part) in kept for part in COUNTERS)
        and device.shared in kept
    }
