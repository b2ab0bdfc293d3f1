# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The surroundings of a device, read for think/why.py: the ports above it, and all below those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Optional

from ..think.position import Position
from ..think.rivals import ask_above, idle_policy, rivals_of
from ..think.udev_rules import Card
from ..words.address import PciAddress
from ..words.facts import Facts, HostFacts, Power
from ..words.report import HoldReport
from ..words.rival import PolicyFile, Rival
from ..words.why import Node
from .openers import openers_of
from .sysfs import Sysfs
from .udev import recorded
from .view import DeviceView, Opener


class Positions:
    """Where the devices of one look stand. Each is read once, however many others it is beside."""

    def __init__(
        self,
        sysfs: Sysfs,
        devices: Mapping[PciAddress, Facts],
        holds: Mapping[PciAddress, HoldReport],
        openers: Mapping[str, tuple[Opener, ...]],
        host: HostFacts,
        policies: tuple[PolicyFile, ...],
        *,
        users_known: bool = True,
    ) -> None:
        self._sysfs = sysfs
        self._devices = devices
        self._holds = holds
        self._openers = openers
        self._host = host
        self._policies = policies
        self._ports_matter = ask_above(policies)
        self._idle_policy = idle_policy(policies, on=True) if host.disable_idle_d3 else ()
        self._users_known = users_known
        self._nodes: dict[PciAddress, Node] = {}
        self._rivals: dict[PciAddress, tuple[Rival, ...]] = {}
        self._below: Optional[dict[PciAddress, list[Facts]]] = None

    def of(self, view: DeviceView, facts: Facts) -> Position:
        """Return where a device stands, and whatever decides about its sleep."""
        device = self._node(facts)
        return Position(
            device=device,
            ports=self._ports(facts, device.ports),
            siblings=self._siblings(device),
            rule=view.rule,
            hold=view.hold,
            host=self._host,
            quirks=view.quirks,
            idle_policy=self._idle_policy,
            users_known=self._users_known,
        )

    def rivals(self, facts: Facts) -> tuple[Rival, ...]:
        """Return which lines of other tools' files write the power policy of a device or port."""
        if not self._policies:
            return ()
        known = self._rivals.get(facts.address)
        if known is None:
            ports = self._sysfs.ports(facts.address) if self._ports_matter else ()
            properties = facts.properties or recorded(facts.address)
            known = rivals_of(Card(facts, properties, tuple(self._above(ports))), self._policies)
            self._rivals[facts.address] = known
        return known

    def _above(self, ports: tuple[PciAddress, ...]) -> Iterator[Facts]:
        for address in ports:
            port = self._devices.get(address) or self._sysfs.facts(address, slot=False)
            if port is None or not port.bridge:
                return  # it was unplugged while we looked, or is a controller with buses of its own
            yield port

    def _ports(self, facts: Facts, ports: tuple[PciAddress, ...]) -> tuple[Node, ...]:
        """Return the ports; the label of a slot is known of what is plugged into it."""
        found, slot = [], facts.slot
        for port in self._above(ports):
            found.append(self._node(port, slot))
            slot = port.slot
        return tuple(found)

    def _siblings(self, device: Node) -> tuple[Node, ...]:
        if device.facts.root_port is None:
            return ()
        if self._below is None:
            self._below = self._by_root_port()
        below = self._below.get(device.facts.root_port, ())
        return tuple(self._node(it) for it in below if it.address != device.address)

    def _by_root_port(self) -> dict[PciAddress, list[Facts]]:
        """Return what is below each root port, directly or not; ports are not among it."""
        found: dict[PciAddress, list[Facts]] = {}
        for facts in self._devices.values():
            if facts.root_port is not None and not facts.bridge:
                found.setdefault(facts.root_port, []).append(facts)
        return found

    def _node(self, facts: Facts, slot: Optional[str] = None) -> Node:
        """Return one device, or with the label of its slot one port."""
        known = self._nodes.get(facts.address)
        return known or self._nodes.setdefault(facts.address, self._read(facts, slot))

    def _read(self, facts: Facts, slot: Optional[str]) -> Node:
        hold = self._holds.get(facts.address)
        held = hold is not None and hold.held
        opened_by = () if held else openers_of(facts, self._openers)
        power = self._sysfs.power(facts.address) or Power()
        bounds = self._sysfs.bounds(facts.address, slot)
        kept = power.control == "on" or bounds.d3cold_allowed is False
        return Node(
            facts=facts,
            power=power,
            bounds=bounds,
            ports=self._sysfs.ports(facts.address),
            opened_by=tuple(map(str, opened_by)),
            held=held,
            rivals=self.rivals(facts) if kept else (),
        )
