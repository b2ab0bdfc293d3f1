# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One device under one policy, with a worker that answers when the test says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Callable, Optional, cast

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.grip import (
    Counters,
    Grip,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.holder import Holder
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.policy import (
    Action,
    Goal,
    State,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.reentry import (
    Breaker,
    Memory,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.device import Device
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.eventfd import (
    eventfd,
    signalled,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Identity
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Failure,
    Wakes,
)

NIC = PciAddress.parse("0000:02:00.0")
NO = Failure("kernel-refused", "no")
ONE = (1).to_bytes(8, "little")


class Timer:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when, self.callback, self.cancelled = when, callback, False

    def cancel(self) -> None:
        self.cancelled = True


class World:
    """Keeper and surroundings of one holder. ``asked`` are the actions that a worker was given."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Timer] = []
        self.watched: dict[int, Callable[[], None]] = {}
        self.asked: list[Action] = []
        self.events: list[str] = []
        self.details: list[str] = []
        self.memories: list[Memory] = []  # those that were written down
        self.settlings = 0
        self.resting = False
        self.remembered: list[
            tuple[State, int, bool]
        ] = []  # state, wakes, and nothing is signalled
        self.own = False
        self.holder = Holder(NIC, self, self)  # type: ignore[arg-type]
        self._nodes = ExitStack()
        counters = Counters(*(self._nodes.enter_context(eventfd()) for _counter in range(3)))
        self.grip = Grip(cast(Device, None), counters, 1, "group", lambda _grip: None)

    def close(self) -> None:
        self._nodes.close()

    def signal(self, times: int = 1) -> None:
        for _time in range(times):
            os.write(self.grip.counters.wake.fileno(), ONE)

    def answer(self, failure: Optional[Failure] = None) -> None:
        """Let the worker's last action end."""
        kept = None if self.asked[-1] is Action.LET_GO else self.grip
        if failure and self.asked[-1] is Action.TAKE:
            kept = None
        self._done(kept, failure)

    def refresh(self, _address: PciAddress) -> None:
        self.holder.proceed()

    def reach(self, goal: Goal) -> None:
        """Bring the holder to a goal with a worker that always succeeds."""
        self.holder.want(goal)
        while self.holder.busy:
            self.answer()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = [it for it in self.timers if it.when <= self.now and not it.cancelled]
        self.timers = [it for it in self.timers if it not in due]
        for timer in due:
            timer.callback()

    # What a holder asks of its keeper.

    def carry_out(
        self,
        _holder: Holder,
        action: Action,
        done: Callable[[Optional[Grip], Optional[Failure]], None],
    ) -> None:
        self.asked.append(action)
        self._done = done

    def own_wake(self, _holder: Holder) -> bool:
        return self.own

    def happened(self, _holder: Holder, event: str, detail: str = "") -> None:
        self.events.append(event)
        self.details.append(detail)

    def settled(self, _holder: Holder) -> None:
        self.settlings += 1

    def remember(self, holder: Holder) -> None:
        self.remembered.append((holder.state, holder.wakes.total, drained(self.grip)))
        self.memories.append(holder.wait.memory)

    # What it asks of its surroundings.

    def clock(self) -> float:
        return self.now

    def uptime(self) -> float:
        return self.now

    def chance(self) -> float:
        return 0.5

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.now + seconds, callback))
        return self.timers[-1]

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(when, callback))
        return self.timers[-1]

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        self.watched[fd] = callback

    def unwatch(self, fd: int) -> None:
        self.watched.pop(fd, None)


def drained(grip: Grip) -> bool:
    return not signalled(grip.counters.wake)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture
def holder(world: World) -> Holder:
    """A holder whose device is armed."""
    world.reach(Goal.ENTRY_WITH_WAKEUP)
    world.asked.clear()
    world.events.clear()
    return world.holder


def test_several_signals_before_anybody_looks_are_one_wake(world: World, holder: Holder) -> None:
    world.signal(3)
    holder.look_for_wake()
    holder.look_for_wake()
    assert (holder.wakes.total, holder.wakes.foreign) == (1, 1)
    assert world.events == ["woken-foreign", "waiting"]


def test_a_look_without_a_signal_is_no_wake(world: World, holder: Holder) -> None:
    holder.look_for_wake()
    assert holder.state is State.ARMED
    assert not world.events


def test_a_second_signal_does_not_make_it_wait_longer(world: World, holder: Holder) -> None:
    world.signal()
    holder.look_for_wake()
    until = holder.wait.until
    world.now += 3
    world.signal()
    holder.look_for_wake()
    assert holder.wait.until == until


def test_another_card_inherits_no_wakes(world: World, holder: Holder) -> None:
    first, second = (Identity("8086", it, "8086", "0000", "020000") for it in ("10d3", "10d4"))
    holder.belongs_to(first)
    world.signal()
    holder.look_for_wake()
    holder.belongs_to(second)
    assert holder.wakes.total == 1, "the card that is held is the first one"
    holder.want(Goal.RELEASE)
    world.answer()
    for card in (None, first):
        holder.belongs_to(card)
        assert holder.wakes.total == 1
    holder.belongs_to(second)
    assert (holder.wakes, holder.wait.memory) == (Wakes(), Memory())


def test_the_delay_counts_from_the_wake(world: World, holder: Holder) -> None:
    world.signal()
    holder.look_for_wake()
    world.pass_time(4.9)
    assert not world.asked
    world.pass_time(0.2)
    assert world.asked == [Action.ENTER_WITH_WAKEUP]


def test_a_second_signal_takes_nothing_from_the_bounds(world: World, holder: Holder) -> None:
    world.signal(2)
    holder.look_for_wake()
    before = holder.wait.memory
    world.now += 3
    world.signal()
    holder.look_for_wake()
    assert holder.wait.memory == before
    assert before.spent == 1.0


def test_the_breaker_is_told_of_when_it_moves_and_with_the_facts(
    world: World, holder: Holder
) -> None:
    for _wake in range(10):
        world.signal()
        holder.look_for_wake()
        world.pass_time((holder.wait.memory.due or 0.0) - world.now)
        world.answer()
    moves = [event for event in world.events if event.startswith("breaker")]
    assert moves == ["breaker-open", "breaker-half-open"] * 3
    assert "8 wakes in 35 s; left awake for 900 s" in world.details
    assert "8 wakes in 35 s" in world.details


def test_a_mode_that_tells_of_no_wakes_is_no_attempt(world: World, holder: Holder) -> None:
    while holder.wait.memory.breaker is Breaker.CLOSED:
        world.pass_time(5)
        world.reach(Goal.ENTRY_WITH_WAKEUP)
        world.signal()
        holder.look_for_wake()
    world.reach(Goal.ENTRY)
    assert (holder.state, holder.wait.memory.breaker) == (State.ENTRY, Breaker.OPEN)
    world.reach(Goal.ENTRY_WITH_WAKEUP)
    assert holder.wait.memory.breaker is Breaker.HALF_OPEN


def test_what_bounds_the_entries_is_written_down_with_the_wake(
    world: World, holder: Holder
) -> None:
    world.memories.clear()
    world.signal()
    holder.look_for_wake()
    (memory,) = world.memories
    assert (memory.spent, memory.due) == (1.0, world.now + 5)


def test_a_signal_while_an_entry_runs_makes_it_wait_once_the_entry_is_through(
    world: World, holder: Holder
) -> None:
    world.reach(Goal.KEEP_AWAKE)
    holder.want(Goal.ENTRY_WITH_WAKEUP)
    world.signal()
    holder.look_for_wake()
    assert holder.state is State.ENTERING
    world.answer()
    assert holder.state is State.WAITING
    world.pass_time(5)
    world.answer()
    assert holder.state is State.ARMED


def test_a_signal_from_before_an_entry_does_not_end_it(world: World, holder: Holder) -> None:
    """Or the device would be entered again, which signals, and so on for ever."""
    world.reach(Goal.KEEP_AWAKE)
    world.signal()
    world.reach(Goal.ENTRY_WITH_WAKEUP)
    assert holder.state is State.ARMED
    assert not world.timers


def test_another_goal_during_an_action_is_followed_after_it(world: World) -> None:
    holder = world.holder
    holder.want(Goal.ENTRY)
    holder.want(Goal.RELEASE)
    assert world.asked == [Action.TAKE]
    world.answer()
    assert world.asked == [Action.TAKE, Action.LET_GO]
    world.answer()
    assert holder.state is State.RELEASED
    assert world.settlings == 1


def test_a_goal_that_comes_and_goes_during_an_action_costs_nothing(
    world: World, holder: Holder
) -> None:
    holder.want(Goal.KEEP_AWAKE)
    holder.want(Goal.RELEASE)
    holder.want(Goal.KEEP_AWAKE)
    world.answer()
    assert world.asked == [Action.EXIT]
    assert holder.state is State.AWAKE


def test_nothing_is_watched_once_a_worker_closes_it(world: World, holder: Holder) -> None:
    holder.want(Goal.RELEASE)
    assert not world.watched
    world.signal()
    holder.look_for_wake()
    assert holder.wakes.total == 0


def test_a_wake_right_before_it_is_let_go_is_still_counted(world: World, holder: Holder) -> None:
    world.signal()
    holder.want(Goal.RELEASE)
    assert holder.wakes.foreign == 1
    world.answer()
    world.pass_time(60)
    assert (holder.state, holder.wait.until) == (State.RELEASED, None)
    assert world.asked == [Action.LET_GO]


def test_a_refused_opening_is_settled_and_stays_so(world: World) -> None:
    holder = world.holder
    holder.want(Goal.ENTRY)
    world.answer(NO)
    assert (holder.state, holder.failure, holder.grip) == (State.REFUSED, NO, None)
    assert world.settlings == 1
    holder.want(Goal.ENTRY)
    assert world.asked == [Action.TAKE]


def test_what_failed_is_forgotten_when_it_succeeds(world: World) -> None:
    holder = world.holder
    holder.want(Goal.ENTRY)
    world.answer(NO)
    holder.ask()
    world.reach(Goal.ENTRY)
    assert (holder.state, holder.failure) == (State.ENTRY, None)


def test_a_device_that_did_not_come_back_says_so_after_its_close(
    world: World, holder: Holder
) -> None:
    holder.want(Goal.RELEASE)
    world.answer(NO)
    assert (holder.state, holder.failure) == (State.RELEASED, NO)
    assert world.events == ["letting-go", "refused", "released"]


def test_a_request_is_passed_on_once(world: World, holder: Holder) -> None:
    os.write(world.grip.counters.request.fileno(), ONE)
    world.watched[world.grip.counters.request.fileno()]()
    world.watched[world.grip.counters.request.fileno()]()
    assert world.events == ["requested"]
    assert holder.state is State.ARMED  # the keeper decides
