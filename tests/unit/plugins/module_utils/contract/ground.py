# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the contract tests ask of the ground they stand on: a fake kernel or a real one.

The tests say what a device does under low power, once, for both ways in. fake_ground.py lets them
run among the unit tests, real_ground.py as root on a host with real vfio-pci devices.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol, TypeVar, Union

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.backends import (
    Group,
    Iommufd,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.device import Device
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.kernel import Kernel
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.sysfs import Sysfs
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.udev import Uevent
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    KernelRefused,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Facts, Power

ONLY = "only_for_backend"
COLD, HOT, TWIN, OTHER_TWIN = "cold", "hot", "twin", "other twin"
PATIENCE = 20.0  # seconds until something that has to happen is given up

Way = Union[Group, Iommufd]
Test = TypeVar("Test", bound=Callable[..., None])


def only(backend: str) -> Callable[[Test], Test]:
    """Mark a test that is about one way in."""

    def mark(test: Test) -> Test:
        setattr(test, ONLY, backend)
        return test

    return mark


class Listener(Protocol):
    """What hears the kernel's messages: Uevents, or the fake host's."""

    def read(self) -> list[Uevent]:
        """Return what came since the last call."""

    def close(self) -> None:
        """Stop listening."""


class Ground(Protocol):
    """A host with four devices on vfio-pci and somebody who meddles with them.

    cold        goes to D3cold by itself
    hot         goes to D3hot, not deeper
    twin, other twin
                two functions of one IOMMU group; their port takes both to D3cold
    """

    backend: str  # group or cdev
    host_driver: str  # one beside vfio-pci that takes the twins
    kernel: Kernel
    stranger: Kernel  # the same kernel, as another process asks it
    sysfs: Sysfs
    dev: str
    moment: float  # seconds in which something that must not happen would have happened

    def address(self, name: str) -> PciAddress:
        """Return where a device is."""

    def look(self) -> dict[PciAddress, Facts]:
        """Read all that is ever read of a host and its devices."""

    def uevents(self) -> Listener:
        """Listen to the kernel's messages from now on."""

    def touch(self, name: str) -> None:
        """Read its config space."""

    def write(self, name: str, attribute: str, value: str) -> None:
        """Write power/control or d3cold_allowed."""

    def unbind(self, name: str) -> None:
        """Take its driver away; returns when the last descriptor is closed."""

    def bind(self, name: str, driver: str = "vfio-pci") -> None:
        """Give it a driver."""


def facts(ground: Ground, name: str) -> Facts:
    """Return what sysfs shows of a device."""
    found = ground.sysfs.facts(ground.address(name))
    assert found is not None
    return found


def power(ground: Ground, name: str) -> Power:
    """Return what a device does."""
    found = ground.sysfs.power(ground.address(name))
    assert found is not None
    return found


def way_in(ground: Ground, name: str) -> Way:
    """Open what stands before the device: its group in a container, or an iommufd."""
    if ground.backend == "cdev":
        return Iommufd.open(ground.kernel, ground.dev)
    number = facts(ground, name).iommu_group
    assert number is not None
    return Group.open(number, ground.kernel, ground.dev)


def open_by(way: Way, ground: Ground, name: str) -> Device:
    """Open the device."""
    if isinstance(way, Group):
        return way.device(ground.address(name))
    return way.device(ground.address(name), ground.sysfs.cdev)


@contextmanager
def held(ground: Ground, name: str) -> Iterator[Device]:
    """Hold one device for the length of a block."""
    with held_together(ground, name) as devices:
        yield devices[0]


@contextmanager
def held_together(ground: Ground, *names: str) -> Iterator[list[Device]]:
    """Hold devices of one group for the length of a block."""
    with ExitStack() as opened:
        way = way_in(ground, names[0])
        opened.callback(way.close)
        devices = []
        for name in names:
            devices.append(open_by(way, ground, name))
            opened.callback(devices[-1].close)
        yield devices


def openable(ground: Ground, name: str) -> bool:
    """Tell whether anybody else could open the group now."""
    number = facts(ground, name).iommu_group
    try:
        ground.stranger.close(ground.stranger.open(f"{ground.dev}/vfio/{number}"))
    except OSError:
        return False
    return True


@contextmanager
def refused(number: int) -> Iterator[None]:
    """Expect the kernel to say no, with this errno."""
    with pytest.raises(KernelRefused) as caught:
        yield
    assert caught.value.number == number, caught.value


def reaches(ground: Ground, name: str, state: str) -> None:
    """Wait until the device is in D0 and active, or suspended in D3hot or D3cold."""
    status = "active" if state == "D0" else "suspended"

    def there() -> bool:
        now = power(ground, name)
        return (now.power_state, now.runtime_status) == (state, status)

    until(there, lambda: f"{name} is not in {state}: {power(ground, name)}")


def stays(ground: Ground, name: str, state: str) -> None:
    """Wait until the device is there, and watch that it does not leave."""
    reaches(ground, name, state)
    end = time.monotonic() + ground.moment
    while time.monotonic() < end:
        assert power(ground, name).power_state == state
        time.sleep(0.02)


def until(there: Callable[[], object], otherwise: Callable[[], str]) -> None:
    """Wait until it is so, or fail with a sentence."""
    end = time.monotonic() + PATIENCE
    while not there():
        if time.monotonic() > end:
            pytest.fail(otherwise())
        time.sleep(0.01)
