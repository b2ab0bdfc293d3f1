# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract's ground on a host with real devices; needs root, and means the devices no good.

VFIO_POWER_GROUND names them: {"backend": "group", "host_driver": "e1000e", "cold": "0000:01:00.0",
"hot": …}.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.kernel import (
    Kernel,
    Linux,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.sysfs import Sysfs
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.udev import (
    Uevents,
    described,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Facts

VARIABLE = "VFIO_POWER_GROUND"
_PCI = Path("/sys/bus/pci")


class RealGround:
    """Real devices, bound with driver_override."""

    moment = 0.5
    dev = "/dev"

    def __init__(self, description: str) -> None:
        names = json.loads(description)
        self.backend = names.pop("backend")
        self.host_driver = names.pop("host_driver")
        self._addresses = {name: PciAddress.parse(text) for name, text in names.items()}
        self.kernel: Kernel = Linux()
        self.stranger: Kernel = self.kernel
        self.sysfs = Sysfs()

    def address(self, name: str) -> PciAddress:
        """Return where a device is."""
        return self._addresses[name]

    def look(self) -> dict[PciAddress, Facts]:
        """Read all that is ever read of a host and its devices."""
        devices = described(self.sysfs.devices())
        for address, facts in devices.items():
            self.sysfs.facts(address)
            self.sysfs.power(address)
            self.sysfs.bounds(address, facts.slot)
            self.sysfs.ports(address)
        self.sysfs.host()
        return devices

    def uevents(self) -> Uevents:
        """Listen to the kernel's messages from now on."""
        return Uevents()

    def touch(self, name: str) -> None:
        """Read its config space."""
        with open(self._path(name) / "config", "rb", buffering=0) as config:
            config.read(64)

    def write(self, name: str, attribute: str, value: str) -> None:
        """Write power/control or d3cold_allowed."""
        (self._path(name) / attribute).write_text(value)

    def unbind(self, name: str) -> None:
        """Take its driver away."""
        (self._path(name) / "driver/unbind").write_text(str(self.address(name)))

    def bind(self, name: str, driver: str = "vfio-pci") -> None:
        """Give it a driver."""
        if not (_PCI / "drivers" / driver).exists():
            subprocess.run(["modprobe", driver], check=True)
        (self._path(name) / "driver_override").write_text(driver)
        (_PCI / "drivers_probe").write_text(str(self.address(name)))

    def restore(self) -> None:
        """Undo what a test did to the devices."""
        for name in self._addresses:
            path = self._path(name)
            driver = path / "driver"
            if driver.exists() and driver.resolve().name != "vfio-pci":
                self.unbind(name)
            if not driver.exists():
                self.bind(name)
            for attribute, value in (("power/control", "auto"), ("d3cold_allowed", "1")):
                if (path / attribute).read_text().strip() != value:
                    self.write(name, attribute, value)

    def _path(self, name: str) -> Path:
        return _PCI / "devices" / str(self.address(name))
