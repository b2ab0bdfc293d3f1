# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What workers do to one device, each errand from sysfs' word to the closed descriptor."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Optional

from ..think.policy import Action
from ..think.units import host_drivers
from ..touch.backends import GroupNotViable
from ..touch.sysfs import Sysfs
from ..words.address import PciAddress
from ..words.allowance import HostPolicy
from ..words.declaration import Known
from ..words.errors import KernelRefused, VfioPowerError
from ..words.facts import Facts, Identity, Power
from ..words.report import Failure
from .failures import NotOurs, explains, failure_of, lost, reported_an_error, silent
from .grip import Grip
from .grips import Grips
from .marks import Marks

_NEIGHBOURS_OR_BUSY = (("attach the container", errno.EPERM), ("bind", errno.EPERM))


class Errands:
    """Carries actions out; may block for seconds, so it never runs in the loop."""

    def __init__(self, sysfs: Sysfs, grips: Grips, marks: Marks, dev: str = "/dev") -> None:
        self._sysfs = sysfs
        self._grips = grips
        self._marks = marks
        self._dev = dev

    def run(
        self, action: Action, known: Known, facts: Optional[Facts], grip: Optional[Grip]
    ) -> Optional[Grip]:
        """Carry one action out and return the grip that is held afterwards.

        ``facts`` are those that the action was decided on. Raises VfioPowerError; LET_GO has
        closed everything by then, TAKE keeps nothing.
        """
        try:
            return self._run(action, known, facts, grip)
        except KernelRefused as refused:
            power = self._sysfs.power(known.address)
            if power is None or not explains(power, refused):
                raise
            raise lost(known.address, power, action) from refused

    def _run(
        self, action: Action, known: Known, facts: Optional[Facts], grip: Optional[Grip]
    ) -> Optional[Grip]:
        address = known.address
        if action is Action.TAKE:
            return self._take(self._declared_one(known, facts))
        if grip is None:
            raise VfioPowerError(f"{address}: is not held")
        identity = facts.identity if facts else known.identity
        if action is Action.LET_GO:
            self._let_go(address, identity, grip)
            return None
        if action is Action.EXIT:
            self._leave_low_power(address, identity, grip)
            self._see_awake(address, action)
            return grip
        power = self._see_awake(address, action)
        self._mark(address, identity, power)
        grip.enter(action)
        return grip

    def is_awake(self, address: PciAddress) -> bool:
        """Look, without touching it, whether a device is awake that nothing forbids to sleep."""
        power = self._sysfs.power(address)
        return power is not None and power.runtime_status == "active" and power.control == "auto"

    def power(self, address: PciAddress) -> Optional[Power]:
        """Tell what a device does; passive and quick, and may be asked in the loop."""
        return self._sysfs.power(address)

    def d3cold_allowed(self, address: PciAddress) -> Optional[bool]:
        """Tell what sysfs says of it. This is passive and quick, and may be asked in the loop."""
        return self._sysfs.d3cold_allowed(address)

    def policy(self, address: PciAddress) -> HostPolicy:
        """Tell what the host allows a device; passive and quick as well."""
        return self._sysfs.policy(address)

    def failure(self, error: Exception, address: PciAddress, facts: Optional[Facts]) -> Failure:
        """Say what an error of ``run`` means to people."""
        return failure_of(error, address, facts, self._dev)

    def _declared_one(self, known: Known, seen: Optional[Facts]) -> Facts:
        """Look once more before opening: it has to be the very device that was declared."""
        facts = self._sysfs.facts(known.address, slot=False)
        if facts is None:
            raise NotOurs(
                "device-missing", f"{known.address}: is not on the bus", "Look at slot and power"
            )
        if known.identity is not None and facts.identity != known.identity:
            raise NotOurs(
                "identity-changed",
                f"{known.address}: is {facts.identity}, declared was {known.identity}",
                f"If the new card is meant: vfio-powerctl why {known.address} says what to declare",
            )
        if not facts.vfio:
            driver = f"driver {facts.driver}" if facts.driver else "no driver"
            raise NotOurs(
                "not-bound",
                f"{known.address}: has {driver}, not a VFIO driver",
                f"Bind it: driverctl set-override {known.address} vfio-pci",
            )
        if seen is None or facts.iommu_group != seen.iommu_group:
            raise NotOurs(
                "device-missing",
                f"{known.address}: was plugged in anew, it is in IOMMU group {facts.iommu_group}",
                "Run it again",
            )
        return facts

    def _take(self, facts: Facts) -> Grip:
        """Take it; where an errno has several meanings, look in sysfs which of them it is."""
        try:
            grip = self._grips.take(facts)
        except GroupNotViable:
            self._refuse_neighbours(facts.address)
            raise
        except KernelRefused as refused:
            if (refused.operation, refused.number) in _NEIGHBOURS_OR_BUSY:
                self._refuse_neighbours(facts.address)
            raise
        with _closing_what_fails(grip):
            self._see_awake(facts.address, Action.TAKE)
        return grip

    def _refuse_neighbours(self, address: PciAddress) -> None:
        """Name who of the IOMMU group is on a host driver, if that is anybody."""
        others = host_drivers(address, self._sysfs.devices())
        if others:
            named = ", ".join(f"{other} ({driver})" for other, driver in others.items())
            raise GroupNotViable(
                f"{address}: shares its IOMMU group with devices on host drivers: {named}",
                "Bind them to vfio-pci too, or leave them unbound",
            )

    def _let_go(self, address: PciAddress, identity: Optional[Identity], grip: Grip) -> None:
        """End low power, see whether the device came back, and close it whatever was seen."""
        refused = None
        with _closing_what_fails(grip):
            try:
                self._leave_low_power(address, identity, grip)
            except VfioPowerError as error:
                refused = error
            try:
                power = self._look_awake(address, Action.LET_GO)
            except NotOurs as not_back:
                raise not_back from refused
        failed = grip.failed  # nobody watches it any more
        grip.close()  # where that fails nobody else gets the device, which is more than a refusal
        self._seen_back(address, power)  # not before: somebody waits for the device
        if failed:
            raise reported_an_error(address)
        if refused is not None:
            raise refused

    def _leave_low_power(
        self, address: PciAddress, identity: Optional[Identity], grip: Grip
    ) -> None:
        power = self._sysfs.power(address)
        if grip.entered and power is not None:
            with suppress(OSError):  # somebody waits for the device, whatever the disk says
                self._marks.arm(address, identity, power.suspended_ms)
        grip.leave_low_power()

    def _mark(
        self, address: PciAddress, identity: Optional[Identity], power: Optional[Power]
    ) -> None:
        """Leave a mark for the next boot; without one no device is put to sleep."""
        try:
            self._marks.arm(address, identity, power.suspended_ms if power else 0)
        except OSError as error:
            raise VfioPowerError(
                f"{address}: stays awake, as a crash while it sleeps could not be noted: {error}",
                "Look at the disk of /var/lib/vfio-power, then converge again",
            ) from error

    def _see_awake(self, address: PciAddress, action: Action) -> Optional[Power]:
        """See a device that we hold, and that is not in low power, awake and well."""
        power = self._look_awake(address, action)
        self._seen_back(address, power)
        return power

    def _look_awake(self, address: PciAddress, action: Action) -> Optional[Power]:
        power = self._sysfs.power(address)
        if power is None:
            return None  # it is leaving the bus
        if not power.back:
            raise lost(address, power, action)
        if not self._sysfs.answers(address):
            raise silent(address, action)
        return power

    def _seen_back(self, address: PciAddress, power: Optional[Power]) -> None:
        """Note that a device proved harmless, which is synced to the disk."""
        if power is not None:
            self._marks.seen_back(address, power.suspended_ms)


@contextmanager
def _closing_what_fails(grip: Grip) -> Iterator[None]:
    """Close it where a block fails: what was seen counts for more than what the close says."""
    try:
        yield
    except Exception:
        with suppress(VfioPowerError, OSError):
            grip.close()
        raise
