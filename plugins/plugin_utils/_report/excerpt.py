# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report keeps of an answer of low_power_info, and what it finds in it by itself."""

from __future__ import annotations

from collections.abc import Mapping

from .codes import DRIFT, UNKNOWN
from .rows import KIBIBYTE, RESERVED, device_row, fitted, host_row
from .values import Document, flag, items, mapping

ROOM = KIBIBYTE - RESERVED
ROOT_HINT = "Set ansible_become to true"
OLD_HINT = "Use the modules of this collection, or update it on the controller"


def excerpt(answer: Mapping[str, object], looked_at: str) -> Document:
    """Return the row of a host that answered, with less than a kibibyte for each device."""
    host = mapping(answer.get("host"))
    row = host_row(
        {
            "looked_at": looked_at,
            "kernel": host.get("kernel"),
            "disable_idle_d3": host.get("disable_idle_d3"),
            "helper": answer.get("helper"),
            "drift": _of_the_host(answer) + _limits(answer),
        }
    )
    devices = (mapping(each) for each in items(answer.get("devices")))
    return {**row, "devices": [fitted(device_row(_flat(it)), ROOM) for it in devices]}


def _flat(device: Mapping[str, object]) -> Document:
    declared = mapping(device.get("declared"))
    holders = [mapping(lease).get("holder") for lease in items(device.get("lease"))]
    return {
        **device,
        **{name: declared.get(name) for name in ("rule", "mode", "reserve", "expect")},
        "lease": holders,
        "quarantined": mapping(device.get("quarantined")).get("code"),
    }


def _of_the_host(answer: Mapping[str, object]) -> list[object]:
    """Return the drift that no shown device has: of the host, of rules, of devices left out."""
    shown = {mapping(each).get("address") for each in items(answer.get("devices"))}
    told = items(answer.get("drift"))
    return [each for each in told if mapping(each).get("address") not in shown]


def _limits(answer: Mapping[str, object]) -> list[object]:
    """Say why it is not known whether a host is as declared."""
    if flag(answer.get("drifted")) is not None:
        return []
    if answer.get("limited") is True:
        message = "without root neither the declaration nor the helper can be seen"
        return [own("not-root", message, ROOT_HINT)]
    message = "the answer does not say whether the devices are as declared"
    return [own("not-told", message, OLD_HINT)]


def own(code: str, message: str, hint: str = "", severity: str = UNKNOWN) -> Document:
    """Return what the report itself finds, in the form of drift."""
    return {"code": code, "severity": severity, "message": message, "hint": hint}


def differing(declared: Mapping[str, object]) -> list[Document]:
    """Return what low_power found in check mode against the variables of the host."""
    if declared.get("applied") is not False:
        return []  # it was applied, and what was seen is from after that or tells of it
    found = [dict(mapping(each)) for each in items(declared.get("drift"))]
    if declared.get("changed") is True:
        found.append(own("would-change", _would_change(declared), CONVERGE, DRIFT))
    return found


CONVERGE = "Run the playbook vfio.power.converge; with --check --diff it shows how"


def _would_change(declared: Mapping[str, object]) -> str:
    devices = (mapping(each) for each in items(declared.get("devices")))
    changed = [str(each.get("address")) for each in devices if each.get("changed") is True]
    if not changed:
        return "converging would change the rules that are stored here, and no device"
    more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
    return f"converging would change {', '.join(changed[:4])}{more}"
