# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCI devices and the host as sysfs shows them, read without waking anything.

Only attributes that the PCI and PM cores answer from memory are read here. Never add
``config``, ``current_link_*``, ``*_link_width``, ``vpd``, ``rom`` or ``resourceN``: reading
one of those wakes a device that is in D3cold. The one exception is ``answers``, for a device
that is held awake. What the udev database knows is in udev.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from typing import Optional

from ..words.address import PciAddress
from ..words.allowance import D3COLD, RUNTIME_PM, HostPolicy
from ..words.facts import Facts, HostFacts, Identity, Power
from ..words.why import Bounds
from .attributes import (
    is_readable,
    names_in,
    number_of,
    optional_number,
    switch_of,
    target_of,
    text_of,
)

HEADER = 64  # bytes; not one word of it alone: a healthy VF has all ones for its IDs
_ID, _BYTE = "0000([0-9a-f]{4})", "([0-9a-f]{2})"
_MODALIAS = re.compile(f"pci:v{_ID}d{_ID}sv{_ID}sd{_ID}bc{_BYTE}sc{_BYTE}i{_BYTE}")
_HOTPLUG_SERVICE = re.compile(r".*:pcie[0-9a-f]04")  # of a port, as its driver names them
_BRIDGE_CLASS, _DISPLAY_CLASS = "0604", "03"


class Sysfs:
    """A host's /sys, and which nodes there are below its /dev."""

    def __init__(self, root: str = "/sys", dev: str = "/dev") -> None:
        self._root = root
        self._dev = dev

    def devices(self, around: Optional[Iterable[PciAddress]] = None) -> dict[PciAddress, Facts]:
        """Return every PCI device, in bus order.

        With ``around`` only these, and whoever shares a group, slot or port with one of them.
        """
        addresses = self._addresses() if around is None else self._with_neighbours(around)
        labels = self.slots()
        found = (self._facts(address, labels) for address in addresses)
        return {facts.address: facts for facts in found if facts is not None}

    def facts(self, address: PciAddress, *, slot: bool = True) -> Optional[Facts]:
        """Return one device, or None where no device has this address.

        Its slot's label is found by a look at every slot; without ``slot`` it is left out.
        """
        if not os.path.isdir(self._path(address)):
            return None
        return self._facts(address, self.slots() if slot else {})

    def cdev(self, address: PciAddress) -> Optional[str]:
        """Return the name of the device's own node ("vfio3"), or None."""
        return _cdev(f"{self._path(address)}/vfio-dev")

    def power(self, address: PciAddress) -> Optional[Power]:
        """Return what a device does at this moment, or None where it is not there."""
        path = self._path(address)
        power_state = text_of(f"{path}/power_state", "unknown")
        if power_state == "unknown" and not os.path.isdir(path):
            return None
        return Power(
            power_state=power_state,
            runtime_status=text_of(f"{path}/power/runtime_status", "unknown"),
            control=text_of(f"{path}/power/control", "unknown"),
            active_ms=number_of(f"{path}/power/runtime_active_time", 0),
            suspended_ms=number_of(f"{path}/power/runtime_suspended_time", 0),
        )

    def answers(self, address: PciAddress) -> bool:
        """Tell whether a device answers at all: one that is gone reads as all ones.

        Only for a device that somebody holds awake; this is what would wake it.
        """
        try:
            with open(f"{self._path(address)}/config", "rb", buffering=0) as config:
                return config.read(HEADER) != b"\xff" * HEADER
        except OSError:
            return True  # nobody can tell

    def d3cold_allowed(self, address: PciAddress) -> Optional[bool]:
        """Tell whether the kernel may choose D3cold for a device; None where nobody says so."""
        return switch_of(f"{self._path(address)}/d3cold_allowed")

    def policy(self, address: PciAddress) -> HostPolicy:
        """Return what the host allows a device, as it reads now."""
        path = self._path(address)
        return HostPolicy(
            RUNTIME_PM.meaning(text_of(f"{path}/{RUNTIME_PM.attribute}")),
            D3COLD.meaning(text_of(f"{path}/{D3COLD.attribute}")),
        )

    def ports(self, address: PciAddress) -> tuple[PciAddress, ...]:
        """Return the ports above a device, the nearest first, by its path in the tree."""
        return _ports(self._path(address))

    def bounds(self, address: PciAddress, slot: Optional[str] = None) -> Bounds:
        """Return what bounds a device's sleep; ``slot`` is the label of the slot below a port."""
        path = self._path(address)
        names = names_in(path)
        return Bounds(
            d3cold_allowed=self.d3cold_allowed(address),
            switched=os.path.isdir(f"{path}/firmware_node/power_resources_D3hot"),
            may_sleep=is_readable(f"{path}/power/autosuspend_delay_ms"),
            hotplug=self._takes_cards(slot) or any(map(_HOTPLUG_SERVICE.fullmatch, names)),
            virtual_functions=sum(name.startswith("virtfn") for name in names),
            usage=optional_number(f"{path}/power/runtime_usage"),
        )

    def _takes_cards(self, slot: Optional[str]) -> bool:
        """Tell whether a slot can be switched; what is in that file would wake the port."""
        return slot is not None and os.path.exists(f"{self._root}/bus/pci/slots/{slot}/power")

    def host(self) -> HostFacts:
        """Return what the host offers to VFIO."""
        iommu = os.path.exists(f"{self._dev}/iommu")
        return HostFacts(
            kernel=os.uname().release,
            vfio=iommu or os.path.exists(f"{self._dev}/vfio/vfio"),
            iommu=bool(names_in(f"{self._root}/kernel/iommu_groups")),
            iommufd=iommu and os.path.isdir(f"{self._dev}/vfio/devices"),
            disable_idle_d3=switch_of(f"{self._root}/module/vfio_pci/parameters/disable_idle_d3"),
        )

    def slots(self) -> Mapping[tuple[int, int, int], str]:
        """Return the physical slot labels by domain, bus and device."""
        folder = f"{self._root}/bus/pci/slots"
        labels = {}
        for label in names_in(folder):
            place = _parsed(text_of(f"{folder}/{label}/address") + ".0")
            if place is not None:
                labels[place[:3]] = label
        return labels

    def _addresses(self) -> list[PciAddress]:
        return sorted(_addresses_of(names_in(f"{self._root}/bus/pci/devices")))

    def _with_neighbours(self, addresses: Iterable[PciAddress]) -> list[PciAddress]:
        found: set[PciAddress] = set()
        ahead = set(addresses)
        while ahead:
            address = ahead.pop()
            found.add(address)
            ahead |= self._neighbours(address) - found
        return sorted(found)

    def _neighbours(self, address: PciAddress) -> set[PciAddress]:
        path = self._path(address)
        names = names_in(f"{path}/iommu_group/devices")
        ports = _ports(path)
        if ports:
            return _addresses_of(names) | set(self._below(self._path(ports[-1])))
        functions = (str(address._replace(function=number)) for number in range(8))
        names += [name for name in functions if os.path.isdir(f"{path}/../{name}")]
        return _addresses_of(names)

    def _below(self, folder: str) -> Iterator[PciAddress]:
        """Yield what is below a port, also beyond the ports of a switch."""
        for address in _addresses_of(names_in(folder)):
            yield address
            yield from self._below(f"{folder}/{address}")

    def _path(self, address: PciAddress) -> str:
        return f"{self._root}/bus/pci/devices/{address}"

    def _facts(
        self, address: PciAddress, labels: Mapping[tuple[int, int, int], str]
    ) -> Optional[Facts]:
        path = self._path(address)
        identity = _identity(path)
        if identity is None:
            return None  # it was unplugged while we looked
        group = target_of(f"{path}/iommu_group")
        vfio = os.path.isdir(f"{path}/vfio-dev")
        ports = _ports(path)
        return Facts(
            address=address,
            identity=identity,
            driver=target_of(f"{path}/driver") or None,
            vfio=vfio,
            cdev=_cdev(f"{path}/vfio-dev") if vfio else None,
            iommu_group=int(group) if group.isdecimal() else None,
            numa_node=number_of(f"{path}/numa_node", -1),
            slot=labels.get(address[:3]),
            boot_vga=_is_display(identity) and text_of(f"{path}/boot_vga") == "1",
            port=ports[0] if ports else None,
            root_port=ports[-1] if ports else None,
            reset_methods=tuple(text_of(f"{path}/reset_method").split()),
            bridge=_is_bridge(path, identity),
        )


def _identity(path: str) -> Optional[Identity]:
    """Return all of an identity from one attribute; elsewhere it is spread over five."""
    found = _MODALIAS.fullmatch(text_of(f"{path}/modalias").lower())
    if found is None:
        return None
    vendor, device, subsystem_vendor, subsystem_device, *code = found.groups()
    return Identity(vendor, device, subsystem_vendor, subsystem_device, "".join(code))


def _is_display(identity: Identity) -> bool:
    return identity.class_code.startswith(_DISPLAY_CLASS)


def _ports(path: str) -> tuple[PciAddress, ...]:
    """Return the ports above a device, the nearest first: the folders that its own one is in.

    A controller with buses of its own (VMD) is above its buses, and is no port.
    """
    try:
        above = reversed(os.readlink(path).split("/")[:-1])
    except OSError:
        return ()
    parsed = takewhile(lambda port: port is not None, map(_parsed, above))
    return tuple(port for port in parsed if port is not None)


def _is_bridge(path: str, identity: Identity) -> bool:
    if identity.class_code.startswith(_BRIDGE_CLASS):
        return True
    # Only bridges have this attribute. Its value would come from config space, so it stays unread.
    return os.path.exists(f"{path}/secondary_bus_number")


def _cdev(folder: str) -> Optional[str]:
    """Return "vfio3" where the device has a node of its own: only then it has a device number."""
    names = names_in(folder)
    if not names or not os.path.exists(f"{folder}/{names[0]}/dev"):
        return None
    return names[0]


def _addresses_of(names: Iterable[str]) -> set[PciAddress]:
    """Return which of a folder's names are addresses; a port's services have one colon more."""
    parsed = (_parsed(name) for name in names if name.count(":") == 2)
    return {it for it in parsed if it is not None}


def _parsed(name: str) -> Optional[PciAddress]:
    try:
        return PciAddress.parse(name)
    except ValueError:
        return None
