# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of an answer of low_power in check mode, beside what was seen of the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .codes import DRIFT, SEVERITIES
from .rows import KIBIBYTE, NOT_TOLD, drift_rows, drift_within, same, size
from .values import Document, flag, items, mapping, text

ADDRESS = text(16)
REASON = text(KIBIBYTE)


def comparison(answer: Mapping[str, object], seen: object) -> Document:
    """Return what differs and was not seen already, so little that both fit in a kibibyte."""
    kept: Document = {name: True for name in ("failed", "unreachable") if answer.get(name)}
    if kept:
        kept["msg"] = REASON(answer.get("msg")) or "no reason was given"
    if flag(answer.get("applied")) is None:
        return {**kept, "changed": False}  # it failed before anything was compared
    changed = [
        {"address": ADDRESS(device.get("address")), "changed": True}
        for device in map(mapping, items(answer.get("devices")))
        if device.get("changed") is True
    ]
    return {
        **kept,
        "applied": answer["applied"],
        "changed": answer.get("changed") is True,
        "devices": changed,
        "drift": list(_unseen(answer, mapping(seen), changed)),
    }


def _unseen(
    answer: Mapping[str, object], seen: Mapping[str, object], changed: list[Document]
) -> Iterator[Document]:
    """Yield the drift that was not seen, the gravest first, as far as there is room for it."""
    rows = {row.get("address"): row for row in map(mapping, items(seen.get("devices")))}
    told = {address: drift_rows(row.get("drift")) for address, row in rows.items()}
    of_host = drift_rows(seen.get("drift"))
    room = {address: KIBIBYTE - size(row) for address, row in rows.items()}
    left_out: list[object] = []
    for device in changed:
        room[device["address"]] = room.get(device["address"], KIBIBYTE) - size(device)
    for address, row in sorted(_drift(answer), key=lambda it: SEVERITIES.index(it[1]["severity"])):
        if any(same(row, known) for known in told.get(address, of_host)):
            continue
        found = drift_within({"address": address, **row}, room.get(address, KIBIBYTE))
        if found is not None:
            if address is not None:
                room[address] = room.get(address, KIBIBYTE) - size(found)
            yield found
        elif row["severity"] == DRIFT:
            left_out.append(address)
    if left_out:  # no host may pass that is not as declared
        yield {"address": None, **_too_much(left_out)}


def _too_much(addresses: list[object]) -> Document:
    return {
        "code": NOT_TOLD,
        "severity": DRIFT,
        "message": f"{len(addresses)} more differences than can be kept of its devices, the first"
        f" at {addresses[0]}",
        "hint": "Run vfio.power.converge with --check --diff, which shows all",
    }


def _drift(answer: Mapping[str, object]) -> Iterator[tuple[object, Document]]:
    for each in map(mapping, items(answer.get("drift"))):
        for row in drift_rows([each]):
            yield ADDRESS(each.get("address")), row
