# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What travels over the helper's socket: each value with its way there and back.

Reading ignores fields it does not know and fills in those that are missing, so that an
older and a newer program of one API revision understand each other. The interface as text
is in interface.py, framing in varlink.py, how a field is read in fields.py; declarations travel as
parse.py writes them.
"""

from __future__ import annotations

from typing import Any, Optional, Union

from ..words.history import History, Incident
from ..words.report import (
    Drift,
    Failure,
    HoldReport,
    Lease,
    Quarantined,
    Reentries,
    Running,
    Wakes,
)
from .fields import Fields


def report_to_json(report: HoldReport) -> dict[str, Any]:
    """Write a device as the helper sees it."""
    return {
        **report._asdict(),
        "address": str(report.address),
        "engaged": report.engaged.value,
        "wakes": _plain(report.wakes),
        "reentries": _plain(report.reentries),
        "leases": [lease_to_json(lease) for lease in report.leases],
        "running": _plain(report.running),
        "failure": _plain(report.failure),
        "quarantined": _plain(report.quarantined),
        "history": None if report.history is None else history_to_json(report.history),
    }


def report_from_json(value: object, place: str = "device") -> HoldReport:
    """Read a device as the helper sees it; raises InputError naming the place."""
    fields = Fields(value, place)
    return HoldReport(
        address=fields.address("address"),
        rule=fields.optional("rule", str),
        state=fields.get("state", str, "released"),
        held=fields.get("held", bool, False),
        engaged=fields.mode("engaged"),
        backend=fields.optional("backend", str),
        wakes=fields.inner("wakes", wakes_from_json),
        entered=fields.number("entered"),
        waiting_until=fields.number("waiting_until"),
        reentries=fields.inner("reentries", _reentries_from_json),
        taken_after=fields.number("taken_after"),
        leases=fields.each("leases", lease_from_json),
        running=fields.inner("running", _running_from_json),
        failure=fields.inner("failure", failure_from_json),
        quarantined=fields.inner("quarantined", quarantined_from_json),
        history=fields.inner("history", history_from_json),
    )


def lease_to_json(lease: Lease) -> dict[str, Any]:
    """Write a lease."""
    return {**lease._asdict(), "address": str(lease.address)}


def lease_from_json(value: object, place: str = "lease") -> Lease:
    """Read a lease."""
    fields = Fields(value, place)
    return Lease(
        address=fields.address("address"),
        holder=fields.holder("holder"),
        since=fields.number("since") or 0.0,
        until=fields.number("until"),
        ends=fields.number("ends"),
    )


def history_to_json(history: History) -> dict[str, Any]:
    """Write a card's history."""
    return {**history._asdict(), "last": [incident._asdict() for incident in history.last]}


def history_from_json(value: object, place: str = "history") -> History:
    """Read a card's history."""
    fields = Fields(value, place)
    return History(
        since=fields.number("since") or 0.0,
        own=fields.get("own", int, 0),
        foreign=fields.get("foreign", int, 0),
        incidents=fields.get("incidents", int, 0),
        last=fields.each("last", _incident_from_json),
        asleep_before=fields.number("asleep_before") or 0.0,
        awake_before=fields.number("awake_before") or 0.0,
    )


def _incident_from_json(value: object, place: str) -> Incident:
    fields = Fields(value, place)
    return Incident(
        at=fields.number("at") or 0.0,
        kind=fields.need("kind", str),
        devices=fields.get("devices", int, 1),
    )


def drift_to_json(drift: Drift) -> dict[str, str]:
    """Write a difference between declared and seen."""
    return dict(drift._asdict())


def _plain(
    value: Union[Wakes, Reentries, Running, Failure, Quarantined, None],
) -> Optional[dict[str, Any]]:
    return None if value is None else dict(value._asdict())


def wakes_from_json(value: object, place: str = "wakes") -> Wakes:
    """Read how often a device left low power."""
    fields = Fields(value, place)
    return Wakes(
        total=fields.get("total", int, 0),
        foreign=fields.get("foreign", int, 0),
        last=fields.number("last"),
    )


def _reentries_from_json(value: object, place: str) -> Reentries:
    fields = Fields(value, place)
    return Reentries(
        breaker=fields.get("breaker", str, "closed"),
        put_off_by=fields.optional("put_off_by", str),
        suppressed=fields.get("suppressed", int, 0),
        storm_wakes=fields.get("storm_wakes", int, 0),
        storm_seconds=fields.number("storm_seconds") or 0.0,
    )


def _running_from_json(value: object, place: str) -> Running:
    fields = Fields(value, place)
    return Running(
        call=fields.need("call", str),
        since=fields.number("since") or 0.0,
        seconds=fields.number("seconds"),
    )


def failure_from_json(value: object, place: str = "failure") -> Failure:
    """Read why something could not be done."""
    fields = Fields(value, place)
    return Failure(
        code=fields.need("code", str),
        message=fields.get("message", str, ""),
        hint=fields.get("hint", str, ""),
        operation=fields.get("operation", str, ""),
        errno=fields.get("errno", str, ""),
    )


def quarantined_from_json(value: object, place: str = "quarantined") -> Quarantined:
    """Read why a device is not taken any more."""
    fields = Fields(value, place)
    return Quarantined(
        code=fields.get("code", str, "quarantined"),
        message=fields.get("message", str, ""),
        since=fields.number("since") or 0.0,
    )
