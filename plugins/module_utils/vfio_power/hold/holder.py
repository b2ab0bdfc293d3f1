# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One device living under one policy.

Runs in the loop's thread. Decides nothing by itself: think/policy.py has the
tables, the keeper says what is wanted. What can block is handed to a worker.
"""

from __future__ import annotations

from typing import Callable, Optional, Protocol

from ..think import policy
from ..think.policy import Action, Event, Goal, State
from ..think.reentry import Memory
from ..touch.eventfd import drain, signalled
from ..touch.records import Record
from ..words.address import PciAddress
from ..words.facts import Identity
from ..words.mode import Mode
from ..words.report import Failure, Running, Wakes
from .grip import Grip
from .surroundings import Surroundings
from .waiting import Wait


class Keeping(Protocol):
    """What a holder asks of the keeper of all holders."""

    def carry_out(
        self,
        holder: Holder,
        action: Action,
        done: Callable[[Optional[Grip], Optional[Failure]], None],
    ) -> None:
        """Run the action in a worker; it yields the grip that is held afterwards."""

    def own_wake(self, holder: Holder) -> bool:
        """Tell whether a wake seen now may be our own doing."""

    def happened(self, holder: Holder, event: str, detail: str = "") -> None:
        """Hear what became of the device."""

    def refresh(self, address: PciAddress) -> None:
        """Tell the holder of a device what is wanted now."""

    def settled(self, holder: Holder) -> None:
        """Hear that nothing is left to do for the device now."""

    def put_off(self, holder: Holder) -> None:
        """Hear that what is left to do for the device is for the next helper."""

    def remember(self, holder: Holder) -> None:
        """Write down how the device stands, for a helper that has to take over."""

    @property
    def resting(self) -> bool:
        """Tell whether nothing is to be begun any more."""


class Holder:
    """Follows a goal; remembers what was engaged, what woke the device and what failed."""

    def __init__(self, address: PciAddress, keeping: Keeping, around: Surroundings) -> None:
        self.address = address
        self.state = State.RELEASED
        self.goal = Goal.RELEASE
        self.grip: Optional[Grip] = None
        self.wakes = Wakes()
        self.entered: Optional[float] = None
        self.running: Optional[Running] = None
        self.begun: Optional[float] = None  # when a worker began it, in seconds since the boot
        self.failure: Optional[Failure] = None
        self.card: Optional[Identity] = None  # whose wakes these are
        self._keeping = keeping
        self._around = around
        self._woken_early = False
        self._once = False
        self.wait = Wait(around, self._due, lambda event, text: keeping.happened(self, event, text))

    @property
    def engaged(self) -> Mode:
        """The mode in force as far as our calls and the eventfd tell."""
        return policy.ENGAGED.get(self.state, Mode.NONE)

    @property
    def busy(self) -> bool:
        """Tell whether a worker has the device right now."""
        return self.state in policy.BUSY

    def take_over(self, grip: Grip, record: Optional[Record]) -> None:
        """Go on with a device from where another helper left it, without a call to it."""
        record = record or Record(State.UNSURE)
        self.grip = grip
        self.state = policy.survivor(record.state)
        self.goal = policy.CARRIES_ON.get(self.state, Goal.KEEP_AWAKE)
        self._recall(record)
        if self.state is State.WAITING:
            self.wait.go_on()
        told = self.state is not State.ARMED and drain(grip.counters.wake)
        if told and self.state is State.UNSURE:  # in another state it was counted before
            self._count_wake(own=True)  # a call of ours was under way
        self._watch(grip)

    def stand_back(self, record: Record) -> None:
        """Go on with a device that is lent, could not be taken, or can do nothing for us."""
        self._recall(record)
        refused = record.failure is not None and record.state is State.REFUSED
        self.state = State.REFUSED if refused else State.RELEASED  # no worker has it any more

    def _recall(self, record: Record) -> None:
        self.wakes, self.entered, self.wait.memory = record.wakes, record.entered, record.reentry
        self.failure, self.card = record.failure, record.identity

    def belongs_to(self, card: Optional[Identity]) -> None:
        """Know which card is declared at the address. Of another one nothing is remembered."""
        if card in (None, self.card) or self.grip is not None:
            return
        before, self.card = self.card, card
        if before is not None:
            self.forget()

    @property
    def has_a_past(self) -> bool:
        """Tell whether anything is to be remembered of earlier holds."""
        return (self.wakes, self.wait.memory) != (Wakes(), Memory())

    def forget(self) -> None:
        """Begin anew with the next hold: the device is no longer declared, or another one is."""
        if self.has_a_past:
            self.wakes, self.wait.memory = Wakes(), Memory()
            self._keeping.remember(self)

    def want(self, goal: Goal) -> None:
        """Follow another goal from now on."""
        self.goal = goal
        self.proceed()

    def ask(self) -> None:
        """Try again what was refused before; somebody asks for it now."""
        state = policy.after(self.state, Event.ASKED)
        if state is not self.state:
            self.state, self.failure = state, None
            self._keeping.remember(self)

    def doubt(self) -> None:
        """End low power and enter it anew: it may have ended without a word."""
        self.look_for_wake()  # then it was not without a word
        state = policy.after(self.state, Event.DOUBTED)
        if state is not self.state:
            self.state = state
            self.proceed()

    def enter_only_once(self, *, once: bool) -> None:
        """Know whether the device takes no second entry before somebody says so."""
        self._once = once
        if not once:
            self.state = policy.after(self.state, Event.REARMED)
        elif self.state is State.WAITING:
            self._spend()

    def rearm(self) -> None:
        """Let a device that had its one entry have another one."""
        if self.state is State.SPENT:
            self.state = policy.after(self.state, Event.REARMED)
            self._keeping.remember(self)
            self._keeping.happened(self, "rearmed")

    def proceed(self) -> None:
        """Begin the next action towards the goal, or say why there is none."""
        action = policy.step(self.state, self.goal)
        if action is None:
            if not self.busy:
                self._keeping.settled(self)
        elif self._keeping.resting:
            self._keeping.put_off(self)
        else:
            self._begin(action)

    def look_for_wake(self) -> None:
        """Account for a signalled wake eventfd; several signals at once are one wake."""
        if self.grip is None or self.state is State.LETTING_GO:
            return  # a worker closes its descriptors
        if not signalled(self.grip.counters.wake):
            return
        own = self._keeping.own_wake(self)
        self._count_wake(own)
        if self.state is State.ENTERING:
            self._woken_early = True
        else:
            self._left_low_power(own)
        self._keeping.remember(self)
        drain(
            self.grip.counters.wake
        )  # not before it is written down: a helper that dies loses no wake

    def _begin(self, action: Action) -> None:
        self.look_for_wake()  # what was signalled before is not the doing of this action
        if action is Action.LET_GO:
            self._unwatch()
        self.wait.end()
        self.running, self.begun = Running(action.value, self._around.clock()), None
        self.state = policy.BEGINS[action]
        self._woken_early = False
        self._keeping.remember(self)  # the intent, before the call
        self._keeping.happened(self, self.state.value)
        self._keeping.carry_out(self, action, lambda grip, fail: self._end(action, grip, fail))

    def _end(self, action: Action, grip: Optional[Grip], failure: Optional[Failure]) -> None:
        refused = failure is not None and action is not Action.LET_GO
        self.running = None
        if failure is not None or action is not Action.LET_GO:
            self.failure = failure  # why it had to be let go is still to be told afterwards
        self.state = policy.after(self.state, Event.FAILED if refused else Event.DONE, action)
        self.grip = grip
        if action is Action.TAKE and grip is not None:
            self._watch(grip)
        self._tell(action, failure)
        if self.state in policy.ENGAGED:
            self.entered = self._around.clock()
        if self.state is State.ARMED:
            self.wait.entered()
        if self._woken_early:
            self._left_low_power(own=True)
        if self._once and action is Action.EXIT:
            self._spend()
        self._keeping.remember(self)
        self._keeping.refresh(self.address)

    def _tell(self, action: Action, failure: Optional[Failure]) -> None:
        told = {Action.TAKE: "taken", Action.EXIT: "exited", Action.LET_GO: "released"}
        if failure is not None:
            self._keeping.happened(self, "refused", str(failure.message))
        if failure is None or action is Action.LET_GO:
            self._keeping.happened(self, told.get(action, "entered"), action.value)

    def _count_wake(self, own: bool) -> None:
        now = self._around.clock()
        self.wakes = Wakes(self.wakes.total + 1, self.wakes.foreign + (not own), now)
        self._keeping.happened(self, "woken-own" if own else "woken-foreign")

    def _left_low_power(self, own: bool) -> None:
        state = policy.after(self.state, Event.WOKEN)
        if state is self.state:
            return
        self.state = state
        if self._once:
            self._spend()
            self._keeping.happened(self, "stays-awake", "own" if own else "foreign")
            return
        self.wait.begin(own=own)
        self._keeping.happened(self, "waiting", "own" if own else "foreign")

    def _due(self) -> None:
        self.wait.end()
        self.state = policy.after(self.state, Event.DUE)
        self._keeping.refresh(self.address)

    def _spend(self) -> None:
        self.wait.end()
        self.state = policy.after(self.state, Event.SPENT)

    def _watch(self, grip: Grip) -> None:
        self._around.watch(grip.counters.wake.fileno(), self.look_for_wake)
        self._around.watch(grip.counters.request.fileno(), self._requested)
        self._around.watch(grip.counters.error.fileno(), self._failed)

    def _unwatch(self) -> None:
        if self.grip is not None:
            self._around.unwatch(self.grip.counters.wake.fileno())
            self._around.unwatch(self.grip.counters.request.fileno())
            self._around.unwatch(self.grip.counters.error.fileno())

    def _requested(self) -> None:
        if self.grip is not None and drain(self.grip.counters.request):
            self._keeping.happened(self, "requested")

    def _failed(self) -> None:
        """Tell of an error once, undrained: a helper that takes over has to hear of it as well."""
        if self.grip is not None:
            self._around.unwatch(self.grip.counters.error.fileno())
            self._keeping.happened(self, "failed")
