# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration: what a playbook asked for, and the devices that it came to mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional, Union

from .address import PciAddress
from .allowance import HostPolicy
from .facts import Identity
from .mode import Expect, Mode


class Match(NamedTuple):
    """Properties a device must have: AND between keys, OR within a list, None for not asked."""

    vendor: Optional[tuple[str, ...]] = None
    device: Optional[tuple[str, ...]] = None
    subsystem_vendor: Optional[tuple[str, ...]] = None
    subsystem_device: Optional[tuple[str, ...]] = None
    class_: Optional[tuple[str, ...]] = None  # prefixes of the class code
    driver: Optional[tuple[str, ...]] = None
    iommu_group: Optional[tuple[int, ...]] = None
    numa_node: Optional[tuple[int, ...]] = None
    slot: Optional[tuple[str, ...]] = None
    boot_vga: Optional[bool] = None
    property: Optional[Mapping[str, str]] = None  # udev property: shell pattern


Selector = Union[PciAddress, Match]


class Reentry(NamedTuple):
    """When and how often a woken device may sleep again; of use in entry-with-wakeup only."""

    delay: float = 5.0  # seconds from the wake
    max_per_hour: int = 60  # entries
    burst: int = 10  # entries in a row, before max_per_hour slows them down


class Rule(NamedTuple):
    """One rule of the declaration; ``name`` is its identity when lists are merged."""

    name: str
    selector: Selector
    mode: Mode
    reserve: bool = False
    expect: Expect = Expect.ANY
    reentry: Reentry = Reentry()
    count: Optional[int] = None  # type: ignore[assignment]  # hides tuple.count: nobody misses it
    policy: HostPolicy = HostPolicy()

    @property
    def holds(self) -> bool:
        """Tell whether the rule asks the helper to keep the device open."""
        return self.mode is not Mode.NONE or self.reserve


class Declaration(NamedTuple):
    """Ordered rules and exclusions; ``generation`` counts the times it was stored."""

    rules: tuple[Rule, ...] = ()
    exclude: tuple[Selector, ...] = ()
    generation: int = 0

    def rule(self, name: str) -> Optional[Rule]:
        """Return the rule of that name, or None."""
        return next((rule for rule in self.rules if rule.name == name), None)


class Known(NamedTuple):
    """A device the declaration came to mean: remembered, so that another one is not mistaken."""

    address: PciAddress
    identity: Optional[Identity]  # None: declared by address, not seen on the bus so far
    rule: str


class PassedOver(NamedTuple):
    """A device that a rule would fit, left alone because a host driver has it."""

    address: PciAddress
    driver: str
    rule: str


class Resolution(NamedTuple):
    """Rules applied to the devices of a host, in bus order."""

    known: tuple[Known, ...] = ()
    matched: Mapping[str, int] = {}  # rule name: how many devices it won
    passed_over: tuple[PassedOver, ...] = ()
