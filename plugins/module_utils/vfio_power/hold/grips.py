# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes devices, and takes them over from a helper that died; the group or iommufd that they share.

Opening and closing may block for seconds: both run in workers. Jobs of one IOMMU group run one
after the other, which is what keeps the sharing simple.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from contextlib import ExitStack

from ..think.keepsakes import COUNTERS, DEVICE, SHARED, Keepsake, whole
from ..touch.backends import CdevOf, Group, Iommufd, WayIn, group_is_busy
from ..touch.device import Device
from ..touch.eventfd import eventfd
from ..touch.kernel import Kernel, Node
from ..words.address import PciAddress
from ..words.descriptor import OwnedFd
from ..words.errors import KernelRefused, VfioPowerError
from ..words.facts import Facts
from .grip import Counters, Grip
from .surroundings import DescriptorStore

FREE_WITHIN = 5.0
"""Seconds for which a group that was given back may be busy: the manager closes its own copies."""

_LOOK_AGAIN = 0.01  # seconds
_UNSEEN = 0.25  # seconds that a manager gets where nobody can see when it has closed its copies

Kept = tuple[Keepsake, OwnedFd]
Rest = dict[int, ExitStack]


class _Shared:
    """A group or iommufd, and how many devices are open through it."""

    def __init__(self, way_in: WayIn) -> None:
        self.way_in = way_in
        self.devices = 0


class Grips:
    """Opens devices by whichever way the kernel offers, cdev before group."""

    def __init__(
        self, kernel: Kernel, store: DescriptorStore, cdev_of: CdevOf, dev: str = "/dev"
    ) -> None:
        self._kernel = kernel
        self._cdev_of = cdev_of
        self._store = store
        self._dev = dev
        self._shared: dict[int, _Shared] = {}

    def take(self, facts: Facts) -> Grip:
        """Open a device, which resets it. Raises VfioPowerError; then nothing stays open."""
        group = facts.iommu_group
        if group is None:
            raise VfioPowerError(
                f"{facts.address}: is in no IOMMU group", "Switch the IOMMU on and boot again"
            )
        with ExitStack() as taking:
            shared = self._enter(group, facts)
            taking.callback(self._leave, group)
            device = self._open(shared.way_in, facts)
            taking.callback(device.close)
            counters = Counters(*(taking.enter_context(eventfd()) for _counter in COUNTERS))
            grip = Grip(device, counters, group, shared.way_in.backend, self._let_go)
            # Before low power is ever entered: registering later would be a wake.
            device.signal_requests(counters.request)
            device.signal_errors(counters.error)
            self._store.keep({**self._shared_while_alone(grip), **_named(grip)})
            taking.pop_all()
        return grip

    def take_over(self, kept: Iterable[Kept]) -> tuple[dict[PciAddress, Grip], Rest]:
        """Build grips from descriptors that were kept; no device is called.

        The rest, by IOMMU group, is to be closed by a worker: a helper died while it took or let
        go of a device, which was not in low power then.
        """
        parts: dict[Keepsake, OwnedFd] = {}
        for keepsake, descriptor in kept:
            if keepsake in parts:
                descriptor.close()  # two copies of one
            parts.setdefault(keepsake, descriptor)
        grips: dict[PciAddress, Grip] = {}
        for address, device in whole(parts).items():
            if device.group not in self._shared:
                way_in = self._way_in_again(device, parts.pop(device.shared))
                self._shared[device.group] = _Shared(way_in)
            grips[address] = self._again(address, device, parts)
        rest = {keepsake.group: ExitStack() for keepsake in parts}
        for group, closing in rest.items():
            closing.callback(self._see_it_free, group)
        for keepsake, descriptor in parts.items():
            rest[keepsake.group].callback(Node(self._kernel, descriptor.steal()).close)
            rest[keepsake.group].callback(self._store.forget, [keepsake.name()])
        return grips, rest

    def _again(self, address: PciAddress, device: Keepsake, parts: dict[Keepsake, OwnedFd]) -> Grip:
        node = Node(self._kernel, parts.pop(device).steal())
        opened = Device(address, self._kernel, node)
        counters = Counters(*(parts.pop(device._replace(part=part)) for part in COUNTERS))
        grip = Grip(opened, counters, device.group, device.backend, self._let_go)
        grip.taken_over()
        self._shared[device.group].devices += 1
        return grip

    def _let_go(self, grip: Grip) -> None:
        """Close a device: the manager's copies first, and the group with its last device."""
        with ExitStack() as closing:
            closing.callback(self._see_it_free, grip.group)
            closing.callback(self._leave, grip.group)
            closing.callback(grip.device.close)
            for counter in grip.counters:
                closing.callback(counter.close)
            closing.callback(self._store.forget, [*_named(grip), *self._shared_while_alone(grip)])

    def _shared_while_alone(self, grip: Grip) -> dict[str, Node]:
        """Return, by name, the group or iommufd if no other device is open through it."""
        shared = self._shared[grip.group]
        if shared.devices > 1:
            return {}
        return {Keepsake(SHARED, None, grip.backend, grip.group).name(): shared.way_in.node}

    def _way_in_again(self, device: Keepsake, descriptor: OwnedFd) -> WayIn:
        node = Node(self._kernel, descriptor.steal())
        if device.backend == Group.backend:
            return Group(self._kernel, node)
        return Iommufd(self._kernel, node, self._dev)

    def _enter(self, group: int, facts: Facts) -> _Shared:
        shared = self._shared.get(group)
        if shared is None:
            shared = self._shared[group] = _Shared(self._way_in(group, facts))
        shared.devices += 1
        return shared

    def _leave(self, group: int) -> None:
        shared = self._shared[group]
        shared.devices -= 1
        if not shared.devices:
            del self._shared[group]
            shared.way_in.close()

    def _see_it_free(self, group: int) -> None:
        """Wait until the kernel has let go of what was held: the last close is not always ours."""
        if group in self._shared:
            return  # another device of it is held
        if not os.path.exists(f"{self._dev}/vfio/{group}"):
            time.sleep(_UNSEEN)
            return
        until = time.monotonic() + FREE_WITHIN
        while group_is_busy(group, self._kernel, self._dev):
            if time.monotonic() > until:
                raise KernelRefused(
                    "close",
                    f"IOMMU group {group}",
                    errno.EBUSY,
                    f"It was still busy {FREE_WITHIN:.0f} s after its last close: a guest may have"
                    " it already; else look at the kernel log, a reset may hang",
                )
            time.sleep(_LOOK_AGAIN)

    def _way_in(self, group: int, facts: Facts) -> WayIn:
        if facts.cdev is not None and os.path.exists(f"{self._dev}/iommu"):
            return Iommufd.open(self._kernel, self._dev)
        return Group.open(group, self._kernel, self._dev)

    def _open(self, way_in: WayIn, facts: Facts) -> Device:
        if isinstance(way_in, Group):
            return way_in.device(facts.address)
        return way_in.device(facts.address, self._cdev_of)


def _named(grip: Grip) -> dict[str, OwnedFd]:
    """Return what has to be kept of a device, by name."""
    device = Keepsake(DEVICE, grip.device.address, grip.backend, grip.group)
    parts = zip(COUNTERS, grip.counters)
    counters = {device._replace(part=part).name(): counter for part, counter in parts}
    return {device.name(): grip.device.node, **counters}
