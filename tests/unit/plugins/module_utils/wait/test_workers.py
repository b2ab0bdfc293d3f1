# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of one key one after the other, those of different keys side by side."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any, Callable

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.workers import (
    Outcome,
    Workers,
)

from .serving import RunningLoop


class Collecting:
    """Waits for a number of jobs to be done; remembers in which thread they came back."""

    def __init__(self, expected: int) -> None:
        self.outcomes: list[Outcome[Any]] = []
        self.threads: set[int] = set()
        self._expected = expected
        self._complete = threading.Event()

    def done(self, outcome: Outcome[Any]) -> None:
        self.outcomes.append(outcome)
        self.threads.add(threading.get_ident())
        if len(self.outcomes) == self._expected:
            self._complete.set()

    def wait(self) -> list[Any]:
        assert self._complete.wait(10), f"only {len(self.outcomes)} jobs came back"
        return [outcome.value for outcome in self.outcomes]


def submit(
    running: RunningLoop,
    workers: Workers,
    key: str,
    work: Callable[[], Any],
    done: Callable[[Outcome[Any]], None],
) -> None:
    running.do(lambda: workers.submit(key, work, done))


def test_the_work_runs_elsewhere_and_its_end_is_told_in_the_loop() -> None:
    with RunningLoop() as running:
        workers = Workers(running.loop, 2)
        collecting = Collecting(1)
        submit(running, workers, "a", threading.get_ident, collecting.done)
        (worked_in,) = collecting.wait()
        looping_in = running.do(threading.get_ident)
        assert collecting.threads == {looping_in}
        assert worked_in != looping_in
        workers.close(5)


def test_the_loop_hears_that_a_job_was_begun_and_not_before() -> None:
    with RunningLoop() as running:
        workers = Workers(running.loop, 1)
        collecting = Collecting(2)
        gate, heard = threading.Event(), []
        for key in "ab":
            begun = partial(heard.append, key)
            work = partial(gate.wait, 10)
            running.do(partial(workers.submit, key, work, collecting.done, begun))
        deadline = time.monotonic() + 10
        while not running.do(lambda: list(heard)):
            assert time.monotonic() < deadline
        assert running.do(lambda: list(heard)) == ["a"]
        gate.set()
        collecting.wait()
        assert heard == ["a", "b"]
        workers.close(5)


def test_an_error_comes_back_as_an_outcome() -> None:
    with RunningLoop() as running:
        workers = Workers(running.loop, 1)
        collecting = Collecting(1)
        submit(running, workers, "a", lambda: 1 // 0, collecting.done)
        collecting.wait()
        assert isinstance(collecting.outcomes[0].error, ZeroDivisionError)
        workers.close(5)


def test_jobs_of_one_key_keep_their_order_and_never_overlap() -> None:
    with RunningLoop() as running:
        workers = Workers(running.loop, 4)
        collecting = Collecting(20)
        inside: list[int] = []
        most = 0

        def work(number: int) -> int:
            nonlocal most
            inside.append(number)
            most = max(most, len(inside))
            time.sleep(0.001)
            inside.remove(number)
            return number

        for number in range(20):
            submit(running, workers, "a", lambda number=number: work(number), collecting.done)
        assert collecting.wait() == list(range(20))
        assert most == 1
        workers.close(5)


def test_a_key_that_hangs_delays_no_other() -> None:
    with RunningLoop() as running:
        workers = Workers(running.loop, 2)
        slow, quick = Collecting(1), Collecting(10)
        gate = threading.Event()
        submit(running, workers, "slow", lambda: gate.wait(10), slow.done)
        for number in range(10):
            submit(running, workers, f"quick {number}", lambda: "quick", quick.done)
        assert quick.wait() == ["quick"] * 10
        assert slow.outcomes == []
        assert workers.busy == 1
        gate.set()
        assert slow.wait() == [True]
        workers.close(5)


def test_no_more_threads_than_allowed_and_none_before_there_is_work() -> None:
    with RunningLoop() as running:
        before = threading.active_count()
        workers = Workers(running.loop, 3)
        assert threading.active_count() == before
        collecting = Collecting(50)
        for number in range(50):
            submit(running, workers, str(number), threading.active_count, collecting.done)
        assert max(collecting.wait()) <= before + 3
        workers.close(5)


def test_one_job_after_the_other_needs_one_thread() -> None:
    with RunningLoop() as running:
        before = threading.active_count()
        workers = Workers(running.loop, 8)
        for _turn in range(5):
            collecting = Collecting(1)
            submit(running, workers, "a", lambda: None, collecting.done)
            collecting.wait()
        assert threading.active_count() <= before + 1
        workers.close(5)


def test_a_job_may_ask_for_the_next_one_when_it_is_done() -> None:
    with RunningLoop() as running:
        workers = Workers(running.loop, 1)
        collecting = Collecting(2)

        def again(outcome: Outcome[Any]) -> None:
            collecting.done(outcome)
            workers.submit("a", lambda: "second", collecting.done)

        submit(running, workers, "a", lambda: "first", again)
        assert collecting.wait() == ["first", "second"]
        workers.close(5)


def test_a_failing_end_does_not_hold_up_the_key() -> None:
    def fail(_outcome: Outcome[Any]) -> None:
        raise RuntimeError("oh no")

    with RunningLoop() as running:
        workers = Workers(running.loop, 1)
        collecting = Collecting(1)
        submit(running, workers, "a", lambda: None, fail)
        submit(running, workers, "a", lambda: "next", collecting.done)
        assert collecting.wait() == ["next"]
        assert [str(error) for error in running.failures] == ["oh no"]
        workers.close(5)


def test_closing_drops_what_has_not_begun_and_waits_for_what_has() -> None:
    with RunningLoop() as running:
        workers = Workers(running.loop, 1)
        gate, begun, dropped = threading.Event(), threading.Event(), threading.Event()

        def hang() -> None:
            begun.set()
            gate.wait(10)

        submit(running, workers, "a", hang, lambda _outcome: None)
        submit(running, workers, "b", dropped.set, lambda _outcome: None)
        assert begun.wait(5)
        threading.Timer(0.05, gate.set).start()
        workers.close(5)
        assert not dropped.is_set()
