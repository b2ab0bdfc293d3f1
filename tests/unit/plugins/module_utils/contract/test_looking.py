# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking never touches, and what the kernel says of its devices is heard."""

from __future__ import annotations

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.eventfd import (
    drain,
    eventfd,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.udev import Uevent

from .ground import (
    COLD,
    HOT,
    OTHER_TWIN,
    TWIN,
    Ground,
    Listener,
    facts,
    held,
    held_together,
    power,
    reaches,
    until,
)


def test_looking_wakes_no_armed_device(ground: Ground) -> None:
    with eventfd() as wakeup, held(ground, COLD) as device:
        device.enter_low_power_with_wakeup(wakeup)
        reaches(ground, COLD, "D3cold")
        before = power(ground, COLD)
        for _time in range(3):
            ground.look()
        after = power(ground, COLD)
        assert drain(wakeup) == 0
        assert (after.power_state, after.active_ms) == (before.power_state, before.active_ms)


def test_looking_wakes_no_port(ground: Ground) -> None:
    with held_together(ground, TWIN, OTHER_TWIN) as devices:
        for device in devices:
            device.enter_low_power()
        reaches(ground, TWIN, "D3cold")
        before = [power(ground, name).active_ms for name in (TWIN, OTHER_TWIN)]
        ground.look()
        assert [power(ground, name).active_ms for name in (TWIN, OTHER_TWIN)] == before


def test_the_two_ways_to_d3cold_are_told_apart(ground: Ground) -> None:
    own = ground.sysfs.bounds(ground.address(COLD))
    assert own.switched, "by a power resource of its own"
    twin = ground.address(TWIN)
    (port,) = ground.sysfs.ports(twin)
    assert not ground.sysfs.bounds(twin).switched
    above = ground.sysfs.bounds(port, facts(ground, TWIN).slot)
    assert (above.switched, above.may_sleep) == (True, True)
    assert not ground.sysfs.bounds(ground.address(HOT)).switched


def test_devices_are_seen_with_what_they_hang_on(ground: Ground) -> None:
    devices = ground.look()
    twin, other = (devices[ground.address(name)] for name in (TWIN, OTHER_TWIN))
    assert twin.port is not None
    assert (twin.port, twin.iommu_group) == (other.port, other.iommu_group)
    assert devices[twin.port].bridge
    for name in (COLD, HOT):
        card = devices[ground.address(name)]
        assert (card.driver, card.vfio, card.bridge) == ("vfio-pci", True, False)
        assert (card.cdev is not None) == ground.sysfs.host().iommufd
        assert card.identity.vendor != "0000"
        assert card.reset_methods
    host = ground.sysfs.host()
    assert (host.vfio, host.iommu) == (True, True)


def test_binding_and_unbinding_are_heard(ground: Ground) -> None:
    uevents = ground.uevents()
    ground.unbind(HOT)
    ground.bind(HOT)
    address = ground.address(HOT)
    heard = hear(uevents, Uevent("bind", address, "vfio-pci"))
    uevents.close()
    assert [event.action for event in heard if event.address == address] == ["unbind", "bind"]
    assert facts(ground, HOT).vfio


def hear(uevents: Listener, last: Uevent) -> list[Uevent]:
    heard: list[Uevent] = []

    def came() -> bool:
        heard.extend(uevents.read())
        return last in heard

    until(came, lambda: f"{last} was not heard, only {heard}")
    return heard
