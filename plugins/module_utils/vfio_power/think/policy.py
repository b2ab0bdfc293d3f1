# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of one device under policy, as two tables.

FOLLOWS says what a happening makes of a state, NEXT what to do in a state for a
goal. A pair that FOLLOWS does not know changes nothing: a wakeup may come late,
or twice. A pair that NEXT does not know asks for nothing.

No clock and no kernel here: hold/ carries the actions out and brings the events.
"""

from __future__ import annotations

from enum import Enum
from typing import Optional

from ..words.mode import Mode


class State(str, Enum):
    """Where a device stands with us."""

    RELEASED = "released"  # not held
    TAKING = "taking"  # a worker opens it
    AWAKE = "awake"  # held, no low power engaged
    ENTERING = "entering"  # a worker allows low power
    ENTRY = "entry"  # engaged; the kernel puts it back to sleep by itself
    ARMED = "entry-with-wakeup"  # engaged until the first access
    WAITING = "waiting"  # woken, to be entered again at a known time
    EXITING = "exiting"  # a worker ends low power
    LETTING_GO = "letting-go"  # a worker ends low power and closes it
    REFUSED = "refused"  # could not be taken; not tried again until asked
    STALLED = "stalled"  # held, a mode call failed; not tried again until asked
    UNSURE = "unsure"  # what is engaged is not known: it is ended, and entered anew
    SPENT = "spent"  # held awake: it had the one entry that its quirk allows


class Goal(str, Enum):
    """What is wanted of a device right now: the declaration, less leases and graces."""

    RELEASE = "release"
    KEEP_AWAKE = "keep-awake"
    ENTRY = "entry"
    ENTRY_WITH_WAKEUP = "entry-with-wakeup"


class Event(str, Enum):
    """What can happen to a device."""

    DONE = "done"  # the action under way succeeded
    FAILED = "failed"  # the action under way was refused
    WOKEN = "woken"  # its wake eventfd was signalled
    DUE = "due"  # the time to enter again has come
    ASKED = "asked"  # somebody asks for the declared state now
    DOUBTED = "doubted"  # it is awake though it may sleep, and nothing was heard
    SPENT = "spent"  # low power ended on a device that is entered only once
    REARMED = "rearmed"  # somebody says that it may be entered once more


class Action(str, Enum):
    """What a worker is told to do."""

    TAKE = "open"
    ENTER = "entry"
    ENTER_WITH_WAKEUP = "entry-with-wakeup"
    EXIT = "exit"
    LET_GO = "close"


_S, _G, _E, _A = State, Goal, Event, Action

BEGINS = {
    _A.TAKE: _S.TAKING,
    _A.ENTER: _S.ENTERING,
    _A.ENTER_WITH_WAKEUP: _S.ENTERING,
    _A.EXIT: _S.EXITING,
    _A.LET_GO: _S.LETTING_GO,
}

SUCCEEDS = {
    _A.TAKE: _S.AWAKE,
    _A.ENTER: _S.ENTRY,
    _A.ENTER_WITH_WAKEUP: _S.ARMED,
    _A.EXIT: _S.AWAKE,
    _A.LET_GO: _S.RELEASED,
}

FAILS = {
    _A.TAKE: _S.REFUSED,
    _A.ENTER: _S.STALLED,
    _A.ENTER_WITH_WAKEUP: _S.STALLED,
    _A.EXIT: _S.STALLED,
    _A.LET_GO: _S.RELEASED,  # close(2) gives the descriptor up whatever it answers
}

FOLLOWS = {
    (_S.ARMED, _E.WOKEN): _S.WAITING,
    (_S.WAITING, _E.DUE): _S.AWAKE,
    (_S.REFUSED, _E.ASKED): _S.RELEASED,
    (_S.STALLED, _E.ASKED): _S.UNSURE,
    (_S.ENTRY, _E.DOUBTED): _S.UNSURE,
    (_S.ARMED, _E.DOUBTED): _S.UNSURE,
    (_S.WAITING, _E.SPENT): _S.SPENT,
    (_S.AWAKE, _E.SPENT): _S.SPENT,
    (_S.SPENT, _E.REARMED): _S.AWAKE,
}

NEXT = {
    (_S.RELEASED, _G.KEEP_AWAKE): _A.TAKE,
    (_S.RELEASED, _G.ENTRY): _A.TAKE,
    (_S.RELEASED, _G.ENTRY_WITH_WAKEUP): _A.TAKE,
    (_S.AWAKE, _G.ENTRY): _A.ENTER,
    (_S.AWAKE, _G.ENTRY_WITH_WAKEUP): _A.ENTER_WITH_WAKEUP,
    (_S.AWAKE, _G.RELEASE): _A.LET_GO,
    (_S.ENTRY, _G.KEEP_AWAKE): _A.EXIT,
    (_S.ENTRY, _G.ENTRY_WITH_WAKEUP): _A.EXIT,
    (_S.ENTRY, _G.RELEASE): _A.LET_GO,
    (_S.ARMED, _G.KEEP_AWAKE): _A.EXIT,
    (_S.ARMED, _G.ENTRY): _A.EXIT,
    (_S.ARMED, _G.RELEASE): _A.LET_GO,
    (_S.WAITING, _G.KEEP_AWAKE): _A.EXIT,
    (_S.WAITING, _G.ENTRY): _A.ENTER,
    (_S.WAITING, _G.RELEASE): _A.LET_GO,
    (_S.STALLED, _G.RELEASE): _A.LET_GO,
    (_S.SPENT, _G.RELEASE): _A.LET_GO,
    (_S.UNSURE, _G.KEEP_AWAKE): _A.EXIT,
    (_S.UNSURE, _G.ENTRY): _A.EXIT,
    (_S.UNSURE, _G.ENTRY_WITH_WAKEUP): _A.EXIT,
    (_S.UNSURE, _G.RELEASE): _A.LET_GO,
}

BUSY = frozenset((_S.TAKING, _S.ENTERING, _S.EXITING, _S.LETTING_GO))
"""States in which a worker has the device: nothing else is begun."""

SURVIVES = {
    **dict.fromkeys((_S.TAKING, _S.AWAKE), _S.AWAKE),  # it was not entered since it was opened
    _S.ENTRY: _S.ENTRY,
    _S.ARMED: _S.ARMED,
    _S.WAITING: _S.WAITING,
    _S.STALLED: _S.STALLED,
    _S.SPENT: _S.SPENT,
}
"""What stands of a held device when its holder died in a state. In any other it is UNSURE."""

CARRIES_ON = {
    _S.ENTRY: _G.ENTRY,
    _S.ARMED: _G.ENTRY_WITH_WAKEUP,
    _S.WAITING: _G.ENTRY_WITH_WAKEUP,
}
"""The goal of a held device of which nobody knows any more what was declared."""

ENGAGED = {_S.ENTRY: Mode.ENTRY, _S.ARMED: Mode.ENTRY_WITH_WAKEUP}
"""The mode in force in the kernel; in every other state it is ``none``."""

GOALS = {
    Mode.ENTRY: _G.ENTRY,
    Mode.ENTRY_WITH_WAKEUP: _G.ENTRY_WITH_WAKEUP,
}


def goal_of(mode: Mode, reserve: bool) -> Goal:
    """Say what a rule wants of a device that nothing stands in the way of."""
    if mode is Mode.NONE:
        return Goal.KEEP_AWAKE if reserve else Goal.RELEASE
    return GOALS[mode]


def step(state: State, goal: Goal) -> Optional[Action]:
    """Return what to begin, or None where the goal is reached or a worker is at it."""
    return NEXT.get((state, goal))


def survivor(state: Optional[State]) -> State:
    """Return the state of a held device whose last record has ``state``, or that has no record."""
    return SURVIVES.get(state, State.UNSURE) if state else State.UNSURE


def after(state: State, event: Event, action: Optional[Action] = None) -> State:
    """Return the state that follows; the same where the event means nothing in it."""
    if event is Event.DONE and action is not None:
        return SUCCEEDS[action]
    if event is Event.FAILED and action is not None:
        return FAILS[action]
    return FOLLOWS.get((state, event), state)


def reaches(state: State, goal: Goal) -> list[Action]:
    """Return the actions that lead from a state to a goal when none of them fails."""
    actions: list[Action] = []
    while (action := step(state, goal)) is not None:
        actions.append(action)
        state = SUCCEEDS[action]
    return actions
