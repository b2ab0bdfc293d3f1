# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a device, in the words of those who read it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ..think.policy import State
from ..think.reentry import BUCKET, Breaker
from ..think.witness import WOKEN
from ..touch.view import DeviceView, HostView
from ..words.declaration import Rule
from ..words.mode import Mode
from ..words.report import HoldReport, Reentries
from ..words.waker import Kind, Waker
from .woken import it_was, woken

NOTHING = "-"


def clock(moment: float) -> str:
    """Return the local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(moment))


def when(moment: float) -> str:
    """Return the local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def lasting(seconds: float) -> str:
    """Return a duration in its two largest units: ``3 h 12 min``."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    for unit, size, smaller, part in _DURATIONS:
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {smaller}"
    return f"{whole} s"


_DURATIONS = (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))


def mode(rule: Optional[Rule]) -> str:
    """Return what is declared of a device."""
    if rule is None:
        return NOTHING
    return "none, reserved" if rule.reserve else rule.mode.value


def standing(hold: Optional[HoldReport], *, asked: bool = True) -> str:
    """Return in one word how the helper stands to a device."""
    if not asked:
        return "?"
    if hold is None:
        return NOTHING
    if hold.leases and not hold.held:
        return "leased"
    if hold.engaged is not Mode.NONE:
        return "engaged"
    if hold.state in _STANDINGS:
        return _STANDINGS[hold.state]
    return "held" if hold.held else NOTHING


_STANDINGS: Mapping[str, str] = {
    State.TAKING.value: "opening",
    State.ENTERING.value: "entering",
    State.EXITING.value: "exiting",
    State.LETTING_GO.value: "closing",
    State.WAITING.value: "waiting",
    State.REFUSED.value: "refused",
    State.STALLED.value: "stalled",
}


def reached(view: DeviceView) -> str:
    """Return where a device is, as far as sysfs and /proc tell."""
    if view.facts is None:
        return "not on the bus"
    if view.opened_by:
        return "in use by " + ", ".join(str(opener) for opener in view.opened_by)
    power = view.power
    if power is None or power.power_state == "unknown":
        return "unknown"
    if power.asleep:
        return f"asleep {power.power_state}"
    if power.power_state == "D0":
        return "idle D0" if power.runtime_status == "suspended" else "awake D0"
    return f"{power.runtime_status} {power.power_state}"


def wakes(hold: Optional[HoldReport]) -> str:
    """Return the foreign wakes of all: ``1/3``."""
    if hold is None or hold.wakes is None:
        return NOTHING
    return f"{hold.wakes.foreign}/{hold.wakes.total}"


def breaker(reentries: Reentries, until: Optional[float]) -> Iterator[str]:
    """Yield what bounds the entries now, where anything does."""
    storm = f"{reentries.storm_wakes} wakes in {lasting(reentries.storm_seconds)}"
    if reentries.breaker == Breaker.OPEN.value:
        end = "" if until is None else f"; left awake until {clock(until)}"
        yield f"breaker open: {storm}{end}"
    elif reentries.breaker == Breaker.HALF_OPEN.value:
        yield f"breaker half-open: being tried after a storm of {storm}"
    if reentries.put_off_by == BUCKET:
        yield "put off until the bound per hour allows it"


def codes(view: DeviceView) -> str:
    """Return the codes of what differs, without what the word before says already."""
    said = standing(view.hold)
    return " ".join(drift.code for drift in view.drift if drift.code != said)


def summary(view: HostView) -> str:
    """Return the picture in one line, without what could not be seen."""
    numbers = view.summary()
    parts = [] if view.limited else [f"{numbers.declared} declared", f"{numbers.held} held"]
    parts += [f"{numbers.asleep} asleep", f"{numbers.awake} awake"]
    if numbers.unknown:
        parts.append(f"{numbers.unknown} unknown")
    if numbers.excused:
        parts.append(f"{numbers.excused} excused")
    none = "drift unknown" if view.drifted is None else "no drift"
    parts.append(f"{numbers.drift} drift" if numbers.drift else none)
    return ", ".join(parts)


def event(told: Mapping[str, Any], report: HoldReport) -> Optional[str]:
    """Return what happened to a device, or None where the next event will say it better."""
    sentence = _happened(told, report)
    by = told.get("woken_by")
    if sentence is None or by is None:
        return sentence
    waker = Waker(**by)
    if told.get("event") == WOKEN:
        return woken(waker, int(told.get("times", 1)))
    if waker.kind is Kind.OWN and "woken-own" in (told["event"], f"woken-{told.get('detail')}"):
        return sentence  # it says so already
    return f"{sentence}; {it_was(waker)}"


def _happened(told: Mapping[str, Any], report: HoldReport) -> Optional[str]:
    name, detail = str(told.get("event", "")), str(told.get("detail") or "")
    if name in _WOKEN and report.state == State.ARMED.value:
        return None  # "waiting" follows, and knows until when
    if name == "waiting":
        again = report.waiting_until
        woken = _WOKEN.get(f"woken-{detail}", "woken")
        late = report.reentries is not None and report.reentries.put_off_by == BUCKET
        why = ", when the bound per hour allows it" if late else ""
        return f"{woken}; entering again at {clock(again)}{why}" if again is not None else woken
    if name == "stays-awake":
        return f"{_WOKEN.get(f'woken-{detail}', 'woken')}; stays awake until it is rearmed"
    sentence = _EVENTS.get(name, name)
    return sentence and sentence.format(
        detail=detail or "somebody", driver=detail or "a driver", mode=report.engaged
    )


_WOKEN = {
    "woken-foreign": "woken by somebody else",
    "woken-own": "woken by our own work",
}

_EVENTS: Mapping[str, Optional[str]] = {
    **_WOKEN,
    "taking": "opening it",
    "taken": "opened and held",
    "entering": None,
    "entered": "low power allowed ({mode})",
    "exiting": None,
    "exited": "low power ended",
    "letting-go": "letting it go",
    "released": "let go",
    "refused": "refused: {detail}",
    "breaker-open": "a storm of {detail}",
    "breaker-half-open": "being tried after a storm of {detail}",
    "breaker-closed": "the storm of wakes is over",
    "requested": "the kernel wants it back",
    "rearmed": "may be entered once more",
    "leased": "leased to {detail}",
    "lease-ended": "lease of {detail} ended",
    "stuck": "stuck: {detail}",
    "failed": None,
    "quarantined": "quarantined: {detail}",
    "cleared": "trusted again",
    "bound": "bound to {driver}",
    "unbound": "taken off {driver}",
}
