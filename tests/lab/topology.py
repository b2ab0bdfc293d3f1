# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which card sits in which port, as data; QEMU's arguments and the ACPI table follow from it.

QEMU's own devices stop at D3hot.  Linux takes a device to D3cold when ACPI names a power
resource for it, so each port that says so gets one in a generated SSDT.  Running QEMU is the
business of machine.py.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Power(Enum):
    """Whose power an ACPI power resource switches."""

    NOBODY = "nobody"  # D3hot is the deepest
    CARD = "card"  # the card goes to D3cold, the port stays awake
    PORT = "port"  # the port goes to D3cold with all that is below it


class Card(NamedTuple):
    name: str
    model: str
    options: str = ""


class Port(NamedTuple):
    """A PCIe root port at a place of the root bus, and the functions of the card in it."""

    slot: int
    function: int
    cards: tuple[Card, ...]
    power: Power = Power.NOBODY
    name: str = ""

    @property
    def id(self) -> str:
        """The name of the port in QEMU: its own, or that of its first card."""
        return self.name or f"port-{self.cards[0].name}"

    @property
    def place(self) -> str:
        return f"{self.slot:02x}.{self.function}"

    @property
    def acpi_name(self) -> str:
        return f"S{self.slot * 8 + self.function:02X}"


class Shape(NamedTuple):
    ports: tuple[Port, ...]
    on_root_bus: tuple[tuple[int, Card], ...] = ()
    on_vfio: tuple[str, ...] = ()


# VIRTIO's transitional devices have no PCIe capability; without the platform's IOMMU they would
# bypass it, and a guest could not be given one.
VIRTIO = "disable-legacy=on,iommu_platform=on"


# The emulator maps all memory anew, under its one lock, whenever a reset or an enable touches a
# card's regions. With a hundred cards that drowns the waits of the kernel, which hardware has.
LIGHT = ",vectors=0"


def _nic(name: str) -> Card:
    return Card(name, "e1000e")


def _disk(name: str) -> Card:
    return Card(name, "nvme", f"serial={name}")


def _rng(name: str, more: str = "") -> Card:
    return Card(name, "virtio-rng-pci", VIRTIO + more)


_STANDARD = (
    Port(4, 0, (_nic("nic"),), Power.CARD),
    Port(5, 0, (_disk("disk"),), Power.CARD),
    Port(6, 0, (_nic("spare"),), Power.CARD),
    Port(7, 0, (_rng("rng"),)),
    Port(8, 0, (_nic("warm"),)),
    Port(9, 0, (_nic("dual0"), _nic("dual1")), Power.PORT),
    Port(10, 0, (Card("edu", "edu"),)),
    Port(11, 0, (), name="bay"),
)
_STANDARD_ON_VFIO = ("nic", "disk", "spare", "rng", "warm", "dual0", "dual1")
_VGA = ((2, Card("vga", "virtio-vga", VIRTIO)),)

SHAPES = {
    "standard": Shape(_STANDARD, _VGA, _STANDARD_ON_VFIO),
    # A card put into an earlier slot: every bus number after it is another one.
    "shifted": Shape(
        (Port(3, 0, (_disk("newcomer"),)), *_STANDARD), _VGA, (*_STANDARD_ON_VFIO, "newcomer")
    ),
    "small": Shape(
        (_STANDARD[0], _STANDARD[1], _STANDARD[3], _STANDARD[7]), (), ("nic", "disk", "rng")
    ),
    "many": Shape(
        tuple(Port(4 + n // 8, n % 8, (_rng(f"rng{n:02}", LIGHT),)) for n in range(96)),
        (),
        tuple(f"rng{n:02}" for n in range(96)),
    ),
}


def places(shape: Shape) -> dict[str, str]:
    """Card name to its stable place: `PORT/FUNCTION`, or its own place on the root bus.

    Bus numbers are given at boot; these places are soldered.
    """
    found = {card.name: f"{slot:02x}.0" for slot, card in shape.on_root_bus}
    for port in shape.ports:
        if not port.cards:
            found[port.name] = f"{port.place}/0"
        for function, card in enumerate(port.cards):
            found[card.name] = f"{port.place}/{function}"
    return found


def arguments(shape: Shape) -> list[str]:
    """The shape as arguments to QEMU."""
    given: list[str] = []
    for slot, card in shape.on_root_bus:
        given += _card(card, f"bus=pcie.0,addr={slot:x}.0")
    shared = {port.slot for port in shape.ports if port.function}
    for chassis, port in enumerate(shape.ports, start=1):
        root_port = f"pcie-root-port,id={port.id},bus=pcie.0,addr={port.slot:x}.{port.function}"
        # Ports that could be hot-plugged are kept in D0 by Linux.
        root_port += f",chassis={chassis},io-reserve=0"
        root_port += ",hotplug=off" if port.power is Power.PORT else ""
        root_port += ",multifunction=on" if port.slot in shared else ""
        given += ["-device", root_port]
        together = ",multifunction=on" if len(port.cards) > 1 else ""
        for function, card in enumerate(port.cards):
            given += _card(card, f"bus={port.id},addr=0.{function}{together}")
    return given


def _card(card: Card, where: str) -> list[str]:
    options = f",{card.options}" if card.options else ""
    if card.model != "nvme":
        return ["-device", f"{card.model},id={card.name},{where}{options}"]
    backend = f"driver=null-co,node-name={card.name}-medium,size=67108864,read-zeroes=on"
    device = f"nvme,id={card.name},{where},drive={card.name}-medium{options}"
    return ["-blockdev", backend, "-device", device]


def ssdt(shape: Shape) -> str:
    """ACPI source text with the power resources of a shape; empty if it has none."""
    scopes = "".join(_scope(port) for port in shape.ports if port.power is not Power.NOBODY)
    if not scopes:
        return ""
    return f'DefinitionBlock ("", "SSDT", 2, "VFIOPW", "LABPOWER", 1)\n{{\n{scopes}}}\n'


def _scope(port: Port) -> str:
    state, resource = f"ON{port.acpi_name[1:]}", f"PR{port.acpi_name[1:]}"
    place = f"\\_SB.PCI0.{port.acpi_name}"
    needs = f"""
        Name (_PR0, Package () {{ {resource} }})
        Name (_PR3, Package () {{ {resource} }})
        Name (_S0W, 4)"""
    return f"""
    External ({place}, DeviceObj)
    Scope ({place})
    {{
        Name ({state}, 1)
        PowerResource ({resource}, 0, 0)
        {{
            Method (_STA, 0, NotSerialized) {{ Return ({state}) }}
            Method (_ON, 0, Serialized) {{ {state} = 1 }}
            Method (_OFF, 0, Serialized) {{ {state} = 0 }}
        }}{"" if port.power is Power.CARD else needs}
    }}
{_of_card(place, needs) if port.power is Power.CARD else ""}"""


def _of_card(place: str, needs: str) -> str:
    """Newer QEMUs describe the card in a port, too; then it gets no second description."""
    return f"""
    External ({place}.S00, DeviceObj)
    If (CondRefOf ({place}.S00))
    {{
        Scope ({place}.S00)
        {{{needs}
        }}
    }}
    Else
    {{
        Scope ({place})
        {{
            Device (CARD)
            {{
            Name (_ADR, 0){needs}
            }}
        }}
    }}
"""
