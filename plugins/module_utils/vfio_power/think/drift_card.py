# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the declared card is there, and on a driver that lets it be held.

Each check returns the drift it finds, or None; drift.py has their order.
"""

from __future__ import annotations

from typing import Optional

from ..words.report import Drift
from .codes import found
from .drift_case import Case
from .resolve import is_stranger


def device_missing(case: Case) -> Optional[Drift]:
    """Find a declared address with nothing at it."""
    if case.known is None or case.facts is not None:
        return None
    message = f"{case.subject} is declared and not on the PCI bus"
    return found("device-missing", message, "Look at slot and power, or remove it: state: absent")


def identity_changed(case: Case) -> Optional[Drift]:
    """Find another card where the declared one was: a new card shifts bus numbers."""
    known, facts = case.known, case.facts
    if known is None or facts is None or not is_stranger(known, facts):
        return None
    message = (
        f"{case.address} holds {facts.identity} where {known.identity} is declared;"
        " it is left alone"
    )
    if case.rule is not None and case.rule.selector == case.address:
        hint = "If the new card is meant, remove the rule (state: absent) and declare it again"
    else:
        hint = (
            "If the new card is meant, exclude the address in one run with purge: true,"
            " and run the same again without the exclusion"
        )
    return found("identity-changed", message, hint)


def not_bound(case: Case) -> Optional[Drift]:
    """Find a device that the helper could not even open."""
    if case.facts is None or case.facts.vfio:
        return None
    if case.facts.bridge:
        message = f"{case.subject} is a bridge, which no VFIO driver takes"
        return found("not-bound", message, "Name the devices behind it instead")
    driver = case.facts.driver
    bound = f"on the driver {driver}" if driver else "on no driver"
    message = f"{case.subject} is {bound}, not on a VFIO driver"
    hint = f"Bind it, for example: driverctl set-override {case.address} vfio-pci"
    return found("not-bound", message, hint)


def group_not_viable(case: Case) -> Optional[Drift]:
    """Find the neighbours because of which VFIO refuses the whole IOMMU group."""
    if case.rule is None or not case.rule.holds or case.held or not case.group_drivers:
        return None
    others = ", ".join(f"{address} ({driver})" for address, driver in case.group_drivers.items())
    message = f"{case.subject} shares its IOMMU group with devices on host drivers: {others}"
    bind = "Bind them to vfio-pci too, or leave them unbound"
    return found("group-not-viable", message, f"{bind}; then: vfio-powerctl reclaim {case.address}")
