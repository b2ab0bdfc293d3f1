# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The views of a host and its devices, each with what differs there from what is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from ..think.drift import DOWN, RUNNING, Case, HostCase, judge, judge_host
from ..think.position import Position
from ..think.quirks import has, quirks_of
from ..think.units import host_drivers, power_set, unit
from ..think.why import blockers, explain
from ..think.why_not_deeper import best, not_deeper
from ..words.address import PciAddress
from ..words.allowance import Allowance
from ..words.declaration import Declaration, Known, Resolution
from ..words.facts import Facts, HostFacts
from ..words.mode import Expect
from ..words.quirk import Kind
from ..words.report import Drift
from ..words.rival import PolicyFile
from .helper import Answer
from .openers import openers_of
from .positions import Positions
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
    policies: tuple[PolicyFile, ...]  # of other tools
    explaining: bool = True  # also devices of which nothing differs

    def left_out(self, view: DeviceView) -> tuple[PciAddress, ...]:
        """Return who of a device's unit could be held with it, and is not declared to be."""
        return tuple(
            address
            for address in view.unit
            if address in self.devices and self.devices[address].vfio and not self._kept(address)
        )

    def _kept(self, address: PciAddress) -> bool:
        known = self.known(address)
        rule = self.declaration.rule(known.rule) if known else None
        return rule is not None and rule.holds

    def known(self, address: PciAddress) -> Optional[Known]:
        """Return the device that is remembered at an address, or None."""
        return next((it for it in self.resolution.known if it.address == address), None)


def view_of(address: PciAddress, seen: Seen, sysfs: Sysfs, positions: Positions) -> DeviceView:
    """Return how one device stands; what it does right now is read from sysfs for that."""
    facts, known = seen.devices.get(address), seen.known(address)
    hold = seen.answer.holds.get(address)
    opened_by = openers_of(facts, seen.openers) if facts and not (hold and hold.held) else ()
    view = DeviceView(
        address=address,
        facts=facts,
        power=sysfs.power(address),
        policy=sysfs.policy(address),
        known=known,
        rule=seen.declaration.rule(known.rule) if known else None,
        hold=hold,
        opened_by=opened_by,
        unit=unit(address, seen.devices),
        power_set=power_set(address, seen.devices),
        quirks=quirks_of(facts, seen.known_bad.quirks) if facts else (),
    )
    if facts is None:
        return view._replace(drift=tuple(judge(_case(view, seen))))
    if has(facts, Kind.NO_D3COLD, view.quirks):
        view = view._replace(kept_awake=_d3cold_ahead(view))
    view = view._replace(rivals=positions.rivals(facts))
    if seen.explaining or _in_question(view):
        return _explained(view, seen, positions.of(view, facts))
    return view._replace(drift=tuple(judge(_case(view, seen))))


def _d3cold_ahead(view: DeviceView) -> bool:
    """Tell whether a device may get into D3cold once what is declared was applied."""
    declared = view.rule.policy.d3cold if view.rule else None
    return (declared or view.policy.d3cold) is not Allowance.FORBID


def _in_question(view: DeviceView) -> bool:
    """Tell whether what is around a device may say why it is not as declared."""
    if view.rule is None or view.power is None or view.rule.expect is Expect.ANY:
        return False
    return not view.power.asleep or view.power.power_state != "D3cold"


def _explained(view: DeviceView, seen: Seen, position: Position) -> DeviceView:
    """Return a device with what differs and why it is not where it could be: one says the other."""
    reasons = not_deeper(position)
    case = _case(view, seen)._replace(
        blockers=blockers(position), not_deeper=reasons, best=best(position, reasons)
    )
    drift = tuple(judge(case))
    return view._replace(drift=drift, why=explain(position, drift))


def _case(view: DeviceView, seen: Seen) -> Case:
    return Case(
        address=view.address,
        rule=view.rule,
        known=view.known,
        facts=view.facts,
        power=view.power,
        policy=view.policy,
        hold=view.hold,
        helper=RUNNING if seen.answer.helper.answered else DOWN,
        paused=seen.answer.helper.paused,
        host=seen.host,
        group_drivers=host_drivers(view.address, seen.devices),
        opened_by=tuple(str(opener) for opener in view.opened_by),
        rivals=view.rivals,
        left_out=seen.left_out(view),
        settle=seen.settle,
        now=seen.now,
    )


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
        passed_over=seen.resolution.passed_over,
        workers=helper.workers,
        stuck=helper.stuck,
        kept=helper.kept or 0,
        stored=helper.stored,
    )
    return tuple(judge_host(case))
