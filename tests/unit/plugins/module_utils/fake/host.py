# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with PCI devices on VFIO, for tests: one FakeHost is the whole world.

    host = FakeHost(tmp_path)
    nic = host.add("0000:02:00.0")            # on vfio-pci, D3cold when it sleeps
    way = Group.open(nic.group, host.kernel, host.dev)
    device = way.device(nic.address)
    host.touch_device(nic.address)            # somebody runs lspci

Its parts: power.py suspends and resumes, vfio.py is the driver, nodes.py what is behind
/dev/vfio, kernel.py the calls, tree.py what sysfs shows, trouble.py what can be made to go wrong.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Optional

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.host_policy import Write
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.sysfs import Sysfs
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.udev import Uevent
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.allowance import D3COLD
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Identity

from .guest import Guest
from .kernel import FakeKernel
from .nodes import Call, IommuGroup
from .power import Function, Port
from .tree import Tree
from .trouble import Gate, Trouble
from .uevents import FakeUevents
from .vfio import VfioDevice

NIC = Identity("8086", "10d3", "8086", "a01f", "020000")


class FakeDevice:
    """One device of the host. ``vfio`` is None while no VFIO driver has it."""

    def __init__(self, function: Function, group: IommuGroup, identity: Identity) -> None:
        self.address = function.address
        self.function = function
        self.iommu_group = group
        self.group = group.number
        self.identity = identity
        self.driver: Optional[str] = None
        self.vfio: Optional[VfioDevice] = None
        self.cdev: Optional[str] = None  # "vfio3", where the host offers such nodes
        self.leaving = False  # its driver is being unbound
        self.numa_node = 0
        self.slot: Optional[str] = None
        self.boot_vga = False
        self.resets: tuple[str, ...] = ("flr", "pm")


class FakeHost:
    """All devices, groups and nodes. Every method may be called from any thread."""

    def __init__(
        self, folder: Path, *, disable_idle_d3: bool = True, cdev: bool = False, iommu: bool = True
    ) -> None:
        self.disable_idle_d3 = disable_idle_d3
        self.offers_cdev = cdev
        self.devices: dict[PciAddress, FakeDevice] = {}
        self.ports: dict[PciAddress, Port] = {}
        self.groups: dict[int, IommuGroup] = {}
        self.trouble = Trouble()
        self.calls: list[Call] = []  # what was asked of ``kernel``, in order
        self.changed = threading.Condition(threading.RLock())
        self.tree = Tree(folder, disable_idle_d3=disable_idle_d3, cdev=cdev, iommu=iommu)
        self.sysfs = Sysfs(self.tree.sys, self.tree.dev)
        self.dev = self.tree.dev
        self.kernel = FakeKernel(self, self.calls)
        self._uevents: list[FakeUevents] = []
        self._cdevs = 0

    def add_port(
        self,
        address: str,
        *,
        sleeps: bool = False,
        hotplug: bool = False,
        above: Optional[Port] = None,
    ) -> Port:
        """Put a port on the root bus, or below another one: then it is of a switch.

        One that ``sleeps`` goes to D3cold with all below it. With ``hotplug`` it stays awake all
        the same, as cards can be plugged in below it.
        """
        port = Port(PciAddress.parse(address), sleeps=sleeps, hotplug=hotplug, above=above)
        self.ports[port.address] = port
        self.tree.add_port(port)
        port.on_change = lambda: self.tree.show_port(port)
        return port

    def add(
        self,
        address: str,
        *,
        driver: Optional[str] = "vfio-pci",
        depth: str = "D3cold",
        port: Optional[Port] = None,
        group: Optional[int] = None,
        identity: Identity = NIC,
        slot: Optional[str] = None,
        numa_node: int = 0,
        boot_vga: bool = False,
        resets: tuple[str, ...] = ("flr", "pm"),
    ) -> FakeDevice:
        """Plug a device in: by default alone below a port of its own, in a group of its own."""
        with self.changed:
            port = port or self.add_port(self._next_port())
            number = max(self.groups, default=0) + 1 if group is None else group
            iommu_group = self.groups.setdefault(number, IommuGroup(number))
            function = Function(PciAddress.parse(address), depth, port)
            device = FakeDevice(function, iommu_group, identity)
            device.slot, device.numa_node, device.boot_vga = slot, numa_node, boot_vga
            device.resets = resets
            iommu_group.members.append(device)
            self.devices[device.address] = device
            self.tree.add(device)
            function.on_change = lambda: self.tree.show_power(function)
            self._tell("add", device)
        if driver is not None:
            self.bind(device.address, driver)
        return device

    def bind(self, address: PciAddress, driver: str = "vfio-pci") -> None:
        """Bind a driver; any with vfio in its name is a VFIO driver."""
        with self.changed:
            device = self.devices[address]
            device.driver = driver
            if "vfio" in driver:
                device.vfio = VfioDevice(device.function, idle_d3=not self.disable_idle_d3)
                if self.offers_cdev:
                    device.cdev, self._cdevs = f"vfio{self._cdevs}", self._cdevs + 1
            self.tree.show_driver(device)
            self._tell("bind", device)

    def unbind(self, address: PciAddress, timeout: float = 10.0) -> None:
        """Take the driver away. Wakes the device, asks its holder, and waits for the last close."""
        with self.changed:
            device = self.devices[address]
            self.begin_unbind(address)
            held = device.vfio
            if held and not self.changed.wait_for(lambda: held.opens == 0, timeout):
                device.leaving = False
                device.function.put()
                raise TimeoutError(f"{address} is still held after {timeout} s")
            self.end_unbind(address)

    def begin_unbind(self, address: PciAddress) -> None:
        """Do so up to the wait for the last close."""
        with self.changed:
            device = self.devices[address]
            if device.vfio is not None:
                device.leaving = True
                device.function.get()
                device.vfio.ask_back()

    def end_unbind(self, address: PciAddress) -> None:
        """Do so from there on."""
        with self.changed:
            device = self.devices[address]
            if device.vfio is not None:
                device.leaving = False
                device.function.put()
                device.vfio.unbound()
            device.driver = device.vfio = device.cdev = None
            self.tree.show_driver(device)
            self._tell("unbind", device)

    def unplug(self, address: PciAddress, timeout: float = 10.0) -> None:
        """Take the device out, after its driver let go of it."""
        self.unbind(address, timeout)
        with self.changed:
            device = self.devices.pop(address)
            device.iommu_group.members.remove(device)
            if device.function.port is not None:
                device.function.port.functions.remove(device.function)
            self.tree.remove(device)
            self._tell("remove", device)

    def touch_device(self, address: PciAddress) -> None:
        """Read its config space, as lspci does."""
        with self.changed:
            self.devices[address].function.read_config()

    def report_error(self, address: PciAddress) -> None:
        """Let a device report an uncorrectable error."""
        with self.changed:
            vfio = self.devices[address].vfio
            assert vfio is not None, f"{address} is on no VFIO driver"
            vfio.report_error()

    def lose(self, address: PciAddress) -> None:
        """Let a device not come back from its next sleep, or not be there from now on."""
        with self.changed:
            function = self.devices[address].function
            function.lost = True
            self.tree.show_power(function)

    def fall_silent(self, address: PciAddress) -> None:
        """Let a device answer all ones from now on, as one does that fell off its link."""
        with self.changed:
            self.tree.show_config(self.devices[address].function, b"\xff" * 64)

    def write_control(self, address: PciAddress, control: str) -> None:
        """Write power/control: on or auto."""
        with self.changed:
            self.devices[address].function.write_control(control)

    def write_d3cold_allowed(self, address: PciAddress, *, allowed: bool) -> None:
        """Write d3cold_allowed."""
        with self.changed:
            self.devices[address].function.write_d3cold_allowed(allowed=allowed)

    def write(self, write: Write) -> None:
        """Write one attribute of a device's policy, as a task does."""
        number = self.trouble.meet(write.address, write.knob.attribute)
        if number:
            raise OSError(number, os.strerror(number), write.knob.attribute)
        if write.knob is D3COLD:
            self.write_d3cold_allowed(write.address, allowed=write.value == D3COLD.allow)
        else:
            self.write_control(write.address, write.value)

    def let_time_be_seen(self) -> None:
        """Bring the times in sysfs up to date; otherwise they are as of the last change."""
        with self.changed:
            for device in self.devices.values():
                self.tree.show_power(device.function)

    def guest(self, address: PciAddress) -> Guest:
        """Start a guest with the device; OSError as its own open meets it."""
        return Guest(self, self.devices[address])

    def refuse(
        self,
        address: Optional[PciAddress],
        operation: str,
        number: int,
        times: Optional[int] = None,
    ) -> None:
        """Answer a call on the device with an errno; see trouble.py for the operations."""
        self.trouble.refuse(address, operation, number, times)

    def hold_up(self, address: Optional[PciAddress], operation: str) -> Gate:
        """Let a call on the device hang until the gate is opened."""
        return self.trouble.hold_up(address, operation)

    def uevents(self) -> FakeUevents:
        """Listen to the kernel's messages from now on."""
        self._uevents.append(FakeUevents())
        return self._uevents[-1]

    def _next_port(self) -> str:
        device, function = divmod(len(self.ports), 8)
        return f"0000:00:{device + 4:02x}.{function}"

    def _tell(self, action: str, device: FakeDevice) -> None:
        for listener in self._uevents:
            listener.tell(Uevent(action, device.address, device.driver))
