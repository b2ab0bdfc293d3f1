# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``show``: all that is known of one device."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Callable, Optional

from ..think.chronicle import slept
from ..touch.document import device_document
from ..touch.view import DeviceView, HostView
from ..words.address import PciAddress
from ..words.allowance import KNOBS
from ..words.facts import Power
from ..words.history import FOREIGN, History
from ..words.mode import Mode
from . import wording
from .listing import tell_limits, verdict
from .paint import SEVERITY
from .stage import DONE, REFUSED, Stage

LABEL = 11

Lines = Callable[[Stage, DeviceView, HostView], Iterator[str]]


def run(stage: Stage, options: Namespace) -> int:
    """Print one device, or the same as JSON."""
    return run_with(stage, options, lines)


def run_with(stage: Stage, options: Namespace, lines: Lines) -> int:
    """Print some lines about one device, or all of it as JSON."""
    view = stage.around.look((options.address,))
    device = view.device(options.address)
    if device is None or (device.facts is None and device.known is None and device.hold is None):
        what = f"{options.address} is not on the PCI bus, and not declared"
        stage.remark(f"{what}. vfio-powerctl list has those that are")
        return REFUSED
    if stage.as_json:
        stage.say_json(device_document(device, asked=view.helper.holds_known))
    else:
        tell_limits(stage, view)
        for line in lines(stage, device, view):
            stage.say(line)
    return verdict(stage, view, _drifted(device, view)) if options.check else DONE


def _drifted(device: DeviceView, view: HostView) -> Optional[bool]:
    """Tell whether a device drifts; None where it takes a root, or a helper, to know."""
    if device.drifted:
        return True
    unheld = device.rule is not None and device.rule.holds and view.helper.state == "absent"
    return None if view.limited or unheld else False


def lines(stage: Stage, device: DeviceView, view: HostView) -> Iterator[str]:
    """Yield a headline, then a row for each thing that can be said, then what differs."""
    model = device.facts.model if device.facts else ""
    yield stage.paint("bold", f"{device.address}  {model}".rstrip())
    for label, tell in ROWS:
        for index, text in enumerate(tell(device, view)):
            yield f"  {'' if index else label:<{LABEL}}{text}"
    for drift in device.drift:
        code = stage.paint(SEVERITY.get(drift.severity, ""), drift.code)
        severity = "" if drift.severity == "drift" else f" ({drift.severity})"
        yield f"  {'drift':<{LABEL}}{code}{severity}"
        yield f"  {'':<{LABEL}}{drift.message}"
        yield f"  {'':<{LABEL}}{drift.hint}"


def _card(device: DeviceView, _view: HostView) -> Iterator[str]:
    if device.facts is not None:
        yield str(device.facts.identity)
        return
    if device.known is not None and device.known.identity is not None:
        yield f"{device.known.identity}, when it was last seen"


def _driver(device: DeviceView, _view: HostView) -> Iterator[str]:
    facts = device.facts
    if facts is None:
        return
    group = "no IOMMU group" if facts.iommu_group is None else f"IOMMU group {facts.iommu_group}"
    yield f"{facts.driver or 'none'}, {group}"


def _declared(device: DeviceView, view: HostView) -> Iterator[str]:
    rule = device.rule
    if rule is None:
        yield "unknown without root" if view.limited else "no"
        return
    expected = "" if rule.expect.value == "any" else f", expected {rule.expect}"
    yield f"{wording.mode(rule)}{expected} (rule {rule.name})"
    said = [f"{knob.option} {word}" for knob in KNOBS if (word := knob.said(rule.policy))]
    if said:
        yield f"host policy: {', '.join(said)}"


def _held(device: DeviceView, view: HostView) -> Iterator[str]:
    hold = device.hold
    if not view.helper.holds_known:
        yield "unknown: the helper could not be asked"
    elif hold is None or not hold.held:
        yield "no"
    elif hold.engaged is Mode.NONE:
        yield f"yes, by {hold.backend}, no low power engaged" if hold.backend else "yes"
    else:
        since = f" since {wording.when(hold.entered)}" if hold.entered is not None else ""
        yield f"yes, by {hold.backend or 'the helper'}, {hold.engaged} engaged{since}"
    if hold is not None and hold.running is not None:
        doing = "waits for its turn" if hold.running.seconds is None else "is under way"
        yield f"{hold.running.call} {doing} since {wording.clock(hold.running.since)}"
    if hold is not None and hold.waiting_until is not None:
        yield f"woken; entering again at {wording.clock(hold.waiting_until)}"
    if hold is not None and hold.taken_after is not None and not hold.held:
        yield f"is going to be opened at {wording.clock(hold.taken_after)}"


def _reached(device: DeviceView, _view: HostView) -> Iterator[str]:
    yield wording.reached(device)
    power = device.power
    if power is not None and device.facts is not None:
        asleep, awake = power.suspended_ms / 1000, power.active_ms / 1000
        share = power.active_share
        part = "" if share is None else f" ({share * 100:.1f} % of the time)"
        yield f"asleep {wording.lasting(asleep)}, awake {wording.lasting(awake)} in all{part}"


def _wakes(device: DeviceView, _view: HostView) -> Iterator[str]:
    counted = device.hold.wakes if device.hold else None
    if counted is not None:
        last = f", the last {wording.when(counted.last)}" if counted.last is not None else ""
        yield f"{counted.total}, {counted.foreign} of them by somebody else{last}"
    elif device.hold is not None and device.hold.engaged is Mode.ENTRY:
        yield "cannot be seen in mode entry; the time awake can"


def _reentry(device: DeviceView, _view: HostView) -> Iterator[str]:
    rule, hold = device.rule, device.hold
    if rule is None or rule.mode is not Mode.ENTRY_WITH_WAKEUP:
        return
    delay, most, burst = rule.reentry
    yield f"{delay:g} s after a wake, at most {most} an hour and {burst} in a row"
    if hold is None or hold.reentries is None:
        return
    yield from wording.breaker(hold.reentries, hold.waiting_until)
    if hold.reentries.suppressed:
        yield f"{hold.reentries.suppressed} put off so far"


def _history(device: DeviceView, _view: HostView) -> Iterator[str]:
    history = device.hold.history if device.hold else None
    if history is None:
        return
    asleep, awake = slept(history, device.power or Power())
    times = f"asleep {wording.lasting(asleep)}, awake {wording.lasting(awake)}"
    yield f"since {wording.when(history.since)}: {times}"
    if history.incidents:
        wakes = history.own + history.foreign
        yield f"{wakes} wakes, {history.foreign} of them by somebody else; {_last(history)}"
    for incident in history.last:
        by = "by somebody else" if incident.kind == FOREIGN else "by our own work"
        at_once = f", {incident.devices} devices at once" if incident.devices > 1 else ""
        yield f"{wording.when(incident.at)} {by}{at_once}"


def _last(history: History) -> str:
    told, all_of_them = len(history.last), history.incidents
    return (
        f"{all_of_them} incidents"
        if told == all_of_them
        else f"the last {told} of {all_of_them} incidents"
    )


def _quirks(device: DeviceView, _view: HostView) -> Iterator[str]:
    for quirk in device.quirks:
        yield f"{quirk.kind.value}: {quirk.reason}, says {quirk.source}"


def _leases(device: DeviceView, _view: HostView) -> Iterator[str]:
    for lease in device.hold.leases if device.hold else ():
        end = "the next boot" if lease.until is None else wording.when(lease.until)
        yield f"to {lease.holder} since {wording.when(lease.since)}, until {end}"


def _quarantine(device: DeviceView, _view: HostView) -> Iterator[str]:
    why = device.hold.quarantined if device.hold else None
    if why is not None:
        yield f"since {wording.when(why.since)}: {why.message}"


def _unit(device: DeviceView, _view: HostView) -> Iterator[str]:
    if len(device.unit) > 1:
        yield f"{_spelled(device.unit)} (released and taken together)"


def _power_set(device: DeviceView, _view: HostView) -> Iterator[str]:
    if len(device.power_set) > 1:
        yield f"{_spelled(device.power_set)} (below one port: they wake together)"


def _spelled(addresses: Sequence[PciAddress]) -> str:
    return " ".join(str(address) for address in addresses)


ROWS: Sequence[tuple[str, Callable[[DeviceView, HostView], Iterator[str]]]] = (
    ("card", _card),
    ("driver", _driver),
    ("declared", _declared),
    ("held", _held),
    ("reached", _reached),
    ("wakes", _wakes),
    ("re-entry", _reentry),
    ("history", _history),
    ("quirk", _quirks),
    ("lease", _leases),
    ("quarantine", _quarantine),
    ("unit", _unit),
    ("power set", _power_set),
)
