# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done to each device; check mode is a plan that is not carried out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Optional

from ..words.address import PciAddress
from ..words.declaration import Declaration, Known, Resolution, Rule
from ..words.facts import Facts
from ..words.mode import Mode
from ..words.report import HoldReport
from .policy import ENGAGED, SUCCEEDS, Event, Goal, State, after, goal_of, reaches
from .resolve import is_stranger


class Stand(NamedTuple):
    """How a device stands: ``mode`` is the one in force, or about to be again after a wake."""

    mode: Mode = Mode.NONE
    held: bool = False


class Step(NamedTuple):
    """One device of a plan. Without actions it stays as it stands."""

    address: PciAddress
    rule: Optional[str]
    before: Stand
    after: Stand
    actions: tuple[str, ...] = ()


def plan(
    declaration: Declaration,
    resolution: Resolution,
    devices: Mapping[PciAddress, Facts],
    holds: Mapping[PciAddress, HoldReport],
    open_elsewhere: Collection[PciAddress] = (),
    kept_awake: Collection[PciAddress] = (),
) -> list[Step]:
    """Return a step for every declared and every held device, in bus order.

    ``open_elsewhere`` are the devices that are known to be open in another process:
    taking them would be refused, so it is not planned. ``kept_awake`` are those that are held and
    not entered as things stand.
    """
    known = {entry.address: entry for entry in resolution.known}
    held = {address for address, hold in holds.items() if hold.held}
    steps = []
    for address in sorted({*known, *held}):
        entry, hold = known.get(address), holds.get(address, HoldReport(address))
        rule = declaration.rule(entry.rule) if entry else None
        goal = goal_of(rule.mode, rule.reserve) if rule else Goal.RELEASE
        if not hold.held and address in open_elsewhere:
            goal = Goal.RELEASE
        if address in kept_awake and goal is not Goal.RELEASE:
            goal = Goal.KEEP_AWAKE
        if _untouchable(entry, devices.get(address), hold) or _in_vain(rule, hold):
            steps.append(_stay(address, rule, hold))
        else:
            steps.append(_step(address, rule, hold, goal))
    return steps


def _untouchable(entry: Optional[Known], facts: Optional[Facts], hold: HoldReport) -> bool:
    """Tell whether nothing is done to a device whatever is declared."""
    if facts is None or not facts.vfio or hold.leases or hold.quarantined:
        return True
    return entry is not None and is_stranger(entry, facts)


def _in_vain(rule: Optional[Rule], hold: HoldReport) -> bool:
    """Tell of a mode that a driver does not offer: binding another one helps, asking again not."""
    refused = hold.failure is not None and hold.failure.code == "unsupported"
    return refused and rule is not None and rule.mode is not Mode.NONE


def _stay(address: PciAddress, rule: Optional[Rule], hold: HoldReport) -> Step:
    stand = _stand(state_of(hold))
    return Step(address, rule.name if rule else None, stand, stand)


def _step(address: PciAddress, rule: Optional[Rule], hold: HoldReport, goal: Goal) -> Step:
    state = state_of(hold)
    actions = reaches(state, goal)
    end = SUCCEEDS[actions[-1]] if actions else state
    return Step(
        address,
        rule.name if rule else None,
        _stand(state),
        _stand(end),
        tuple(action.value for action in actions),
    )


def state_of(hold: HoldReport) -> State:
    """Return the state in which a device is found when the declared one is asked for.

    What a worker is at counts as done, and what was refused is tried again. A device
    that waits is left waiting: the helper enters again by itself.
    """
    state = State(hold.state)
    if state is State.ENTERING:
        return State.ARMED if hold.wakes is not None else State.ENTRY
    if state in _UNDER_WAY:
        return _UNDER_WAY[state]
    return state if state is State.WAITING else after(state, Event.ASKED)


_UNDER_WAY = {
    State.TAKING: State.AWAKE,
    State.EXITING: State.AWAKE,
    State.LETTING_GO: State.RELEASED,
}


def _stand(state: State) -> Stand:
    if state is State.WAITING:
        return Stand(Mode.ENTRY_WITH_WAKEUP, held=True)
    return Stand(ENGAGED.get(state, Mode.NONE), held=state is not State.RELEASED)
