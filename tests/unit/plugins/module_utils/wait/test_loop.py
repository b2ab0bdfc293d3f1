# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop calls back for descriptors, times, threads and signals, and sleeps otherwise."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.loop import Loop

from .serving import RunningLoop


def test_a_readable_file_calls_back() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, RunningLoop() as running:
        read = threading.Event()

        def readable() -> None:
            ours.recv(1)
            read.set()

        running.loop.call_soon_threadsafe(lambda: running.loop.watch(ours, readable))
        theirs.send(b"x")
        assert read.wait(5)
        running.do(lambda: running.loop.unwatch(ours))


def test_a_file_is_no_longer_called_for_once_it_is_unwatched_by_another_callback() -> None:
    loop = Loop()
    one, other = socket.socketpair(), socket.socketpair()
    called: list[str] = []

    def first_come(name: str) -> None:
        called.append(name)
        loop.unwatch(one[0])
        loop.unwatch(other[0])

    loop.watch(one[0], lambda: first_come("one"))
    loop.watch(other[0], lambda: first_come("other"))
    one[1].send(b"x")
    other[1].send(b"x")
    loop.run_once()
    assert len(called) == 1
    for end in (*one, *other):
        end.close()
    loop.close()


def test_watching_a_file_again_with_the_same_callbacks_changes_nothing() -> None:
    loop = Loop()
    ours, theirs = socket.socketpair()
    called: list[bytes] = []

    def read() -> None:
        called.append(ours.recv(1))

    loop.watch(ours, read)
    loop.watch(ours, read)
    theirs.send(b"x")
    loop.run_once()
    assert called == [b"x"]
    loop.unwatch(ours)
    ours.close()
    theirs.close()
    loop.close()


def test_a_file_may_be_watched_for_nothing_and_for_something_again() -> None:
    loop = Loop()
    ours, theirs = socket.socketpair()
    called: list[bytes] = []
    theirs.send(b"x")
    loop.watch(ours, None)
    loop.call_at(loop.clock(), lambda: None)
    loop.run_once()
    assert called == []
    loop.watch(ours, lambda: called.append(ours.recv(1)))
    loop.run_once()
    assert called == [b"x"]
    loop.watch(ours, None)
    loop.unwatch(ours)
    ours.close()
    theirs.close()
    loop.close()


def test_times_come_in_order_and_cancelled_ones_do_not() -> None:
    with RunningLoop() as running:
        called: list[str] = []
        done = threading.Event()

        def plan() -> None:
            now = running.loop.clock()
            running.loop.call_at(now + 0.03, done.set)
            running.loop.call_at(now + 0.02, lambda: called.append("second"))
            running.loop.call_at(now + 0.01, lambda: called.append("first"))
            running.loop.call_at(now + 0.015, lambda: called.append("cancelled")).cancel()

        running.do(plan)
        assert done.wait(5)
        assert called == ["first", "second"]


def test_a_time_that_cancels_another_one_due_at_once_is_obeyed() -> None:
    loop = Loop()
    called: list[str] = []
    later = loop.call_at(0.2, lambda: called.append("late"))
    loop.call_at(0.1, later.cancel)
    loop.run_once()
    assert called == []
    loop.close()


def test_other_threads_wake_a_loop_that_waits_for_nothing() -> None:
    with RunningLoop() as running:
        assert running.do(lambda: "done") == "done"


def test_ten_thousand_calls_from_threads_all_arrive() -> None:
    with RunningLoop() as running:
        called: list[int] = []
        done = threading.Event()

        def call(number: int) -> None:
            called.append(number)
            if len(called) == 10_000:
                done.set()

        def post(start: int) -> None:
            for number in range(start, start + 2500):
                running.loop.call_soon_threadsafe(lambda number=number: call(number))

        threads = [threading.Thread(target=post, args=(start,)) for start in range(0, 10_000, 2500)]
        for thread in threads:
            thread.start()
        assert done.wait(20)
        for thread in threads:
            thread.join()
        assert sorted(called) == list(range(10_000))


def test_an_idle_loop_does_not_turn() -> None:
    with RunningLoop() as running:
        turns = 0
        patience = running.loop._patience

        def counting() -> object:
            nonlocal turns
            turns += 1
            return patience()

        running.do(lambda: setattr(running.loop, "_patience", counting))
        before = turns
        assert not threading.Event().wait(0.3)
        assert turns - before <= 1


def test_an_escaped_error_is_told_and_the_loop_goes_on() -> None:
    def fail() -> None:
        raise RuntimeError("oh no")

    with RunningLoop() as running:
        running.loop.call_soon_threadsafe(fail)
        assert running.do(lambda: "alive") == "alive"
        assert [str(error) for error in running.failures] == ["oh no"]


def test_without_somebody_to_tell_an_error_ends_the_loop() -> None:
    loop = Loop()

    def fail() -> None:
        raise RuntimeError("oh no")

    loop.call_soon_threadsafe(fail)
    with pytest.raises(RuntimeError, match="oh no"):
        loop.run()
    loop.close()


def test_a_signal_is_handled_in_the_loop() -> None:
    loop = Loop()
    before = signal.getsignal(signal.SIGUSR1)
    loop.on_signal(signal.SIGUSR1, loop.stop)
    killer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    killer.start()
    started = time.monotonic()
    loop.run()
    assert time.monotonic() - started < 5
    killer.join()
    signal.signal(signal.SIGUSR1, before)
    loop.close()


def test_a_very_late_time_is_waited_for_in_pieces() -> None:
    loop = Loop()
    loop.call_at(loop.clock() + 1e12, lambda: None)
    loop.call_soon_threadsafe(loop.stop)
    loop.run()
    assert (loop._patience() or 0) <= 86400
    loop.close()


def test_a_thread_that_comes_after_the_end_does_no_harm() -> None:
    loop = Loop()
    loop.close()
    loop.call_soon_threadsafe(lambda: None)
