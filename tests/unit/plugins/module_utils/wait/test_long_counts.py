# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same thing done often costs as much the last time as the first."""

from __future__ import annotations

from pathlib import Path

from ..hold.helper import wait_until
from ..searching import SOAK
from .standalone import NIC, Footprint, Standalone

WAKES, CONNECTIONS = 300, 500
WARM = 100 * SOAK  # times after which everything that is kept for good has been made
GROWTH = 2.0  # MiB that an allocator may keep for no reason; the soak is what finds small leaks


def assert_flat(before: Footprint, helper: Standalone) -> None:
    wait_until(lambda: helper.footprint().descriptors <= before.descriptors, "all have left")
    after = helper.footprint()
    assert after.memory - before.memory < GROWTH
    assert after.threads == before.threads


def test_many_wakes_leave_nothing_behind(folder: Path) -> None:
    with Standalone(folder) as helper:
        helper.wake(NIC, WARM)
        before = helper.footprint()
        helper.wake(NIC, WAKES * SOAK)
        assert_flat(before, helper)


def test_many_connections_leave_nothing_behind(folder: Path) -> None:
    with Standalone(folder) as helper:
        for _turn in range(WARM):
            helper.client.call("List")
        before = helper.footprint()
        for _turn in range(CONNECTIONS * SOAK):
            helper.client.call("List")
            next(helper.client.stream("Monitor"))
        assert_flat(before, helper)
