# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices go together: released and taken as a whole, reset together, woken together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..words.address import PciAddress
from ..words.facts import Facts

OWN_RESETS = frozenset(("flr", "af_flr", "pm"))
"""Reset methods that reach one function only; what has none is reset with its slot or bus."""

HARMLESS_DRIVERS = ("pci-stub", "pcieport")
"""Drivers that do no DMA of their own, so that VFIO accepts them in a group."""

Devices = Mapping[PciAddress, Facts]
Set = tuple[PciAddress, ...]


def unit(address: PciAddress, devices: Devices) -> Set:
    """Return what is released and taken with a device: groups and reset sets, transitively."""
    found: set[PciAddress] = set()
    ahead = [address]
    while ahead:
        member = ahead.pop()
        found.add(member)
        together = iommu_unit(member, devices) + reset_set(member, devices)
        ahead += [other for other in together if other not in found]
    return tuple(sorted(found))


def iommu_unit(address: PciAddress, devices: Devices) -> Set:
    """Return the functions of the IOMMU group; its bridges are the kernel's business."""
    facts = devices.get(address)
    if facts is None or facts.iommu_group is None:
        return (address,)
    group = (
        other.address
        for other in devices.values()
        if other.iommu_group == facts.iommu_group and not other.bridge
    )
    return _with(address, group)


def host_drivers(address: PciAddress, devices: Devices) -> dict[PciAddress, str]:
    """Return who else of the IOMMU group is on a host driver: the group is not viable then."""
    return {
        other: devices[other].driver or ""
        for other in iommu_unit(address, devices)
        if other != address
        and not devices[other].vfio
        and devices[other].driver not in (None, *HARMLESS_DRIVERS)
    }


def reset_set(address: PciAddress, devices: Devices) -> Set:
    """Return what is reset with a device: all of its slot or bus that cannot reset alone."""
    facts = devices.get(address)
    if facts is None or facts.bridge or _resets_alone(facts):
        return (address,)
    neighbours = (
        other.address
        for other in devices.values()
        if _same_bus(facts, other) and not other.bridge and not _resets_alone(other)
    )
    return _with(address, neighbours)


def power_set(address: PciAddress, devices: Devices) -> Set:
    """Return all below the same root port: from D3cold they wake together, switches or not."""
    facts = devices.get(address)
    if facts is None or facts.root_port is None:
        return (address,)
    below = (it for it in devices.values() if it.root_port == facts.root_port and not it.bridge)
    return _with(address, (other.address for other in below))


def _resets_alone(facts: Facts) -> bool:
    return not OWN_RESETS.isdisjoint(facts.reset_methods)


def _same_bus(one: Facts, other: Facts) -> bool:
    """Tell whether two share a slot or, behind one port, a bus."""
    if one.address[:2] != other.address[:2]:
        return False
    if one.port is not None and one.port == other.port:
        return True
    return one.address.device == other.address.device


def _with(address: PciAddress, others: Iterable[PciAddress]) -> Set:
    return tuple(sorted({address, *others}))
