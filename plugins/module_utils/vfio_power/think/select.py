# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices a selector means, and what it is called when nobody named it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Optional

from ..words.address import PciAddress
from ..words.declaration import Declaration, Match, Selector
from ..words.facts import Facts, Identity


def fits(match: Match, facts: Facts) -> bool:
    """Tell whether a device has every property asked for, on whatever driver it is."""
    return (
        fits_identity(match, facts.identity)
        and _among(facts.driver, match.driver)
        and _among(facts.iommu_group, match.iommu_group)
        and _among(facts.numa_node, match.numa_node)
        and _among(facts.slot, match.slot)
        and match.boot_vga in (None, facts.boot_vga)
        and _has_properties(facts.properties, match.property)
    )


def fits_identity(match: Match, identity: Identity) -> bool:
    """Tell whether a card fits as far as its identity goes: all that is known of a gone one."""
    return (
        _among(identity.vendor, match.vendor)
        and _among(identity.device, match.device)
        and _among(identity.subsystem_vendor, match.subsystem_vendor)
        and _among(identity.subsystem_device, match.subsystem_device)
        and (match.class_ is None or identity.class_code.startswith(match.class_))
    )


def selects(selector: Selector, facts: Facts) -> bool:
    """Tell whether a selector of either kind means the device, on whatever driver it is."""
    if isinstance(selector, PciAddress):
        return selector == facts.address
    return fits(selector, facts)


def asks_udev(declaration: Declaration, selectors: Sequence[Selector] = ()) -> bool:
    """Tell whether anything is selected by a property, which only udev knows."""
    declared = (*(rule.selector for rule in declaration.rules), *declaration.exclude)
    return any(isinstance(it, Match) and it.property for it in (*declared, *selectors))


def describe(selector: Selector) -> str:
    """Return a selector in one line; it is the default name of a rule."""
    if isinstance(selector, PciAddress):
        return str(selector)
    asked = selector._asdict()
    properties = asked.pop("property") or {}
    words = [
        f"{key.rstrip('_')}={_spelled(value)}" for key, value in asked.items() if value is not None
    ]
    words += [f"{name}={pattern}" for name, pattern in sorted(properties.items())]
    return " ".join(words)


def _among(value: object, wanted: Optional[tuple[object, ...]]) -> bool:
    return wanted is None or value in wanted


def _has_properties(properties: Mapping[str, str], wanted: Optional[Mapping[str, str]]) -> bool:
    return all(
        name in properties and fnmatchcase(properties[name], pattern)
        for name, pattern in (wanted or {}).items()
    )


def _spelled(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return str(value).lower()
