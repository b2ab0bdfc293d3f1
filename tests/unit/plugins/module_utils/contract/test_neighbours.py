# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two functions below one port that goes to D3cold: they fall asleep and wake together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.device import FEATURES
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.eventfd import (
    drain,
    eventfd,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.descriptor import OwnedFd

from .ground import (
    OTHER_TWIN,
    TWIN,
    Ground,
    held,
    held_together,
    reaches,
    stays,
    until,
)


@pytest.fixture
def wakeups() -> Iterator[tuple[OwnedFd, OwnedFd]]:
    with eventfd() as first, eventfd() as second:
        yield first, second


def test_the_port_sleeps_when_both_do(ground: Ground) -> None:
    with held_together(ground, TWIN, OTHER_TWIN) as (one, another):
        one.enter_low_power()
        reaches(ground, TWIN, "D3hot")
        another.enter_low_power()
        stays(ground, TWIN, "D3cold")
        stays(ground, OTHER_TWIN, "D3cold")


def test_a_look_at_one_wakes_both(ground: Ground, wakeups: tuple[OwnedFd, OwnedFd]) -> None:
    with held_together(ground, TWIN, OTHER_TWIN) as devices:
        for device, wakeup in zip(devices, wakeups):
            device.enter_low_power_with_wakeup(wakeup)
        reaches(ground, TWIN, "D3cold")
        ground.touch(TWIN)
        stays(ground, TWIN, "D0")
        stays(ground, OTHER_TWIN, "D0")
        assert [drain(wakeup) for wakeup in wakeups] == [1, 1]


def test_a_call_on_one_wakes_the_other(ground: Ground, wakeups: tuple[OwnedFd, OwnedFd]) -> None:
    with held_together(ground, TWIN, OTHER_TWIN) as devices:
        for device, wakeup in zip(devices, wakeups):
            device.enter_low_power_with_wakeup(wakeup)
        reaches(ground, TWIN, "D3cold")
        devices[0].probe(min(FEATURES))
        until(lambda: drain(wakeups[1]), lambda: "the neighbour did not wake")


def test_a_plain_neighbour_that_was_woken_goes_back_to_sleep(
    ground: Ground, wakeups: tuple[OwnedFd, OwnedFd]
) -> None:
    with held_together(ground, TWIN, OTHER_TWIN) as (armed, plain):
        armed.enter_low_power_with_wakeup(wakeups[0])
        plain.enter_low_power()
        reaches(ground, TWIN, "D3cold")
        ground.touch(OTHER_TWIN)
        until(lambda: drain(wakeups[0]), lambda: "the neighbour did not wake")
        stays(ground, TWIN, "D0")
        stays(ground, OTHER_TWIN, "D3hot")


def test_an_unbound_neighbour_keeps_the_port_awake_until_it_may_sleep(ground: Ground) -> None:
    ground.unbind(OTHER_TWIN)
    with held(ground, TWIN) as device:
        device.enter_low_power()
        stays(ground, TWIN, "D3hot")
        ground.write(OTHER_TWIN, "power/control", "auto")
        stays(ground, TWIN, "D3cold")
