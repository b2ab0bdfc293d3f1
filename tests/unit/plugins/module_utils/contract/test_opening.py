# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening and letting go: who may have a device, and what becomes of it."""

from __future__ import annotations

import errno
import select
import threading

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.backends import (
    Group,
    GroupNotViable,
    Iommufd,
    NodeOfAnother,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.eventfd import (
    drain,
    eventfd,
)

from .ground import (
    COLD,
    OTHER_TWIN,
    PATIENCE,
    TWIN,
    Ground,
    facts,
    held,
    only,
    open_by,
    openable,
    power,
    reaches,
    refused,
    stays,
    until,
    way_in,
)


def at_rest(ground: Ground) -> str:
    """Where an unopened device that could go to D3cold is on this host."""
    return "D0" if ground.sysfs.host().disable_idle_d3 else "D3cold"


def test_an_unopened_device_follows_the_hosts_idle_rule(ground: Ground) -> None:
    stays(ground, COLD, at_rest(ground))
    assert openable(ground, COLD)


def test_a_held_device_is_awake_and_nobody_elses(ground: Ground) -> None:
    with held(ground, COLD):
        stays(ground, COLD, "D0")
        assert not openable(ground, COLD)


def test_a_closed_device_is_free_and_back_under_the_hosts_idle_rule(ground: Ground) -> None:
    with held(ground, COLD) as device:
        device.enter_low_power()
        reaches(ground, COLD, "D3cold")
    reaches(ground, COLD, at_rest(ground))
    assert openable(ground, COLD)


def test_a_second_holder_is_refused(ground: Ground) -> None:
    taken = errno.EINVAL if ground.backend == "cdev" else errno.EBUSY
    with held(ground, COLD), refused(taken), held(ground, COLD):
        pass


@only("group")
def test_a_device_keeps_its_group_busy_after_the_group_was_closed(ground: Ground) -> None:
    way = way_in(ground, COLD)
    device = open_by(way, ground, COLD)
    way.close()
    assert not openable(ground, COLD)
    device.enter_low_power()
    reaches(ground, COLD, "D3cold")
    device.close()
    assert openable(ground, COLD)


@only("cdev")
def test_an_iommufd_may_be_closed_before_its_device(ground: Ground) -> None:
    way = way_in(ground, COLD)
    device = open_by(way, ground, COLD)
    way.close()
    device.enter_low_power()
    reaches(ground, COLD, "D3cold")
    device.close()
    assert openable(ground, COLD)


@only("cdev")
def test_a_group_in_use_cannot_be_had_by_its_device_node(ground: Ground) -> None:
    number = facts(ground, COLD).iommu_group
    assert number is not None
    group = Group.open(number, ground.kernel, ground.dev)
    way = Iommufd.open(ground.kernel, ground.dev)
    with refused(errno.EBUSY):
        open_by(way, ground, COLD)
    way.close()
    group.close()


@only("cdev")
def test_a_node_that_another_device_has_by_now_is_not_bound(ground: Ground) -> None:
    """A card went, and another one has its name: by the old one the new one is opened."""
    before = [facts(ground, name).cdev for name in (COLD, TWIN)]
    answers = [before[1], before[0]]
    way = Iommufd.open(ground.kernel, ground.dev)
    with pytest.raises(NodeOfAnother, match=f"{before[1]} is not its node any more"):
        way.device(ground.address(COLD), lambda _address: answers.pop(0))
    with pytest.raises(NodeOfAnother, match="has no node of its own"):
        way.device(ground.address(COLD), lambda _address: None)
    open_by(way, ground, TWIN).close()  # nobody has it
    way.close()


@only("group")
def test_a_group_knows_no_stranger(ground: Ground) -> None:
    way = way_in(ground, TWIN)
    assert isinstance(way, Group)
    with refused(errno.ENODEV):
        way.device(ground.address(COLD))
    way.close()


@only("cdev")
def test_a_group_belongs_to_one_iommufd(ground: Ground) -> None:
    other = Iommufd.open(ground.kernel, ground.dev)
    with held(ground, TWIN), refused(errno.EPERM):
        open_by(other, ground, OTHER_TWIN)
    other.close()


def test_a_group_that_a_host_driver_shares_is_not_viable(ground: Ground) -> None:
    ground.unbind(OTHER_TWIN)
    ground.bind(OTHER_TWIN, ground.host_driver)
    if ground.backend == "group":
        with pytest.raises(GroupNotViable):
            way_in(ground, TWIN)
    else:
        with refused(errno.EPERM), held(ground, TWIN):
            pass
    assert openable(ground, TWIN)


def test_a_group_with_an_unbound_device_is_viable(ground: Ground) -> None:
    ground.unbind(OTHER_TWIN)
    with held(ground, TWIN):
        assert not openable(ground, TWIN)


@only("group")
def test_a_second_descriptor_speaks_for_the_same_device(ground: Ground) -> None:
    way = way_in(ground, COLD)
    first, second = open_by(way, ground, COLD), open_by(way, ground, COLD)
    first.enter_low_power()
    reaches(ground, COLD, "D3cold")
    second.exit_low_power()
    stays(ground, COLD, "D0")
    second.enter_low_power()
    second.close()
    stays(ground, COLD, "D3cold")
    assert not openable(ground, COLD)
    first.close()
    way.close()


class TestUnbinding:
    def test_asks_the_holder_and_waits_for_the_last_close(self, ground: Ground) -> None:
        request = eventfd()
        with held(ground, COLD) as device:
            device.signal_requests(request)
            unbinding = threading.Thread(target=ground.unbind, args=(COLD,))
            unbinding.start()
            assert select.select([request], [], [], PATIENCE)[0], "the holder was not asked"
            assert unbinding.is_alive()
            device.exit_low_power()
        unbinding.join(PATIENCE)
        assert not unbinding.is_alive()
        assert facts(ground, COLD).driver is None
        request.close()

    def test_wakes_an_armed_device_first(self, ground: Ground) -> None:
        wakeup = eventfd()
        with held(ground, COLD) as device:
            device.enter_low_power_with_wakeup(wakeup)
            reaches(ground, COLD, "D3cold")
            unbinding = threading.Thread(target=ground.unbind, args=(COLD,))
            unbinding.start()
            until(lambda: drain(wakeup), lambda: "the device was not woken")
            device.enter_low_power()
            stays(ground, COLD, "D0")
        unbinding.join(PATIENCE)
        wakeup.close()

    def test_leaves_control_on_and_binding_sets_it_to_auto(self, ground: Ground) -> None:
        ground.unbind(COLD)
        assert power(ground, COLD).control == "on"
        ground.bind(COLD)
        assert power(ground, COLD).control == "auto"
        assert facts(ground, COLD).vfio
