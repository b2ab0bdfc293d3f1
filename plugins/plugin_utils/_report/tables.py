# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of the page's tables, in which every text is there once.

The script of the page draws them from it, a hundred rows at a time. So a page with sixteen
thousand devices opens at once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator

from .codes import AS_DECLARED, DRIFT, SEVERITIES, UNKNOWN
from .rows import STATES
from .values import Document

STATUSES = (AS_DECLARED, DRIFT, UNKNOWN)
NOT_ASKED = "?"


class Pool:
    """Texts, each of them once; what uses one has its number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    def number(self, value: object) -> int:
        """Return the number of a text; 0 is none."""
        return self._numbers.setdefault(str(value) if value else "", len(self._numbers))

    @property
    def texts(self) -> list[str]:
        """Return all texts by number."""
        return list(self._numbers)


def packed(report: Document) -> str:
    """Return the data of the tables, safe within a script element."""
    pool, drift = Pool(), _Drift()
    hosts, devices = [], []
    for index, host in enumerate(report["hosts"]):
        hosts.append(_host(host, pool, drift))
        devices += [_device(index, device, pool, drift) for device in host["devices"]]
    data = {"hosts": hosts, "devices": devices, "drift": drift.rows(pool), "texts": pool.texts}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


class _Drift:
    """All drift; equal sentences are there once."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}

    def numbers(self, found: Iterable[Document]) -> list[int]:
        keys = (tuple(each.values()) for each in found)
        return [self._numbers.setdefault(key, len(self._numbers)) for key in keys]

    def rows(self, pool: Pool) -> list[list[int]]:
        return [
            [pool.number(code), SEVERITIES.index(severity), pool.number(message), pool.number(hint)]
            for code, severity, message, hint in self._numbers
        ]


def _host(host: Document, pool: Pool, drift: _Drift) -> list[object]:
    states = Counter(device["state"] for device in host["devices"])
    return [
        pool.number(host["name"]),
        STATUSES.index(host["status"]),
        [states[state] for state in STATES],
        pool.number(_helper(host)),
        pool.number(host["kernel"]),
        pool.number(_idle(host["disable_idle_d3"])),
        drift.numbers(host["drift"]),
    ]


def _helper(host: Document) -> str:
    helper = host["helper"] or {}
    if helper.get("paused"):
        return "paused"
    if helper.get("installed") is False:
        return "not installed"
    if helper.get("running") is None:
        return NOT_ASKED
    return helper.get("version") or "runs" if helper["running"] else "does not run"


def _idle(disabled: object) -> str:
    return NOT_ASKED if disabled is None else "stay awake" if disabled else "sleep"


def _device(host: int, device: Document, pool: Pool, drift: _Drift) -> list[object]:
    wakes = device.get("wakes") or {}
    share = device.get("active_share")
    return [
        host,
        pool.number(device["address"] or NOT_ASKED),
        pool.number(device["model"] or _ids(device)),
        pool.number(device["rule"]),
        pool.number(_mode(device)),
        pool.number(_standing(device)),
        STATES.index(device["state"]),
        pool.number(_reached(device)),
        -1 if wakes.get("total") is None else wakes["total"],
        -1 if wakes.get("foreign") is None else wakes["foreign"],
        -1 if share is None else share,
        pool.number(" · ".join(_notes(device))),
        drift.numbers(device["drift"]),
    ]


def _mode(device: Document) -> str:
    return "none, reserved" if device.get("reserve") else device["mode"] or ""


def _standing(device: Document) -> str:
    if device["held"] is None:
        return NOT_ASKED
    if not device["held"]:
        return "lent" if device.get("lease") else ""
    return "held" if device["engaged"] in (None, "none") else "engaged"


def _reached(device: Document) -> str:
    openers = device.get("opened_by")
    if openers:
        return ", ".join(opener["command"] or NOT_ASKED for opener in openers)
    return device["power_state"] or NOT_ASKED


def _ids(device: Document) -> str:
    known = device["vendor"] and device["device"]
    return f"{device['vendor']}:{device['device']}" if known else ""


def _notes(device: Document) -> Iterator[str]:
    """Yield what is shown of a device when somebody opens its row."""
    if _ids(device):
        yield f"{_ids(device)}, class {device['class'] or NOT_ASKED}"
    yield f"driver {device['driver']}" if device["driver"] else "no driver"
    yield f"runtime status {device['runtime_status'] or NOT_ASKED}"
    if device.get("expect") not in (None, "any"):
        yield f"expected {device['expect']}"
    for opener in device.get("opened_by", ()):
        yield f"opened by {opener['command'] or NOT_ASKED} (pid {opener['pid'] or NOT_ASKED})"
    for holder in device.get("lease", ()):
        yield f"lent to {holder}"
    if device.get("waiting_until"):
        yield f"waiting until {device['waiting_until']}"
    if (device.get("wakes") or {}).get("last"):
        yield f"last woken {device['wakes']['last']}"
