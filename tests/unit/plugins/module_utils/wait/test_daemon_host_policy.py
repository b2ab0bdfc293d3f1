# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the helper does about the host's policy: it reads it, and keeps off while it is written."""

from __future__ import annotations

import errno

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    HelperRefused,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode

from ..fake.host import FakeDevice, FakeHost
from ..hold.conftest import ONE_WAY_IN
from ..hold.helper import Helper, rule

pytestmark = ONE_WAY_IN

LONG = 3600.0  # seconds, longer than every delay here
WAKEUP = Mode.ENTRY_WITH_WAKEUP


@pytest.fixture
def nic(host: FakeHost) -> FakeDevice:
    return host.add("0000:02:00.0")


def armed(address: PciAddress, **more: object) -> dict[str, object]:
    return rule(address, "entry-with-wakeup", **more)


@pytest.mark.parametrize("mode", ["entry", "entry-with-wakeup"])
def test_a_device_is_held_awake_until_its_policy_is_as_declared(
    host: FakeHost, helper: Helper, nic: FakeDevice, mode: str
) -> None:
    report = helper.apply(rule(nic.address, mode, d3cold="forbid")).devices[nic.address]
    assert (report.held, report.engaged) == (True, Mode.NONE)
    assert report.failure is not None
    assert report.failure.code == "host-policy"
    assert "d3cold_allowed reads 1, and d3cold forbid is declared" in report.failure.message
    host.write_d3cold_allowed(nic.address, allowed=False)
    helper.pass_time(10)
    report = helper.device(nic.address)
    assert (report.engaged, report.failure) == (Mode(mode), None)


def test_a_device_whose_policy_was_changed_under_it_is_not_entered_again(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    host.write_d3cold_allowed(nic.address, allowed=False)
    helper.apply(armed(nic.address, d3cold="forbid"))
    host.write_d3cold_allowed(nic.address, allowed=True)
    helper.until(nic.address, engaged=Mode.NONE)
    helper.pass_time(LONG)
    report = helper.device(nic.address)
    assert (report.engaged, report.failure and report.failure.code) == (Mode.NONE, "host-policy")


def test_a_device_that_is_only_reserved_needs_no_policy_to_be_held(
    helper: Helper, nic: FakeDevice
) -> None:
    wanted = rule(nic.address, "none", reserve=True, runtime_pm="forbid")
    report = helper.apply(wanted).devices[nic.address]
    assert (report.held, report.failure) == (True, None)


@pytest.mark.parametrize("woken", [False, True])
def test_a_device_that_is_held_off_is_awake_as_long_as_the_client_is_there(
    host: FakeHost, helper: Helper, nic: FakeDevice, woken: bool
) -> None:
    helper.apply(armed(nic.address))
    if woken:
        host.touch_device(nic.address)
        helper.until(nic.address, state="waiting")
    before = helper.device(nic.address).wakes
    assert before is not None
    with helper.held_off(nic.address) as pending:
        assert pending == []
        assert nic.vfio is not None
        assert not nic.vfio.engaged
        host.write_d3cold_allowed(nic.address, allowed=False)
        helper.pass_time(LONG)
        assert helper.device(nic.address).engaged is Mode.NONE
    after = helper.until(nic.address, engaged=WAKEUP).wakes
    assert after is not None
    assert after.foreign == before.foreign


def test_being_held_off_does_not_shorten_what_bounds_the_next_entry(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(rule(nic.address, "entry-with-wakeup", reentry={"delay": 600.0}))
    host.touch_device(nic.address)
    helper.until(nic.address, state="waiting")
    with helper.held_off(nic.address):
        pass
    helper.settle()
    assert helper.device(nic.address).engaged is Mode.NONE
    helper.pass_time(900.0)
    helper.until(nic.address, engaged=WAKEUP)


def test_a_device_that_is_held_off_is_not_taken(helper: Helper, nic: FakeDevice) -> None:
    with helper.held_off(nic.address):
        assert not helper.apply(armed(nic.address)).devices[nic.address].held
    assert helper.until(nic.address, engaged=WAKEUP).held


def test_of_two_clients_the_last_one_to_leave_ends_it(helper: Helper, nic: FakeDevice) -> None:
    helper.apply(armed(nic.address))
    with helper.held_off(nic.address):
        with helper.held_off(nic.address):
            pass
        helper.settle()
        assert helper.device(nic.address).engaged is Mode.NONE
    helper.until(nic.address, engaged=WAKEUP)


def test_a_guest_gets_a_device_that_is_held_off(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(armed(nic.address))
    with helper.held_off(nic.address):
        assert not helper.release(nic.address, "guest")[nic.address].held
        host.guest(nic.address).stop()
    helper.settle()
    assert not helper.device(nic.address).held


def test_a_device_that_is_held_off_is_let_go_all_the_same_when_it_is_no_longer_declared(
    helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(armed(nic.address))
    with helper.held_off(nic.address):
        helper.apply()
        assert nic.vfio is not None
        assert not nic.vfio.opens


def test_a_device_whose_low_power_does_not_end_keeps_no_client_waiting(
    host: FakeHost, helper: Helper, nic: FakeDevice
) -> None:
    helper.apply(armed(nic.address))
    host.refuse(nic.address, "exit", errno.EIO)
    with helper.held_off(nic.address) as pending:
        assert pending == []
        assert helper.device(nic.address).state == "stalled"
    host.refuse(nic.address, "exit", 0)
    with helper.held_off(nic.address):  # which tries once more
        assert (helper.device(nic.address).state, nic.vfio.engaged) == ("awake", False)


def test_without_a_connection_that_stays_it_is_refused(helper: Helper, nic: FakeDevice) -> None:
    with pytest.raises(HelperRefused) as refused:
        helper.client.call("HoldOff", {"addresses": [str(nic.address)]})
    assert "ExpectedMore" in refused.value.name
