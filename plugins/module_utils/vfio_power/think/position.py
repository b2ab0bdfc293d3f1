# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device in its surroundings, from which think/why.py tells why it is not where it could be."""

from __future__ import annotations

from typing import NamedTuple, Optional

from ..words.address import PciAddress
from ..words.declaration import Rule
from ..words.facts import HostFacts
from ..words.quirk import Quirk
from ..words.report import HoldReport
from ..words.rival import Rival
from ..words.why import Node


class Position(NamedTuple):
    """All that decides about one device's sleep, as it was seen at one moment."""

    device: Node
    ports: tuple[Node, ...] = ()  # above it, the nearest first
    siblings: tuple[Node, ...] = ()  # below any of its ports
    rule: Optional[Rule] = None
    hold: Optional[HoldReport] = None
    host: HostFacts = HostFacts()
    quirks: tuple[Quirk, ...] = ()
    idle_policy: tuple[Rival, ...] = ()  # where the host's disable_idle_d3 comes from
    users_known: bool = True  # who has devices open was seen, which takes root

    @property
    def address(self) -> PciAddress:
        """Where the device is."""
        return self.device.address

    @property
    def asleep(self) -> bool:
        """Tell whether the device really rests."""
        return self.device.power.asleep

    @property
    def unpowered(self) -> bool:
        """Tell of a device that is suspended and stays in D0: it has no power management."""
        power = self.device.power
        return power.runtime_status == "suspended" and power.power_state == "D0"


def knob(address: PciAddress, name: str) -> str:
    """Return the path of a device's attribute."""
    return f"/sys/bus/pci/devices/{address}/{name}"


def standing(node: Node) -> str:
    """Say on which driver a device is."""
    return f"on {node.facts.driver}" if node.facts.driver else "on no driver"
