# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a device is woken that somebody keeps reading, and how much of the time it sleeps."""

from __future__ import annotations

import random
from bisect import bisect_left
from pathlib import Path
from typing import NamedTuple

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.reentry import (
    BREAKER,
    BUCKET,
    ENOUGH_GOOD,
    GOOD,
    JUDGED,
    REST,
    SHORT,
    Breaker,
    Memory,
    entered,
    woken,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import Reentry

COLLECTION = Path(__file__).parents[5]
HOUR, DAY = 3600.0, 86400.0
USUAL = Reentry()
MIDDLE = 0.5  # the chance by which a wait is neither shorter nor longer


class Day(NamedTuple):
    """What became of a device in a day."""

    wakes: int
    entries: list[float]  # when it was entered after a wake
    asleep: float  # the share of the day
    storms: int

    @property
    def busiest_hour(self) -> int:
        ends = [bisect_left(self.entries, it + HOUR) for it in self.entries]
        return max(end - begin for begin, end in enumerate(ends))


def day(every: float, bounds: Reentry = USUAL, seed: int = 1, own: object = None) -> Day:
    """Let somebody read a device every so many seconds, more or less, for a day."""
    dice = random.Random(seed)
    memory, begun, read = entered(Memory(), 0.0), 0.0, 0.0
    wakes, storms, asleep, entries = 0, 0, 0.0, []
    while begun < DAY:
        while read <= begun:
            read += every * dice.uniform(0.9, 1.1)
        asleep += min(read, DAY) - begun
        if read >= DAY:
            break
        wakes += 1
        ours = own is not None and own(wakes)
        memory = woken(memory, bounds, read, dice.random(), own=ours)
        storms += memory.breaker is Breaker.OPEN
        begun = memory.due
        memory = entered(memory, begun)
        if begun < DAY:
            entries.append(begun)
    return Day(wakes, entries, asleep / DAY, storms)


def after_sleeps(
    *lengths: float, bounds: Reentry = USUAL, own: bool = False, memory: Memory | None = None
) -> tuple[Memory, float]:
    """Return what is remembered after sleeps of these lengths, and the time of the last wake.

    Each begins when it was due, the first one at once.
    """
    memory = memory or Memory()
    now = memory.due or 0.0
    for length in lengths:
        memory = entered(memory, now if memory.due is None else memory.due)
        now = memory.asleep_since + length
        memory = woken(memory, bounds, now, MIDDLE, own=own)
    return memory, now


def waits(memory: Memory, now: float) -> float:
    return pytest.approx(memory.due - now)


STORM, _NOW = after_sleeps(*[1.0] * JUDGED)
FULL = Reentry(burst=1000)  # a bucket that is not met


class TestADay:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize(
        ("every", "wakes", "asleep"),
        [
            (1, (90, 115), (0.0, 0.01)),
            (10, (90, 400), (0.0, 0.05)),
            (60, (1400, 1450), (0.9, 0.94)),
            (300, (280, 290), (0.97, 0.99)),
            (3600, (23, 24), (0.99, 1.0)),
        ],
    )
    def test_fast_readers_are_given_up_on_and_slow_ones_hardly_cost_sleep(
        self, every: float, wakes: tuple[int, int], asleep: tuple[float, float], seed: int
    ) -> None:
        seen = day(every, seed=seed)
        assert wakes[0] <= seen.wakes <= wakes[1]
        assert asleep[0] <= seen.asleep <= asleep[1]

    def test_the_page_on_wakes_shows_it_as_it_is(self) -> None:
        days = [day(every) for every in (1, 10, 60, 300, 3600)]
        row = [f"**{it.wakes}, {it.asleep * 100:.0f} %**" for it in days]
        page = (COLLECTION / "docs" / "wakes.md").read_text(encoding="utf-8")
        assert f"| **with the breaker** | {' | '.join(row)} |" in page

    @pytest.mark.parametrize("bounds", [USUAL, Reentry(0.1, 20, 3), Reentry(0.1, 360, 50)])
    @pytest.mark.parametrize("every", [1, 7, 20, 30, 45, 60, 300])
    def test_there_are_never_more_entries_than_declared(
        self, every: float, bounds: Reentry
    ) -> None:
        seen = day(every, bounds)
        assert len(seen.entries) <= bounds.max_per_hour * 24 + bounds.burst
        assert seen.busiest_hour <= bounds.max_per_hour + bounds.burst

    def test_a_reader_of_every_half_minute_meets_the_bound_per_hour(self) -> None:
        assert day(30).wakes < day(30, FULL._replace(max_per_hour=3600)).wakes / 2

    @pytest.mark.parametrize("every", [60, 300, 3600])
    def test_slow_readers_never_make_a_storm(self, every: float) -> None:
        assert day(every).storms == 0

    @pytest.mark.parametrize("every", [1, 10])
    def test_a_stranger_who_is_always_taken_for_ourselves_is_bounded_too(
        self, every: float
    ) -> None:
        for own in (lambda _wake: True, lambda wake: wake % 2, lambda wake: wake % 3):
            entries = len(day(every, own=own).entries)
            assert entries <= 2 * (USUAL.max_per_hour * 24 + USUAL.burst)


class TestTheDelay:
    def test_an_entry_comes_after_the_delay(self) -> None:
        memory, now = after_sleeps(100.0, bounds=Reentry(delay=30))
        assert waits(memory, now) == 30
        assert (memory.put_off_by, memory.suppressed) == (None, 0)

    @pytest.mark.parametrize(("chance", "wait"), [(0.0, 9.0), (0.5, 10.0), (1.0, 11.0)])
    def test_it_is_a_tenth_shorter_or_longer_by_chance(self, chance: float, wait: float) -> None:
        memory = woken(entered(Memory(), 0.0), Reentry(delay=10), 50.0, chance, own=False)
        assert waits(memory, 50.0) == wait

    def test_so_is_the_rest_in_a_storm(self) -> None:
        memory = entered(STORM, STORM.due)
        for chance, wait in ((0.0, 0.9 * REST), (1.0, 1.1 * REST)):
            again = woken(memory, USUAL, STORM.due + 1, chance, own=False)
            assert waits(again, STORM.due + 1) == wait

    def test_once_entered_nothing_is_due(self) -> None:
        memory = entered(STORM, STORM.due)
        assert (memory.due, memory.put_off_by) == (None, None)


class TestTheBucket:
    BOUNDS = Reentry(delay=5, max_per_hour=1, burst=3)

    def test_after_a_burst_an_entry_waits_for_its_turn(self) -> None:
        memory, now = after_sleeps(6.0, 6.0, 6.0, bounds=self.BOUNDS)
        assert waits(memory, now) == 5
        memory, now = after_sleeps(6.0, bounds=self.BOUNDS, memory=memory)
        # The bucket was full at the first of four wakes, which lie 6 + 5 seconds apart.
        assert waits(memory, now) == HOUR - 3 * 11
        assert (memory.put_off_by, memory.suppressed) == (BUCKET, 1)

    def test_chance_never_lets_it_enter_before_its_turn(self) -> None:
        memory, _now = after_sleeps(6.0, 6.0, 6.0, bounds=self.BOUNDS)
        memory = entered(memory, memory.due)
        now = memory.asleep_since + 6
        early = woken(memory, self.BOUNDS, now, 0.0, own=False)
        assert waits(early, now) == HOUR - 3 * 11

    def test_it_fills_again_while_the_device_sleeps(self) -> None:
        memory, _now = after_sleeps(6.0, 6.0, 6.0, bounds=self.BOUNDS)
        memory, now = after_sleeps(HOUR, bounds=self.BOUNDS, memory=memory)
        assert waits(memory, now) == 5
        memory, now = after_sleeps(30 * HOUR, *[6.0] * 2, bounds=self.BOUNDS, memory=memory)
        assert waits(memory, now) == 5
        memory, now = after_sleeps(6.0, bounds=self.BOUNDS, memory=memory)
        assert memory.put_off_by == BUCKET

    def test_a_smaller_one_holds_at_once_and_owes_nothing_of_before(self) -> None:
        memory, _now = after_sleeps(*[6.0] * 100, bounds=FULL)
        memory, now = after_sleeps(6.0, bounds=self.BOUNDS, memory=memory)
        assert waits(memory, now) == HOUR


class TestTheBreaker:
    def test_eight_short_sleeps_open_it(self) -> None:
        memory, _now = after_sleeps(*[1.0] * (JUDGED - 1))
        assert memory.breaker is Breaker.CLOSED
        memory, now = after_sleeps(1.0, memory=memory)
        assert (memory.breaker, memory.put_off_by) == (Breaker.OPEN, BREAKER)
        assert waits(memory, now) == REST

    def test_it_tells_how_many_wakes_there_were_in_which_time(self) -> None:
        assert STORM.storm_wakes == JUDGED
        assert STORM.storm.lasted == pytest.approx(JUDGED * 1.0 + (JUDGED - 1) * USUAL.delay)
        again, _now = after_sleeps(1.0, memory=STORM)
        assert again.storm_wakes == JUDGED + 1
        assert again.storm.lasted == pytest.approx(STORM.storm.lasted + REST + 1.0)

    @pytest.mark.parametrize(
        ("lengths", "opens"),
        [
            ([SHORT] * JUDGED, False),
            ([SHORT - 0.1] * JUDGED, True),
            ([1.0] * (JUDGED - 1) + [100.0], False),
            ([1000.0] + [1.0] * JUDGED, True),
            ([1000.0] + [1.0] * (JUDGED - 1), False),
        ],
    )
    def test_only_the_last_eight_on_average_count(self, lengths: list[float], opens: bool) -> None:
        memory, _now = after_sleeps(*lengths, bounds=FULL)
        assert (memory.breaker is Breaker.OPEN) == opens

    def test_after_the_rest_comes_one_attempt_and_a_short_sleep_ends_it(self) -> None:
        trying = entered(STORM, STORM.due)
        assert trying.breaker is Breaker.HALF_OPEN
        memory = woken(trying, USUAL, STORM.due + SHORT - 0.1, MIDDLE, own=False)
        assert memory.breaker is Breaker.OPEN
        assert waits(memory, STORM.due + SHORT - 0.1) == REST

    def test_an_entry_before_the_time_that_somebody_asked_for_is_the_attempt(self) -> None:
        assert entered(STORM, _NOW + 1).breaker is Breaker.HALF_OPEN

    def test_good_sleeps_close_it_and_the_count_begins_anew(self) -> None:
        memory, _now = after_sleeps(*[GOOD + 1] * (ENOUGH_GOOD - 1), memory=STORM)
        assert memory.breaker is Breaker.HALF_OPEN
        memory, now = after_sleeps(GOOD + 1, memory=memory)
        assert (memory.breaker, memory.storm_wakes) == (Breaker.CLOSED, 0)
        assert waits(memory, now) == USUAL.delay
        memory, _now = after_sleeps(*[1.0] * (JUDGED - 1), memory=memory)
        assert memory.breaker is Breaker.CLOSED
        memory, _now = after_sleeps(1.0, memory=memory)
        assert memory.breaker is Breaker.OPEN

    def test_a_short_sleep_makes_the_good_ones_before_it_count_for_nothing(self) -> None:
        memory, _now = after_sleeps(GOOD + 1, 1.0, GOOD + 1, memory=STORM)
        assert memory.breaker is Breaker.HALF_OPEN

    def test_a_sleep_that_is_neither_leaves_it_undecided_and_the_device_goes_on(self) -> None:
        memory, now = after_sleeps(*[GOOD - 1] * 20, memory=STORM)
        assert memory.breaker is Breaker.HALF_OPEN
        assert waits(memory, now) == USUAL.delay

    def test_a_sleep_of_unknown_length_is_not_judged(self) -> None:
        memory = Memory()
        for now in range(100):
            memory = woken(memory, FULL, float(now), MIDDLE, own=False)
        assert memory.breaker is Breaker.CLOSED


class TestOurOwnWakes:
    def test_one_takes_no_token_and_the_device_goes_back_after_its_delay(self) -> None:
        bounds = Reentry(delay=5, max_per_hour=1, burst=1)
        memory, _now = after_sleeps(6.0, bounds=bounds)
        memory, now = after_sleeps(6.0, bounds=bounds, memory=memory, own=True)
        assert waits(memory, now) == 5
        assert memory.suppressed == 0
        assert memory.spent < 1.0

    def test_a_second_one_in_a_row_may_be_a_stranger_and_takes_a_token(self) -> None:
        bounds = Reentry(delay=5, max_per_hour=1, burst=1)
        memory, now = after_sleeps(6.0, 6.0, bounds=bounds, own=True)
        assert waits(memory, now) == 5
        memory, now = after_sleeps(6.0, bounds=bounds, own=True, memory=memory)
        assert memory.put_off_by == BUCKET

    def test_they_accuse_nobody_of_a_storm(self) -> None:
        memory, _now = after_sleeps(*[0.1] * 100, bounds=FULL, own=True)
        assert memory.breaker is Breaker.CLOSED

    def test_one_does_not_decide_the_attempt_after_a_storm(self) -> None:
        memory, now = after_sleeps(1.0, memory=STORM, own=True)
        assert memory.breaker is Breaker.HALF_OPEN
        assert waits(memory, now) == USUAL.delay
