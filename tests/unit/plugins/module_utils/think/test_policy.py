# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the policy, read pair by pair."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think import policy
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.policy import (
    Action,
    Event,
    Goal,
    State,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode

RESTING_PLACE = {
    Goal.RELEASE: State.RELEASED,
    Goal.KEEP_AWAKE: State.AWAKE,
    Goal.ENTRY: State.ENTRY,
    Goal.ENTRY_WITH_WAKEUP: State.ARMED,
}
NOT_ASKED = {State.REFUSED, State.STALLED, State.SPENT}
"""States that are left only when somebody asks."""


@pytest.mark.parametrize("goal", Goal)
@pytest.mark.parametrize("state", [s for s in State if s not in policy.BUSY | NOT_ASKED])
def test_every_goal_is_reached_from_every_state_when_nothing_fails(state, goal):
    for action in policy.reaches(state, goal):
        state = policy.SUCCEEDS[action]
    waits = state is State.WAITING and goal is Goal.ENTRY_WITH_WAKEUP
    assert waits or state is RESTING_PLACE[goal]


@pytest.mark.parametrize("goal", Goal)
def test_a_reached_goal_asks_for_nothing(goal):
    assert policy.step(RESTING_PLACE[goal], goal) is None


@pytest.mark.parametrize("state", [s for s in State if s in policy.BUSY])
@pytest.mark.parametrize("goal", Goal)
def test_nothing_is_begun_while_a_worker_has_the_device(state, goal):
    assert policy.step(state, goal) is None


@pytest.mark.parametrize("goal", [Goal.ENTRY, Goal.ENTRY_WITH_WAKEUP, Goal.KEEP_AWAKE])
def test_a_refused_device_is_not_tried_again_until_somebody_asks(goal):
    assert policy.step(State.REFUSED, goal) is None
    assert policy.step(policy.after(State.REFUSED, Event.ASKED), goal) is Action.TAKE


def test_a_stalled_device_can_still_be_let_go():
    assert policy.step(State.STALLED, Goal.ENTRY) is None
    assert policy.step(State.STALLED, Goal.RELEASE) is Action.LET_GO


@pytest.mark.parametrize("goal", [Goal.ENTRY, Goal.ENTRY_WITH_WAKEUP, Goal.KEEP_AWAKE])
def test_after_a_failed_mode_call_low_power_is_ended_before_anything_else(goal):
    """Which mode is engaged then, if any, is not known; entering on top of it may never end."""
    assert policy.step(policy.after(State.STALLED, Event.ASKED), goal) is Action.EXIT


def test_one_mode_is_never_entered_on_top_of_the_other():
    """The kernel would silently replace wake-up mode, or refuse with EINVAL."""
    assert policy.reaches(State.ENTRY, Goal.ENTRY_WITH_WAKEUP) == [
        Action.EXIT,
        Action.ENTER_WITH_WAKEUP,
    ]
    assert policy.reaches(State.ARMED, Goal.ENTRY) == [Action.EXIT, Action.ENTER]


def test_a_wakeup_means_something_only_while_armed():
    moved = [state for state in State if policy.after(state, Event.WOKEN) is not state]
    assert moved == [State.ARMED]


def test_a_woken_device_waits_until_it_is_due_even_when_asked():
    assert policy.step(State.WAITING, Goal.ENTRY_WITH_WAKEUP) is None
    assert policy.after(State.WAITING, Event.ASKED) is State.WAITING
    due = policy.after(State.WAITING, Event.DUE)
    assert policy.step(due, Goal.ENTRY_WITH_WAKEUP) is Action.ENTER_WITH_WAKEUP


def test_a_failed_close_still_lets_go():
    assert policy.after(State.LETTING_GO, Event.FAILED, Action.LET_GO) is State.RELEASED


def test_every_action_says_where_it_begins_and_ends():
    assert set(policy.BEGINS) == set(policy.SUCCEEDS) == set(policy.FAILS) == set(Action)
    assert set(policy.BEGINS.values()) == policy.BUSY


@pytest.mark.parametrize(
    ("mode", "reserve", "goal"),
    [
        (Mode.NONE, False, Goal.RELEASE),
        (Mode.NONE, True, Goal.KEEP_AWAKE),
        (Mode.ENTRY, False, Goal.ENTRY),
        (Mode.ENTRY_WITH_WAKEUP, False, Goal.ENTRY_WITH_WAKEUP),
    ],
)
def test_a_rule_says_what_is_wanted(mode, reserve, goal):
    assert policy.goal_of(mode, reserve) is goal
