# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose wake it was: our own calls over a port, and everybody else's."""

from __future__ import annotations

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.hold.windows import (
    TAIL,
    Windows,
)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_wake_without_a_call_of_ours_is_foreign():
    assert not Windows(Clock()).own("port", "gpu")


def test_a_wake_during_a_call_below_the_same_port_is_our_own():
    windows = Windows(Clock())
    windows.begin("port")
    assert windows.own("port", "gpu")
    assert windows.own("port", "audio")
    assert not windows.own("another port", "nic")


def test_a_neighbour_may_wake_a_moment_after_our_call():
    clock = Clock()
    windows = Windows(clock)
    windows.begin("port")
    windows.end("port", "gpu")
    clock.now += TAIL / 2
    assert windows.own("port", "audio")
    clock.now += TAIL
    assert not windows.own("port", "audio")


def test_the_device_itself_has_no_tail_so_a_quick_stranger_is_seen():
    windows = Windows(Clock())
    windows.begin("port")
    windows.end("port", "gpu")
    assert not windows.own("port", "gpu")


def test_a_call_on_the_device_does_not_hide_one_on_its_neighbour():
    windows = Windows(Clock())
    for device in ("audio", "gpu"):
        windows.begin("port")
        windows.end("port", device)
    assert windows.own("port", "gpu")


def test_the_window_stays_open_until_the_last_of_several_calls_ends():
    windows = Windows(Clock())
    windows.begin("port")
    windows.begin("port")
    windows.end("port", "gpu")
    assert windows.own("port", "gpu")
