# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts in, the whole report out: which hosts there are, how each stands, and the sums."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Optional

from .codes import AS_DECLARED, DRIFT, EXCUSED, SEVERITIES, UNKNOWN, gravest, title
from .excerpt import differing, own
from .rows import STATES, drift_rows, fitted, host_row, same
from .values import Document, mapping, shortened

FORMAT = 1
NAME = 253  # bytes; as long as a host's name may be in the DNS

NOT_LOOKED_AT = "the run ended for this host before it was looked at, or has not come to it yet"


def host_of(name: str, variables: Mapping[str, object], now: str) -> Document:
    """Return a host by what its tasks left in its variables."""
    variables = mapping(variables)
    seen, declared = (
        mapping(variables.get(it)) for it in ("vfio_power_seen", "vfio_power_declared")
    )
    row = host_row({**seen, "looked_at": seen.get("looked_at") or now})
    row = with_drift(row, differing(declared))
    troubles = [_trouble_of_looking(seen), _trouble_of_comparing(declared)]
    row["drift"] += drift_rows([trouble for trouble in troubles if trouble])
    return judged(name, row)


def host_again(given: Mapping[str, object]) -> Document:
    """Return a host that another report has, cleaned and judged anew: it may come from anywhere."""
    row = host_row(given)
    row["drift"] += drift_rows([_incomplete(given)] if _incomplete(given) else [])
    return judged(str(given.get("name") or "?"), row)


def _trouble_of_looking(seen: Mapping[str, object]) -> Optional[Document]:
    if not seen:
        return own("not-looked-at", NOT_LOOKED_AT, "Run it again for this host")
    if seen.get("unreachable"):
        return _unreachable(seen)
    if seen.get("failed"):
        return own("look-failed", _said(seen), "Run it for this host alone, with -v")
    return _incomplete(seen)


def _incomplete(given: Mapping[str, object]) -> Optional[Document]:
    if all(isinstance(given.get(name), (list, tuple)) for name in ("devices", "drift")):
        return None
    return own("not-told", "there is no list of its devices and of what is not as declared")


def _trouble_of_comparing(declared: Mapping[str, object]) -> Optional[Document]:
    if declared.get("unreachable"):
        return _unreachable(declared)
    # What was compared tells of drift as well when it fails, and has been read already.
    if declared.get("failed") and "applied" not in declared:
        return own("compare-failed", _said(declared), "Mend the variables, or what it names")
    return None


def _unreachable(result: Mapping[str, object]) -> Document:
    return own("unreachable", _said(result), "See that the host is up and answers Ansible")


def _said(result: Mapping[str, object]) -> str:
    """Return the first line of a message: what follows may quote commands."""
    lines = str(result.get("msg") or "").strip().splitlines()
    return lines[0] if lines else "no reason was given"


def with_drift(row: Document, found: Iterable[Mapping[str, object]]) -> Document:
    """Add what was found to the devices it is about, once, and the rest to the host."""
    devices = {device["address"]: device for device in row["devices"]}
    for each in found:
        place = devices.get(each.get("address"), row)
        (clean,) = drift_rows([each])
        if not any(same(clean, known) for known in place["drift"]):
            place["drift"].append(clean)
    return row


def judged(name: str, row: Document) -> Document:
    """Return a host with its name and how it stands, in the order people read it."""
    row["devices"] = [fitted(device) for device in row["devices"]]
    severities = {drift["severity"] for drift in drift_of(row)}
    return {"name": shortened(name, NAME) or "?", "status": gravest(severities), **row}


def drift_of(row: Document) -> Iterator[Document]:
    """Yield all drift of a host and of its devices."""
    yield from row["drift"]
    for device in row["devices"]:
        yield from device["drift"]


def report_of(hosts: Iterable[Document], now: str, version: str) -> Document:
    """Return the report of these hosts; of one that comes twice the newest look counts."""
    newest: dict[str, Document] = {}
    for host in hosts:
        known = newest.get(host["name"])
        if known is None or (host["looked_at"] or "") >= (known["looked_at"] or ""):
            newest[host["name"]] = host
    chosen = [newest[name] for name in sorted(newest, key=_natural)]
    statuses = Counter(host["status"] for host in chosen)
    return {
        "format": FORMAT,
        "collection": version,
        "generated": now,
        "status": gravest(set(statuses) or {UNKNOWN}),
        "summary": {"hosts": _host_numbers(statuses), "devices": _device_numbers(chosen)},
        "codes": _code_numbers(chosen),
        "hosts": chosen,
    }


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts host2 before host10."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts if part]


def _host_numbers(statuses: Counter[str]) -> Document:
    return {
        "total": sum(statuses.values()),
        "as_declared": statuses[AS_DECLARED],
        "drift": statuses[DRIFT],
        "unknown": statuses[UNKNOWN],
    }


def _device_numbers(hosts: Iterable[Document]) -> Document:
    numbers: Counter[str] = Counter()
    for host in hosts:
        for device in host["devices"]:
            severities = {drift["severity"] for drift in device["drift"]}
            numbers.update(("total", device["state"]))
            numbers["declared"] += device["mode"] is not None
            numbers["held"] += device["held"] is True
            numbers["drift"] += DRIFT in severities
            numbers["excused"] += EXCUSED in severities and DRIFT not in severities
    states = [state.replace("-", "_") for state in STATES]
    named = Counter({name.replace("-", "_"): number for name, number in numbers.items()})
    return {
        name: named[name] for name in ("total", "declared", "held", *states, "drift", "excused")
    }


def _code_numbers(hosts: Iterable[Document]) -> list[Document]:
    """Return each code with the numbers of its hosts and devices, the gravest and most first."""
    on_hosts: Counter[tuple[str, str]] = Counter()
    on_devices: Counter[tuple[str, str]] = Counter()
    for host in hosts:
        on_hosts.update({(it["severity"], it["code"]) for it in drift_of(host)})
        for device in host["devices"]:
            on_devices.update({(it["severity"], it["code"]) for it in device["drift"]})
    kinds = sorted(on_hosts, key=lambda it: (SEVERITIES.index(it[0]), -on_hosts[it], it[1]))
    return [
        {
            "code": code,
            "severity": severity,
            "title": title(code),
            "hosts": on_hosts[severity, code],
            "devices": on_devices[severity, code],
        }
        for severity, code in kinds
    ]
