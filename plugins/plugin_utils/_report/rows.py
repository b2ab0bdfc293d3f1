# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields that a report keeps, each with what makes its value safe and short.

A field that is not listed here never gets into a report. That keeps command lines out, and a
device below a kibibyte.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Optional

from .codes import SEVERITIES, UNKNOWN
from .values import Clean, Document, flag, items, mapping, record, several, share, text, whole

KIBIBYTE = 1024
"""What the controller stores of a device takes at most so many bytes, of which some"""
RESERVED = 48
"""are left to say that converging would change it."""

ASLEEP, AWAKE, IN_USE, NOT_KNOWN = "asleep", "awake", "in-use", "unknown"
STATES = (ASLEEP, AWAKE, IN_USE, NOT_KNOWN)

NOT_TOLD = "not-told"
"""The code of a difference that has none, or of those that there is no room for."""

# A command is what the kernel calls a process, at most 15 bytes. It is no command line.
COMMAND = text(15)
MESSAGE, HINT = 220, 200

DRIFT: Mapping[str, Clean] = {
    "code": text(24),
    "severity": text(8),
    "message": text(MESSAGE),
    "hint": text(HINT),
}
DEVICE: Mapping[str, Clean] = {
    "address": text(16),
    "model": text(56),
    "vendor": text(4),
    "device": text(4),
    "class": text(6),
    "driver": text(20),
    "rule": text(40),
    "mode": text(17),
    "held": flag,
    "engaged": text(17),
    "power_state": text(8),
    "runtime_status": text(10),
}
# These are left out where there is nothing to say.
NOTHING: tuple[object, ...] = (None, "", [])
ON_OCCASION: Mapping[str, Clean] = {
    "reserve": lambda value: flag(value) or None,
    "expect": text(6),
    "active_share": share,
    "wakes": record(total=whole, foreign=whole, last=text(20)),
    "waiting_until": text(20),
    "opened_by": several(record(pid=whole, command=COMMAND), 2),
    "lease": several(text(40), 1),
    "quarantined": text(11),
}
HOST: Mapping[str, Clean] = {
    "looked_at": text(20),
    "kernel": text(64),
    "disable_idle_d3": flag,
    "helper": record(installed=flag, running=flag, version=text(20), paused=text(80)),
}


def device_row(given: Mapping[str, object]) -> Document:
    """Return what a report keeps of a device."""
    row: Document = {name: clean(given.get(name)) for name, clean in DEVICE.items()}
    row["state"] = _state(given)
    for name, clean in ON_OCCASION.items():
        value = clean(given.get(name))
        if value not in NOTHING:
            row[name] = value
    row["drift"] = drift_rows(given.get("drift"))
    return row


def drift_rows(given: object) -> list[Document]:
    """Return drift; one of an unknown severity is not taken lightly."""
    return [_drift_row(mapping(each)) for each in items(given) if mapping(each)]


def _drift_row(given: Mapping[str, object]) -> Document:
    row = {name: clean(given.get(name)) or "" for name, clean in DRIFT.items()}
    row["code"] = row["code"] or NOT_TOLD
    if row["severity"] not in SEVERITIES:
        row["severity"] = UNKNOWN
    return row


def host_row(given: Mapping[str, object]) -> Document:
    """Return what a report keeps of a host, with its devices."""
    row: Document = {name: clean(given.get(name)) for name, clean in HOST.items()}
    row["drift"] = drift_rows(given.get("drift"))
    row["devices"] = [device_row(mapping(each)) for each in items(given.get("devices"))]
    return row


def _state(given: Mapping[str, object]) -> str:
    """Return where a device is, in the words of `vfio-powerctl list`."""
    if given.get("opened_by"):
        return IN_USE
    power, runtime = given.get("power_state"), given.get("runtime_status")
    if power == "D0":
        return AWAKE
    return ASLEEP if runtime == "suspended" and power in ("D3hot", "D3cold") else NOT_KNOWN


def fitted(row: Document, room: int = KIBIBYTE) -> Document:
    """Return a device that takes at most so many bytes, by saying less of its drift.

    The last thing that goes is the next step of the gravest row: a step that lacks its end leads
    nowhere.
    """
    rows = row["drift"]
    gravest = min(rows, key=lambda it: SEVERITIES.index(it["severity"]), default=None)
    for first, others in zip(SHORTER, SHORTER_YET):
        drift = [_cut(it, *(first if it is gravest else others)) for it in rows]
        if size({**row, "drift": drift}) <= room:
            return {**row, "drift": drift}
    if gravest is None:
        return row
    alone = drift_within(gravest, room - size({**row, "drift": []}))
    return {**row, "drift": [alone or _cut(gravest, *SHORTER_YET[-1])]}


SHORTER = (
    (MESSAGE, HINT),
    (200, HINT),
    (160, HINT),
    (120, HINT),
    (90, HINT),
    (60, HINT),
    (40, HINT),
)
"""Bytes of a message and of a hint, and of what is made of them where that is too much."""
SHORTER_YET = ((MESSAGE, HINT), (160, 160), (120, 120), (90, 90), (90, 0), (60, 0), (40, 0))
"""The same of all rows but the gravest one."""


def drift_within(row: Document, room: int) -> Optional[Document]:
    """Return a row of drift that takes at most so many bytes, or None where that cannot be."""
    cut = (_cut(row, *lengths) for lengths in (*SHORTER, *SHORTER_YET[-3:]))
    return next((it for it in cut if size(it) <= room), None)


def _cut(row: Document, message: int, hint: int) -> Document:
    said = text(message)(row["message"]), text(hint)(row["hint"]) if hint else ""
    return {**row, "message": said[0], "hint": said[1]}


def same(one: Document, other: Document) -> bool:
    """Tell whether two rows are of one difference."""
    # Of a device each code is told once. Of a host there may be several rules with one.
    return (one["code"], one["message"][:40]) == (other["code"], other["message"][:40])


def size(row: object) -> int:
    """Return how many bytes a document takes in a file."""
    return len(json.dumps(row, ensure_ascii=False).encode())
