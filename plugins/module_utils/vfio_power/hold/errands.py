# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What workers do to one device, each errand from sysfs' word to the closed descriptor."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Optional

from ..think.policy import Action
from ..touch.sysfs import Sysfs
from ..words.address import PciAddress
from ..words.declaration import Known
from ..words.errors import VfioPowerError
from ..words.facts import Facts, Power
from ..words.report import Failure
from .failures import NotOurs, failure_of
from .grip import Grip
from .grips import Grips

_BACK_AWAKE = ("D0", "unknown")  # unknown: a device without power management
_NOT_BACK = ("error", "suspended")


class Errands:
    """Carries actions out; may block for seconds, so it never runs in the loop."""

    def __init__(self, sysfs: Sysfs, grips: Grips, dev: str = "/dev") -> None:
        self._sysfs = sysfs
        self._grips = grips
        self._dev = dev

    def run(
        self, action: Action, known: Known, facts: Optional[Facts], grip: Optional[Grip]
    ) -> Optional[Grip]:
        """Carry one action out and return the grip that is held afterwards.

        ``facts`` are those that the action was decided on. Raises VfioPowerError; LET_GO has
        closed everything by then, TAKE keeps nothing.
        """
        if action is Action.TAKE:
            return self._grips.take(self._declared_one(known, facts))
        if grip is None:
            raise VfioPowerError(f"{known.address}: is not held")
        if action is Action.LET_GO:
            self._let_go(known.address, grip)
            return None
        if action is Action.EXIT:
            grip.leave_low_power()
        else:
            grip.enter(action)
        return grip

    def is_awake(self, address: PciAddress) -> bool:
        """Look, without touching it, whether a device is awake that nothing forbids to sleep."""
        power = self._sysfs.power(address)
        return power is not None and power.runtime_status == "active" and power.control == "auto"

    def d3cold_allowed(self, address: PciAddress) -> Optional[bool]:
        """Tell what sysfs says of it. This is passive and quick, and may be asked in the loop."""
        return self._sysfs.d3cold_allowed(address)

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
                "Exclude the address once, then declare the device at its new address",
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

    def _let_go(self, address: PciAddress, grip: Grip) -> None:
        """End low power, see whether the device came back, and close it whatever was seen."""
        refused = None
        with ExitStack() as closing:
            closing.callback(grip.close)
            try:
                grip.leave_low_power()
            except VfioPowerError as error:
                refused = error
            power = self._sysfs.power(address)
        if power is not None and not _is_back(power):
            raise NotOurs(
                "power-error",
                f"{address}: did not come back from {power.power_state} (runtime status"
                f" {power.runtime_status}) when it was let go",
                "Look at the kernel log; reset it and bind it anew before a guest gets it",
            ) from refused
        if refused is not None:
            raise refused


def _is_back(power: Power) -> bool:
    return power.power_state in _BACK_AWAKE and power.runtime_status not in _NOT_BACK
