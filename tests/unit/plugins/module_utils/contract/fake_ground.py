# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract's ground in unit tests: a fake host."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.kernel import Kernel
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Facts

from ..fake.host import FakeHost
from ..fake.kernel import FakeKernel
from ..fake.uevents import FakeUevents
from .ground import COLD, HOT, OTHER_TWIN, TWIN


class FakeGround:
    """Four devices on a fake host; nothing takes time there."""

    moment = 0.0

    def __init__(self, folder: Path, backend: str, *, disable_idle_d3: bool) -> None:
        self.backend = backend
        self.host_driver = "e1000e"
        self.host = FakeHost(folder, cdev=backend == "cdev", disable_idle_d3=disable_idle_d3)
        port = self.host.add_port("0000:00:1c.0", sleeps=True)
        self._devices = {
            COLD: self.host.add("0000:02:00.0"),
            HOT: self.host.add("0000:03:00.0", depth="D3hot"),
            TWIN: self.host.add("0000:04:00.0", depth="D3hot", port=port, group=9),
            OTHER_TWIN: self.host.add("0000:04:00.1", depth="D3hot", port=port, group=9),
        }
        self.kernel: Kernel = self.host.kernel
        self.stranger: Kernel = FakeKernel(self.host, [])
        self.sysfs = self.host.sysfs
        self.dev = self.host.dev

    def address(self, name: str) -> PciAddress:
        """Return where a device is."""
        return self._devices[name].address

    def look(self) -> dict[PciAddress, Facts]:
        """Read all that is ever read of a host and its devices."""
        devices = self.sysfs.devices()
        for address, facts in devices.items():
            self.sysfs.facts(address)
            self.sysfs.power(address)
            self.sysfs.bounds(address, facts.slot)
            self.sysfs.ports(address)
        self.sysfs.host()
        return devices

    def uevents(self) -> FakeUevents:
        """Listen to the kernel's messages from now on."""
        return self.host.uevents()

    def touch(self, name: str) -> None:
        """Read its config space."""
        self.host.touch_device(self.address(name))

    def write(self, name: str, attribute: str, value: str) -> None:
        """Write power/control or d3cold_allowed."""
        if attribute == "power/control":
            self.host.write_control(self.address(name), value)
        else:
            self.host.write_d3cold_allowed(self.address(name), allowed=value == "1")

    def unbind(self, name: str) -> None:
        """Take its driver away."""
        self.host.unbind(self.address(name))

    def bind(self, name: str, driver: str = "vfio-pci") -> None:
        """Give it a driver."""
        self.host.bind(self.address(name), driver)
