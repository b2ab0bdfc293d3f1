# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state machine of low power, cell by cell: what each call does in each state.

PLAIN is after ENTRY, ARMED after ENTRY_WITH_WAKEUP. A device whose power/control says ``on`` stays
active in either.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.device import FEATURES
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.eventfd import (
    drain,
    eventfd,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.descriptor import OwnedFd

from .ground import COLD, HOT, Ground, held, power, reaches, refused, stays, until


@pytest.fixture
def wakeup() -> Iterator[OwnedFd]:
    with eventfd() as counter:
        yield counter


@pytest.fixture
def other() -> Iterator[OwnedFd]:
    with eventfd() as counter:
        yield counter


class TestOff:
    @pytest.mark.parametrize("feature", sorted(FEATURES))
    def test_each_feature_is_offered(self, ground: Ground, feature: int) -> None:
        with held(ground, COLD) as device:
            device.probe(feature)

    def test_exit_is_success_and_no_change(self, ground: Ground) -> None:
        with held(ground, COLD) as device:
            device.exit_low_power()
            stays(ground, COLD, "D0")

    @pytest.mark.parametrize(("name", "state"), [(COLD, "D3cold"), (HOT, "D3hot")])
    def test_entry_lets_the_device_sleep(self, ground: Ground, name: str, state: str) -> None:
        with held(ground, name) as device:
            device.enter_low_power()
            stays(ground, name, state)

    @pytest.mark.parametrize(("name", "state"), [(COLD, "D3cold"), (HOT, "D3hot")])
    def test_entry_with_wakeup_lets_it_sleep_without_a_signal(
        self, ground: Ground, wakeup: OwnedFd, name: str, state: str
    ) -> None:
        with held(ground, name) as device:
            device.enter_low_power_with_wakeup(wakeup)
            stays(ground, name, state)
            assert drain(wakeup) == 0

    def test_entry_with_wakeup_needs_an_eventfd(self, ground: Ground) -> None:
        closed = eventfd()
        number = closed.fileno()
        closed.close()
        with held(ground, COLD) as device, open("/dev/null", "rb") as file:
            for fd, answer in (
                (-1, errno.EINVAL),
                (file.fileno(), errno.EINVAL),
                (number + 500, errno.EBADF),
            ):
                with refused(answer):
                    device.enter_low_power_with_wakeup(OwnedFd(fd))
            stays(ground, COLD, "D0")


class TestPlainAndSuspended:
    def test_a_second_entry_is_refused_and_the_device_sleeps_on(self, ground: Ground) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power()
            reaches(ground, COLD, "D3cold")
            before = power(ground, COLD).active_ms
            with refused(errno.EINVAL):
                device.enter_low_power()
            stays(ground, COLD, "D3cold")
            assert power(ground, COLD).active_ms > before, "the call did not wake it"

    def test_entry_with_wakeup_is_refused_and_never_signalled(
        self, ground: Ground, wakeup: OwnedFd
    ) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power()
            reaches(ground, COLD, "D3cold")
            with refused(errno.EINVAL):
                device.enter_low_power_with_wakeup(wakeup)
            stays(ground, COLD, "D3cold")
            ground.touch(COLD)
            assert drain(wakeup) == 0

    def test_exit_ends_it(self, ground: Ground) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power()
            reaches(ground, COLD, "D3cold")
            device.exit_low_power()
            stays(ground, COLD, "D0")
            device.enter_low_power()
            reaches(ground, COLD, "D3cold")

    def test_any_call_wakes_it_and_it_goes_back_by_itself(self, ground: Ground) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power()
            reaches(ground, COLD, "D3cold")
            before = power(ground, COLD).active_ms
            device.probe(min(FEATURES))
            stays(ground, COLD, "D3cold")
            assert power(ground, COLD).active_ms > before

    def test_a_look_at_config_space_wakes_it_and_it_goes_back(self, ground: Ground) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power()
            reaches(ground, COLD, "D3cold")
            before = power(ground, COLD).active_ms
            ground.touch(COLD)
            stays(ground, COLD, "D3cold")
            assert power(ground, COLD).active_ms > before


class TestPlainAndKeptActive:
    @pytest.fixture(autouse=True)
    def control(self, ground: Ground) -> None:
        ground.write(COLD, "power/control", "on")

    def test_entry_is_accepted_and_nothing_sleeps_until_control_is_auto(
        self, ground: Ground
    ) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power()
            stays(ground, COLD, "D0")
            ground.write(COLD, "power/control", "auto")
            stays(ground, COLD, "D3cold")

    def test_both_entries_are_refused(self, ground: Ground, wakeup: OwnedFd) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power()
            with refused(errno.EINVAL):
                device.enter_low_power()
            with refused(errno.EINVAL):
                device.enter_low_power_with_wakeup(wakeup)

    def test_exit_ends_it(self, ground: Ground) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power()
            device.exit_low_power()
            ground.write(COLD, "power/control", "auto")
            stays(ground, COLD, "D0")

    def test_any_other_call_changes_nothing(self, ground: Ground) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power()
            device.probe(min(FEATURES))
            ground.write(COLD, "power/control", "auto")
            stays(ground, COLD, "D3cold")


class TestArmedAndSuspended:
    def test_entry_signals_and_makes_it_plain(self, ground: Ground, wakeup: OwnedFd) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            reaches(ground, COLD, "D3cold")
            device.enter_low_power()
            assert drain(wakeup) == 1
            reaches(ground, COLD, "D3cold")
            ground.touch(COLD)
            stays(ground, COLD, "D3cold")
            assert drain(wakeup) == 0

    def test_entering_again_signals_the_old_eventfd_and_arms_the_new(
        self, ground: Ground, wakeup: OwnedFd, other: OwnedFd
    ) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            reaches(ground, COLD, "D3cold")
            device.enter_low_power_with_wakeup(other)
            assert (drain(wakeup), drain(other)) == (1, 0)
            reaches(ground, COLD, "D3cold")
            ground.touch(COLD)
            assert (drain(wakeup), drain(other)) == (0, 1)

    def test_exit_signals_and_ends_it(self, ground: Ground, wakeup: OwnedFd) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            reaches(ground, COLD, "D3cold")
            device.exit_low_power()
            assert drain(wakeup) == 1
            stays(ground, COLD, "D0")

    def test_any_other_call_of_ours_signals_and_ends_it(
        self, ground: Ground, wakeup: OwnedFd, other: OwnedFd
    ) -> None:
        with held(ground, COLD) as device:
            calls: list[Callable[[], None]] = [
                lambda: device.probe(min(FEATURES)),
                lambda: device.signal_requests(other),
            ]
            for call in calls:
                device.enter_low_power_with_wakeup(wakeup)
                reaches(ground, COLD, "D3cold")
                call()
                assert drain(wakeup) == 1
                stays(ground, COLD, "D0")

    def test_a_failing_call_signals_too(self, ground: Ground, wakeup: OwnedFd) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            reaches(ground, COLD, "D3cold")
            with refused(errno.EINVAL):
                device.enter_low_power_with_wakeup(OwnedFd(-1))
            assert drain(wakeup) == 1
            stays(ground, COLD, "D0")

    def test_closing_does_not_signal(self, ground: Ground, wakeup: OwnedFd) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            reaches(ground, COLD, "D3cold")
        assert drain(wakeup) == 0


class TestArmedAndStillActive:
    @pytest.fixture(autouse=True)
    def control(self, ground: Ground) -> None:
        ground.write(COLD, "power/control", "on")

    def test_both_entries_are_refused(
        self, ground: Ground, wakeup: OwnedFd, other: OwnedFd
    ) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            with refused(errno.EINVAL):
                device.enter_low_power()
            with refused(errno.EINVAL):
                device.enter_low_power_with_wakeup(other)
            assert (drain(wakeup), drain(other)) == (0, 0)

    def test_exit_ends_it_without_a_signal(self, ground: Ground, wakeup: OwnedFd) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            device.exit_low_power()
            ground.write(COLD, "power/control", "auto")
            stays(ground, COLD, "D0")
            assert drain(wakeup) == 0

    def test_any_other_call_leaves_it_armed(self, ground: Ground, wakeup: OwnedFd) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            device.probe(min(FEATURES))
            assert drain(wakeup) == 0
            ground.write(COLD, "power/control", "auto")
            reaches(ground, COLD, "D3cold")
            ground.touch(COLD)
            assert drain(wakeup) == 1

    def test_closing_does_not_signal(self, ground: Ground, wakeup: OwnedFd) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
        assert drain(wakeup) == 0


class TestWakes:
    def test_the_first_access_signals_once_and_the_device_stays_up(
        self, ground: Ground, wakeup: OwnedFd
    ) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            reaches(ground, COLD, "D3cold")
            ground.touch(COLD)
            ground.touch(COLD)
            stays(ground, COLD, "D0")
            assert drain(wakeup) == 1

    def test_one_eventfd_serves_many_entries(self, ground: Ground, wakeup: OwnedFd) -> None:
        with held(ground, COLD) as device:
            for _time in range(3):
                device.enter_low_power_with_wakeup(wakeup)
                reaches(ground, COLD, "D3cold")
                ground.touch(COLD)
                assert drain(wakeup) == 1

    def test_an_access_in_d3hot_wakes_nothing(self, ground: Ground, wakeup: OwnedFd) -> None:
        with held(ground, HOT) as device:
            device.enter_low_power_with_wakeup(wakeup)
            reaches(ground, HOT, "D3hot")
            ground.touch(HOT)
            stays(ground, HOT, "D3hot")
            assert drain(wakeup) == 0

    def test_a_wake_is_found_although_the_eventfd_was_closed(self, ground: Ground) -> None:
        wakeup = eventfd()
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            wakeup.close()
            reaches(ground, COLD, "D3cold")
            ground.touch(COLD)
            stays(ground, COLD, "D0")

    def test_forbidding_runtime_pm_ends_an_armed_entry(
        self, ground: Ground, wakeup: OwnedFd
    ) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            reaches(ground, COLD, "D3cold")
            ground.write(COLD, "power/control", "on")
            until(lambda: drain(wakeup), lambda: "no wake was told")
            ground.write(COLD, "power/control", "auto")
            stays(ground, COLD, "D0")

    def test_forbidding_runtime_pm_only_suspends_a_plain_entry(self, ground: Ground) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power()
            reaches(ground, COLD, "D3cold")
            ground.write(COLD, "power/control", "on")
            stays(ground, COLD, "D0")
            ground.write(COLD, "power/control", "auto")
            stays(ground, COLD, "D3cold")

    def test_any_write_of_d3cold_allowed_wakes(self, ground: Ground, wakeup: OwnedFd) -> None:
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            reaches(ground, COLD, "D3cold")
            ground.write(COLD, "d3cold_allowed", "1")
            assert drain(wakeup) == 1

    def test_without_d3cold_the_device_stops_at_d3hot(self, ground: Ground) -> None:
        ground.write(COLD, "d3cold_allowed", "0")
        with held(ground, COLD) as device:
            device.enter_low_power()
            stays(ground, COLD, "D3hot")
            ground.write(COLD, "d3cold_allowed", "1")
            stays(ground, COLD, "D3cold")
