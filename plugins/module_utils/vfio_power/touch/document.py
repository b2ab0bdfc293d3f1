# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of a host as plain data: what modules return and ``--json`` prints.

Times are ISO 8601 in UTC, durations are seconds. What is not known is null.
"""

from __future__ import annotations

import time
from typing import Any, Optional

from ..think.chronicle import slept
from ..think.wire import drift_to_json
from ..words.allowance import KNOBS
from ..words.declaration import Rule
from ..words.facts import Power
from ..words.history import History
from ..words.quirk import Quirk
from ..words.report import Lease, Quarantined, Reentries, Wakes
from ..words.why import Node, Reason
from .view import DeviceView, HostView, Opener

Document = dict[str, Any]


def iso(moment: Optional[float]) -> Optional[str]:
    """Return a time since the epoch as ``2026-11-23T07:05:00Z``."""
    return None if moment is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def host_document(view: HostView) -> Document:
    """Return the whole picture."""
    return {
        "host": {**view.host._asdict(), "rivals": [it._asdict() for it in view.rivals]},
        "helper": helper_document(view),
        "devices": [
            device_document(device, asked=view.helper.holds_known) for device in view.devices
        ],
        "drift": [drift_to_json(drift) for drift in view.drift],
        "drifted": view.drifted,
        "summary": view.summary()._asdict(),
        "limited": view.limited,
    }


def helper_document(view: HostView) -> Document:
    """Return what is known of the helper."""
    helper = view.helper
    return {
        "installed": helper.state != "absent",
        "running": None if helper.state == "unknown" else helper.state == "running",
        "version": helper.version or None,
        "api_revision": helper.api_revision,
        "paused": helper.paused or None,
        "fdstore_ok": helper.fdstore_ok,
    }


def device_document(view: DeviceView, *, asked: bool = True) -> Document:
    """Return one device; ``asked``: whether the helper holds it is known."""
    facts, power, hold = view.facts, view.power, view.hold
    identity = facts.identity if facts else view.known.identity if view.known else None
    return {
        "address": str(view.address),
        "model": facts.model if facts and facts.model else None,
        "vendor": identity.vendor if identity else None,
        "device": identity.device if identity else None,
        "class": identity.class_code if identity else None,
        "driver": facts.driver if facts else None,
        "iommu_group": facts.iommu_group if facts else None,
        "unit": [str(member) for member in view.unit],
        "power_set": [str(member) for member in view.power_set],
        "declared": _declared(view.rule),
        "state": hold.state if hold else None,
        "held": hold.held if hold else (False if asked else None),
        "engaged": hold.engaged.value if hold else ("none" if asked else None),
        "power_state": power.power_state if power else None,
        "runtime_status": power.runtime_status if power else None,
        "suspended_seconds": power.suspended_ms / 1000 if power else None,
        "active_seconds": power.active_ms / 1000 if power else None,
        "active_share": _share(power),
        "wakes": _wakes(hold.wakes) if hold and hold.wakes else None,
        "history": _history(hold.history, power) if hold and hold.history else None,
        "waiting_until": iso(hold.waiting_until) if hold else None,
        "reentries": _reentries(hold.reentries) if hold and hold.reentries else None,
        "opened_by": [_opener(opener) for opener in view.opened_by],
        "lease": [_lease(lease) for lease in hold.leases] if hold else [],
        "quarantined": _quarantined(hold.quarantined) if hold and hold.quarantined else None,
        "quirks": [_quirk(quirk) for quirk in view.quirks],
        "why": why_document(view),
        "drift": [drift_to_json(drift) for drift in view.drift],
    }


def why_document(view: DeviceView) -> Optional[Document]:
    """Return why a device is not where it could be, with the way from its root port to it."""
    why = view.why
    if why is None or why.device is None:
        return None
    return {
        "best": why.best,
        "awake": [_reason(reason) for reason in why.awake],
        "not_deeper": [_reason(reason) for reason in why.not_deeper],
        "ports": [_node(port) for port in why.ports],
        "device": _node(why.device),
        "siblings": [_node(sibling) for sibling in why.siblings],
        "rivals": [rival._asdict() for rival in view.rivals],
    }


def _reason(reason: Reason) -> Document:
    return {**reason._asdict(), "address": str(reason.address)}


def _node(node: Node) -> Document:
    power, bounds = node.power, node.bounds
    return {
        "address": str(node.address),
        "driver": node.facts.driver,
        "power_state": power.power_state,
        "runtime_status": power.runtime_status,
        "control": power.control,
        "d3cold_allowed": bounds.d3cold_allowed,
        "platform_power": bounds.switched,
        "may_sleep": bounds.may_sleep,
        "hotplug": bounds.hotplug,
        "virtual_functions": bounds.virtual_functions,
    }


def _declared(rule: Optional[Rule]) -> Optional[Document]:
    if rule is None:
        return None
    return {
        "rule": rule.name,
        "mode": rule.mode.value,
        "reserve": rule.reserve,
        "expect": rule.expect.value,
        **{knob.option: knob.said(rule.policy) for knob in KNOBS},
    }


def _opener(opener: Opener) -> Document:
    return opener._asdict()


def _wakes(wakes: Wakes) -> Document:
    return {"total": wakes.total, "foreign": wakes.foreign, "last": iso(wakes.last)}


def _history(history: History, power: Optional[Power]) -> Document:
    asleep, awake = slept(history, power or Power())
    return {
        "since": iso(history.since),
        "own": history.own,
        "foreign": history.foreign,
        "incidents": history.incidents,
        "last": [{**it._asdict(), "at": iso(it.at)} for it in history.last],
        "suspended_seconds": round(asleep, 3),
        "active_seconds": round(awake, 3),
    }


def _share(power: Optional[Power]) -> Optional[float]:
    share = power.active_share if power else None
    return None if share is None else round(share, 4)


def _reentries(reentries: Reentries) -> Document:
    return {**reentries._asdict(), "storm_seconds": round(reentries.storm_seconds, 1)}


def _quirk(quirk: Quirk) -> Document:
    return {"kind": quirk.kind.value, "reason": quirk.reason, "source": quirk.source}


def _lease(lease: Lease) -> Document:
    return {"holder": lease.holder, "since": iso(lease.since), "until": iso(lease.until)}


def _quarantined(why: Quarantined) -> Document:
    return {"code": why.code, "message": why.message, "since": iso(why.since)}
