# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The views of a host and its devices, each with what differs there from what is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from ..think.drift import DOWN, RUNNING, Case, HostCase, judge, judge_host
from ..think.quirks import has, quirks_of
from ..think.units import host_drivers, power_set, unit
from ..words.address import PciAddress
from ..words.declaration import Declaration, Known, Resolution
from ..words.facts import Facts, HostFacts
from ..words.mode import Mode
from ..words.quirk import Kind
from ..words.report import Drift
from .helper import Answer
from .openers import openers_of
from .quirks import Loaded as KnownBad
from .sysfs import Sysfs
from .view import DeviceView, Opener


class Seen(NamedTuple):
    """All that was read and told of a host; the views are made from it."""

    declaration: Declaration
    resolution: Resolution
    devices: Mapping[PciAddress, Facts]
    answer: Answer
    host: HostFacts
    openers: Mapping[str, tuple[Opener, ...]]
    settle: float
    now: float
    known_bad: KnownBad

    def known(self, address: PciAddress) -> Optional[Known]:
        """Return the device that is remembered at an address, or None."""
        return next((it for it in self.resolution.known if it.address == address), None)


def view_of(address: PciAddress, seen: Seen, sysfs: Sysfs) -> DeviceView:
    """Return how one device stands; what it does right now is read from sysfs for that."""
    facts, known = seen.devices.get(address), seen.known(address)
    hold = seen.answer.holds.get(address)
    opened_by = openers_of(facts, seen.openers) if facts and not (hold and hold.held) else ()
    view = DeviceView(
        address=address,
        facts=facts,
        power=sysfs.power(address),
        known=known,
        rule=seen.declaration.rule(known.rule) if known else None,
        hold=hold,
        opened_by=opened_by,
        unit=unit(address, seen.devices),
        power_set=power_set(address, seen.devices),
        quirks=quirks_of(facts, seen.known_bad.quirks) if facts else (),
    )
    if facts and has(facts, Kind.NO_D3COLD, view.quirks):
        view = view._replace(kept_awake=sysfs.d3cold_allowed(address) is not False)
    return view._replace(drift=_device_drift(view, seen, _blockers(view, seen, sysfs)))


def _blockers(view: DeviceView, seen: Seen, sysfs: Sysfs) -> tuple[str, ...]:
    """Name what is awake beside a device that should sleep: its other functions, its VFs."""
    if view.rule is None or view.rule.mode is Mode.NONE or view.power is None or view.power.asleep:
        return ()
    awake = []
    for address in view.power_set:
        power = sysfs.power(address) if address != view.address else None
        if power is not None and power.runtime_status == "active":
            driver = seen.devices[address].driver
            on = f"on {driver}" if driver else "on no driver"
            awake.append(f"{address} below the same port is awake too, {on}")
    return tuple(awake)


def _device_drift(view: DeviceView, seen: Seen, blockers: tuple[str, ...]) -> tuple[Drift, ...]:
    case = Case(
        address=view.address,
        rule=view.rule,
        known=view.known,
        facts=view.facts,
        power=view.power,
        hold=view.hold,
        helper=RUNNING if seen.answer.helper.answered else DOWN,
        paused=seen.answer.helper.paused,
        host=seen.host,
        group_drivers=host_drivers(view.address, seen.devices),
        opened_by=tuple(str(opener) for opener in view.opened_by),
        blockers=blockers,
        settle=seen.settle,
        now=seen.now,
    )
    return tuple(judge(case))


def host_drift(seen: Seen, damaged: str) -> tuple[Drift, ...]:
    """Return what concerns the host; ``damaged`` says which stored files cannot be used."""
    helper, told = seen.answer.helper, seen.answer.damaged
    case = HostCase(
        helper=RUNNING if helper.state == "unknown" else helper.state,
        api_revision=helper.api_revision,
        version=helper.version,
        paused=helper.paused,
        quirks_damaged=seen.known_bad.damaged,
        damaged=told if damaged in told else f"{damaged} {told}".rstrip(),
        declaration=seen.declaration,
        matched=seen.resolution.matched,
        workers=helper.workers,
        stuck=helper.stuck,
        kept=helper.kept or 0,
        stored=helper.stored,
    )
    return tuple(judge_host(case))
