# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus is told: names, units and labels. Dashboards and alerts go by them: they stay.

Numbers and codes, the addresses of devices, and names of rules. No sentence, no name of a holder
and nothing of a process is in here. docs/metrics.md has each of them, where a test keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, NamedTuple, Optional

from ..words.declaration import Rule
from ..words.facts import Identity, Power
from ..words.history import FOREIGN, OWN, History
from ..words.mode import Mode
from ..words.report import Drift, HoldReport
from .chronicle import slept
from .exposition import COUNTER, GAUGE, Samples, family

PREFIX = "vfio_power_"
POWER_STATES = ("D0", "D1", "D2", "D3hot", "D3cold", "unknown")


class Device(NamedTuple):
    """One device, as the helper knows it and as sysfs shows it; ``power`` None: not on the bus."""

    report: HoldReport
    rule: Optional[Rule] = None
    identity: Optional[Identity] = None
    power: Optional[Power] = None
    drift: tuple[Drift, ...] = ()


class Moment(NamedTuple):
    """All that is told at once. ``now`` is in seconds since the epoch."""

    now: float
    version: str
    paused: bool = False
    drift: tuple[Drift, ...] = ()
    devices: tuple[Device, ...] = ()


class OfHost(NamedTuple):
    """A metric of the helper, or of the host as a whole."""

    name: str
    kind: str
    help: str
    samples: Callable[[Moment], Samples]


class OfDevice(NamedTuple):
    """A metric of each device."""

    name: str
    kind: str
    help: str
    samples: Callable[[Device], Samples]


def exposition(moment: Moment) -> str:
    """Return all metrics as text; one without a sample is left out."""
    found = [family(PREFIX + it.name, it.kind, it.help, it.samples(moment)) for it in HOST]
    for it in DEVICE:
        found.append(family(PREFIX + it.name, it.kind, it.help, _of_all(it, moment.devices)))
    return "".join(found)


def _of_all(metric: OfDevice, devices: Iterable[Device]) -> Samples:
    for device in devices:
        about = {"address": str(device.report.address), "rule": device.report.rule or ""}
        for labels, value in metric.samples(device):
            yield {**about, **labels}, value


def _build(moment: Moment) -> Samples:
    yield {"version": moment.version}, 1


def _written(moment: Moment) -> Samples:
    yield {}, moment.now


def _paused(moment: Moment) -> Samples:
    yield {}, int(moment.paused)


def _declared(moment: Moment) -> Samples:
    yield {}, sum(device.rule is not None for device in moment.devices)


def _host_drift(moment: Moment) -> Samples:
    yield from _codes(moment.drift)


def _info(device: Device) -> Samples:
    rule, identity = device.rule, device.identity
    told = {
        "mode": rule.mode.value if rule else "",
        "expect": rule.expect.value if rule else "",
        "vendor": identity.vendor if identity else "",
        "device": identity.device if identity else "",
    }
    yield told, 1


def _held(device: Device) -> Samples:
    yield {}, int(device.report.held)


def _engaged(device: Device) -> Samples:
    yield {}, int(device.report.engaged is not Mode.NONE)


def _asleep(device: Device) -> Samples:
    if device.power is not None:
        yield {}, int(device.power.asleep)


def _power_state(device: Device) -> Samples:
    if device.power is None:
        return
    state = device.power.power_state
    shown = state if state in POWER_STATES else "unknown"
    for it in POWER_STATES:
        yield {"state": it}, int(it == shown)


def _suspended(device: Device) -> Samples:
    if device.power is not None:
        yield {}, round(slept(device.report.history or History(), device.power)[0], 3)


def _active(device: Device) -> Samples:
    if device.power is not None:
        yield {}, round(slept(device.report.history or History(), device.power)[1], 3)


def _wakes(device: Device) -> Samples:
    history = _counted(device)
    if history is not None:
        yield {"kind": OWN}, history.own
        yield {"kind": FOREIGN}, history.foreign


def _incidents(device: Device) -> Samples:
    history = _counted(device)
    if history is not None:
        yield {}, history.incidents


def _last_wake(device: Device) -> Samples:
    history = _counted(device)
    if history is not None and history.last:
        yield {}, history.last[0].at


def _put_off(device: Device) -> Samples:
    if device.report.reentries is not None:
        yield {}, device.report.reentries.suppressed


def _leased(device: Device) -> Samples:
    yield {}, int(bool(device.report.leases))


def _drift(device: Device) -> Samples:
    yield from _codes(device.drift)


def _counted(device: Device) -> Optional[History]:
    """Return the history where wakes can be seen: zero wakes would be a claim elsewhere."""
    return device.report.history if device.report.wakes is not None else None


def _codes(drift: Iterable[Drift]) -> Samples:
    """Yield each code once; one may be told of several rules of a host."""
    for code, severity in dict.fromkeys((it.code, it.severity) for it in drift):
        yield {"code": code, "severity": severity}, 1


HOST = (
    OfHost("build_info", GAUGE, "The version of the helper that wrote this.", _build),
    OfHost(
        "last_write_timestamp_seconds", GAUGE, "When the helper wrote this, by its clock.", _written
    ),
    OfHost("paused", GAUGE, "Whether the helper stands back and holds nothing.", _paused),
    OfHost("declared_devices", GAUGE, "How many devices are declared.", _declared),
    OfHost("host_drift", GAUGE, "What differs on the host as a whole, by its code.", _host_drift),
)
DEVICE = (
    OfDevice("device_info", GAUGE, "What a device is and what is declared of it.", _info),
    OfDevice("device_held", GAUGE, "Whether the helper has the device open.", _held),
    OfDevice("device_engaged", GAUGE, "Whether a low-power mode is in force.", _engaged),
    OfDevice("device_asleep", GAUGE, "Whether the device is suspended and not in D0.", _asleep),
    OfDevice("device_power_state", GAUGE, "1 for the power state of the device.", _power_state),
    OfDevice(
        "device_suspended_seconds_total", COUNTER, "How long the device was suspended.", _suspended
    ),
    OfDevice("device_active_seconds_total", COUNTER, "How long the device was active.", _active),
    OfDevice("device_wakes_total", COUNTER, "How often it left low power, by whose doing.", _wakes),
    OfDevice(
        "device_incidents_total", COUNTER, "The same, with wakes below one port as one.", _incidents
    ),
    OfDevice(
        "device_last_incident_timestamp_seconds", GAUGE, "When it left low power last.", _last_wake
    ),
    OfDevice(
        "device_reentries_put_off_total", COUNTER, "Entries that were put off by a bound.", _put_off
    ),
    OfDevice("device_leased", GAUGE, "Whether the device is lent.", _leased),
    OfDevice("device_drift", GAUGE, "What differs from what is declared, by its code.", _drift),
)
