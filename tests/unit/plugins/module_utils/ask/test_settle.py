# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a device that stays awake is waited for, whatever becomes of the host's clock."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.settle import (
    settle,
    waits_for,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import Rule
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Expect, Mode

NIC = PciAddress.parse("0000:02:00.0")
RULES = {NIC: Rule("nics", NIC, Mode.ENTRY, expect=Expect.ASLEEP)}
NOW, HOUR = 1_700_000_000.0, 3600.0


class Times:
    """Two clocks that go on while somebody sleeps; the one on the wall is set once."""

    def __init__(self, step: float) -> None:
        self.passed = 0.0
        self._step = step

    def clock(self) -> float:
        return NOW + self.passed + (self._step if self.passed else 0.0)

    def ticks(self) -> float:
        return 77.0 + self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


@pytest.mark.parametrize("step", [0.0, -HOUR, HOUR])
@pytest.mark.parametrize(
    ("entered", "seconds"),
    [(NOW, 5.0), (NOW - 3, 2.0), (NOW - 60, 0.0), (NOW + HOUR, 5.0)],
    ids=["now", "a moment ago", "long ago", "before the clock was set back"],
)
def test_a_device_gets_its_time_and_no_more(place, step, entered, seconds):
    place.host.add("0000:02:00.0")
    times = Times(step)
    ground = place.ground()._replace(clock=times.clock, ticks=times.ticks, sleep=times.sleep)
    settle(waits_for(RULES, {NIC: entered}, 5.0, times.clock()), ground)
    assert times.passed == pytest.approx(seconds, abs=0.1)
