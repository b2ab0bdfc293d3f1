# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a device does not reach D3cold: what is missing, and what is in the way.

A device comes there in one of two ways: by a power resource of its own, or below a port that has
one and suspends. A port suspends only when all below it do, and when the kernel lets it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from ..words.allowance import Allowance
from ..words.quirk import Kind
from ..words.rival import D3COLD_ALLOWED, POWER_CONTROL, written_by
from ..words.why import Node, Reason
from .position import Position, knob, standing

FIXED = ("no-power-management", "no-platform-power", "port-kept-awake")
"""Reasons that nobody can do anything about while the host runs; they bound what is reachable."""


def not_deeper(position: Position) -> tuple[Reason, ...]:
    """Return what is between a device and D3cold; nothing where it is there."""
    if position.asleep and position.device.power.power_state == "D3cold":
        return ()
    if position.unpowered:
        return (_unpowered(position),)
    return tuple(_found(position))


def best(position: Position, reasons: tuple[Reason, ...]) -> Optional[str]:
    """Return the deepest state that a device can reach here, whatever keeps it from it now."""
    if position.device.power.power_state == "unknown":
        return None
    codes = {reason.code for reason in reasons}
    if "no-power-management" in codes:
        return "D0"
    return "D3cold" if codes.isdisjoint(FIXED) else "D3hot"


def _found(position: Position) -> Iterator[Reason]:
    if position.device.bounds.d3cold_allowed is False:
        yield _d3cold_forbidden(position)
    if position.device.bounds.switched:
        return
    way = _way(position.ports)
    if not way:
        yield _no_platform_power(position)
        return
    for port in way:
        yield from _port(port)
    for sibling in position.siblings:
        if way[-1].address in sibling.ports:
            yield from _sibling(sibling)


def awake_beside(position: Position) -> Iterator[Reason]:
    """Yield the devices below the very same port that are awake."""
    for sibling in position.siblings:
        if sibling.awake and sibling.ports[:1] == position.device.ports[:1]:
            yield _sibling_awake(sibling)


def _way(ports: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return the ports up to the first one that the platform can switch off."""
    for index, port in enumerate(ports):
        if port.bounds.switched:
            return ports[: index + 1]
    return ()


def _unpowered(position: Position) -> Reason:
    message = f"{position.address} is suspended and stays in D0: it has no PCI power management"
    hint = "Nothing can be saved here: declare nothing for it"
    return Reason("no-power-management", position.address, message, hint)


def _d3cold_forbidden(position: Position) -> Reason:
    quirk = next((it for it in position.quirks if it.kind is Kind.NO_D3COLD), None)
    by = written_by(position.device.rivals, D3COLD_ALLOWED, "0")
    perhaps = "" if _manageable(position) else ", as for a device without PCI power management"
    message = f"d3cold_allowed of {position.address} reads 0{by or perhaps}"
    path = knob(position.address, D3COLD_ALLOWED)
    hint = f"If it takes D3cold well: echo 1 > {path}, which wakes it"
    if position.rule is not None and position.rule.policy.d3cold is Allowance.FORBID:
        message = f"d3cold_allowed of {position.address} reads 0, as is declared"
        hint = "Leave it; or, if it takes D3cold well, declare d3cold: allow"
    if quirk is not None:
        message += f", as its quirk asks ({quirk.reason}, says {quirk.source})"
        hint = "Leave it: this device does not take D3cold"
    return Reason("d3cold-not-allowed", position.address, message, hint)


def _manageable(position: Position) -> bool:
    """Tell whether it was seen that a device has power management; awake, it hardly shows."""
    return position.asleep or "pm" in position.device.facts.reset_methods


def _no_platform_power(position: Position) -> Reason:
    message = (
        f"ACPI has no power resource (_PR3) for {position.address} or a port above it:"
        " nothing can cut its power"
    )
    hint = "Expect asleep and not d3cold here; another slot of this host may be wired otherwise"
    return Reason("no-platform-power", position.address, message, hint)


def _port(port: Node) -> Iterator[Reason]:
    address = port.address
    if port.bounds.may_sleep is False or (port.bounds.may_sleep is None and port.bounds.hotplug):
        because = (
            "cards can be plugged in below it" if port.bounds.hotplug else "it does not trust it to"
        )
        message = f"the kernel keeps port {address} awake: {because}"
        hint = (
            "Expect asleep and not d3cold here; where the firmware can switch hot-plug off for the"
            " slot, the port may sleep. pcie_port_pm=force is for those who test that"
        )
        yield Reason("port-kept-awake", address, message, hint)
    elif port.power.control == "on":
        by = written_by(port.rivals, POWER_CONTROL, "on")
        message = f"power/control of port {address} reads on{by}: it must not be suspended"
        hint = f"To let it sleep: echo auto > {knob(address, POWER_CONTROL)}"
        yield Reason("port-control-on", address, message, hint)
    if port.bounds.d3cold_allowed is False:
        by = written_by(port.rivals, D3COLD_ALLOWED, "0")
        message = f"d3cold_allowed of port {address} reads 0{by}"
        hint = f"To allow it: echo 1 > {knob(address, D3COLD_ALLOWED)}, which wakes all below it"
        yield Reason("port-d3cold-not-allowed", address, message, hint)


def _sibling_awake(sibling: Node) -> Reason:
    message = f"{sibling.address} below the same port is awake too, {_doing(sibling)}"
    return Reason("sibling-awake", sibling.address, message, _let_sleep(sibling))


def _sibling(sibling: Node) -> Iterator[Reason]:
    """Yield how another device below the same port keeps that port from D3cold."""
    address = sibling.address
    if sibling.awake:
        yield _sibling_awake(sibling)
    if sibling.bounds.d3cold_allowed is False:
        by = written_by(sibling.rivals, D3COLD_ALLOWED, "0")
        message = f"d3cold_allowed of {address} below the same port reads 0{by}"
        hint = f"If it takes D3cold well: echo 1 > {knob(address, D3COLD_ALLOWED)}"
        yield Reason("sibling-d3cold-not-allowed", address, message, hint)


def _doing(sibling: Node) -> str:
    if sibling.opened_by:
        return f"in use by {' and '.join(sibling.opened_by)}"
    if sibling.held:
        return f"{standing(sibling)}, held by the helper"
    if sibling.power.control != "on":
        return standing(sibling)
    by = written_by(sibling.rivals, POWER_CONTROL, "on")
    return f"{standing(sibling)}, its power/control reads on{by}"


def _let_sleep(sibling: Node) -> str:
    auto = f"echo auto > {knob(sibling.address, POWER_CONTROL)}"
    if sibling.opened_by:
        return "It may sleep when that is over, or was shut down"
    if sibling.held:
        return f"Look at: vfio-powerctl why {sibling.address}"
    if sibling.facts.driver is None:
        return f"To let it sleep: {auto}; or bind it to vfio-pci and declare it too"
    if not sibling.facts.vfio:
        return f"Bind it to vfio-pci too, or have its driver let it sleep: {auto}"
    if sibling.power.control == "on":
        return f"To let it sleep: {auto}"
    return "Declare it too, in mode entry for example"
