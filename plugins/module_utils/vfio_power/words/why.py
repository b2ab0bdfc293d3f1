# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides whether a device sleeps and how deep: the way from it to its root port, and why."""

from __future__ import annotations

from typing import NamedTuple, Optional

from .address import PciAddress
from .facts import Facts, Power
from .rival import Rival

PM_OFF = "unsupported"
"""The runtime status of a device whose runtime power management is switched off."""


class Bounds(NamedTuple):
    """What bounds the sleep of a device or a port; None where nobody says so."""

    d3cold_allowed: Optional[bool] = None
    switched: bool = False  # the platform can cut its power: ACPI has _PR3 for it
    may_sleep: Optional[bool] = None  # of a port: whether the kernel lets it suspend at all
    hotplug: bool = False  # of a port: cards can be plugged in below it while the host runs
    virtual_functions: int = 0  # that are enabled on it
    usage: Optional[int] = None  # how many users the PM core counts


class Node(NamedTuple):
    """A device, one of its siblings below the same ports, or a port above it, at one moment."""

    facts: Facts
    power: Power = Power()
    bounds: Bounds = Bounds()
    ports: tuple[PciAddress, ...] = ()  # above it, the nearest first
    opened_by: tuple[str, ...] = ()  # "qemu-system-x86 (pid 812, guest web)"; never the helper
    held: bool = False  # by the helper
    rivals: tuple[Rival, ...] = ()  # others who write its policy, where that keeps it from sleep

    @property
    def address(self) -> PciAddress:
        """Where it is."""
        return self.facts.address

    @property
    def awake(self) -> bool:
        """Tell whether the PM core has it running: then no port above it can sleep."""
        return self.power.runtime_status in ("active", PM_OFF)


class Reason(NamedTuple):
    """One thing that holds a device awake or from sleeping deeper, with the next step."""

    code: str
    address: PciAddress  # of the device or port that it is about
    message: str
    hint: str


class Why(NamedTuple):
    """Why a device is not where it could be. ``best`` is the deepest state that it can reach."""

    best: Optional[str] = None  # D0, D3hot or D3cold; None where nobody can tell
    awake: tuple[Reason, ...] = ()  # why it is awake
    not_deeper: tuple[Reason, ...] = ()  # what is between it and D3cold
    ports: tuple[Node, ...] = ()  # from its root port down
    device: Optional[Node] = None
    siblings: tuple[Node, ...] = ()
