# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's sysfs and /dev show, as a folder that touch/sysfs.py can read.

Files are replaced, never rewritten, so that a reader in another thread sees whole values.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Identity

from .power import Function, Port

if TYPE_CHECKING:
    from .host import FakeDevice

_ROOT = "pci0000:00"
_PR3 = "firmware_node/power_resources_D3hot"
PORT = Identity("1b36", "000c", "0000", "0000", "060400")


class Tree:
    """The folder; ``sys`` and ``dev`` are what /sys and /dev are elsewhere."""

    def __init__(self, folder: Path, *, disable_idle_d3: bool, cdev: bool, iommu: bool) -> None:
        self._sys, self._dev = folder / "sys", folder / "dev"
        self.sys, self.dev = str(self._sys), str(self._dev)
        for name in ("bus/pci/devices", "bus/pci/slots", "bus/pci/drivers", f"devices/{_ROOT}"):
            (self._sys / name).mkdir(parents=True)
        (self._sys / "kernel/iommu_groups").mkdir(parents=True)
        _write(
            self._sys / "module/vfio_pci/parameters/disable_idle_d3",
            "Y" if disable_idle_d3 else "N",
        )
        if iommu:
            _write(self._dev / "vfio/vfio", "")
        if cdev:
            _write(self._dev / "iommu", "")

    def add_port(self, port: Port) -> None:
        """Show a port."""
        path = self._below(port)
        _write(path / "modalias", _modalias(PORT))
        _write(path / "secondary_bus_number", "0")
        self._link(port.address, path)
        self._show_driver(path, "pcieport")
        if port.switched:
            (path / _PR3).mkdir(parents=True)
        if port.hotplug:
            (path / f"{port.address}:pcie004").mkdir()
        # Reading it is refused for a port that must not sleep; a folder refuses that as well.
        delay = path / "power" / "autosuspend_delay_ms"
        if port.sleeps:
            _write(delay, "100")
        else:
            delay.mkdir(parents=True)
        self.show_port(port)

    def show_port(self, port: Port) -> None:
        """Show what the port does."""
        path = self._below(port)
        values = {
            "power_state": port.power_state,
            "d3cold_allowed": "1",
            "power/runtime_status": port.runtime_status,
            "power/control": port.control,
        }
        for name, value in values.items():
            _write(path / name, value)

    def add(self, device: FakeDevice) -> None:
        """Show a device without a driver."""
        path = self._place(device.function)
        identity = device.identity
        values = {
            "modalias": _modalias(identity),
            "numa_node": str(device.numa_node),
            "reset_method": " ".join(device.resets),
        }
        if identity.class_code.startswith("03"):
            values["boot_vga"] = str(int(device.boot_vga))
        for name, value in values.items():
            _write(path / name, value)
        group = self._sys / "kernel/iommu_groups" / str(device.group)
        (group / "devices").mkdir(parents=True, exist_ok=True)
        (group / "devices" / str(device.address)).symlink_to(path)
        (path / "iommu_group").symlink_to(group)
        if device.slot is not None:
            place = str(device.address).rpartition(".")[0]
            _write(self._sys / "bus/pci/slots" / device.slot / "address", place)
        if device.function.depth == "D3cold":
            (path / _PR3).mkdir(parents=True)
        self._link(device.address, path)
        self.show_config(device.function, bytes.fromhex(identity.vendor)[::-1] + bytes(62))
        self.show_power(device.function)

    def remove(self, device: FakeDevice) -> None:
        """Show it no longer."""
        name = str(device.address)
        (self._sys / "bus/pci/devices" / name).unlink()
        (self._sys / "kernel/iommu_groups" / str(device.group) / "devices" / name).unlink()
        shutil.rmtree(self._place(device.function))

    def show_power(self, function: Function) -> None:
        """Show what the function does."""
        path = self._place(function)
        values = {
            "power_state": function.power_state,
            "d3cold_allowed": str(int(function.d3cold_allowed)),
            "power/runtime_status": function.runtime_status,
            "power/control": function.control,
            "power/runtime_active_time": str(function.spent_ms("active")),
            "power/runtime_suspended_time": str(function.spent_ms("suspended")),
        }
        for name, value in values.items():
            _write(path / name, value)

    def show_config(self, function: Function, config: bytes) -> None:
        """Show the start of its config space."""
        (self._place(function) / "config").write_bytes(config)

    def show_driver(self, device: FakeDevice) -> None:
        """Show the driver's link, and the nodes there are because of it."""
        path = self._place(device.function)
        self._show_driver(path, device.driver)
        shutil.rmtree(path / "vfio-dev", ignore_errors=True)
        if device.vfio is not None:
            (path / "vfio-dev" / (device.cdev or "vfio0")).mkdir(parents=True)
        if device.cdev is not None:
            _write(path / "vfio-dev" / device.cdev / "dev", "510:0")
            _write(self._dev / "vfio/devices" / device.cdev, "")
        node = self._dev / "vfio" / str(device.group)
        if any(member.vfio for member in device.iommu_group.members):
            _write(node, "")
        elif node.exists():
            node.unlink()

    def _show_driver(self, path: Path, driver: str | None) -> None:
        link = path / "driver"
        if link.is_symlink():
            link.unlink()
        if driver is not None:
            link.symlink_to(self._sys / "bus/pci/drivers" / driver)

    def _link(self, address: PciAddress, path: Path) -> None:
        (self._sys / "bus/pci/devices" / str(address)).symlink_to(path)

    def _place(self, function: Function) -> Path:
        return self._below(function.port) / str(function.address)

    def _below(self, port: Port | None) -> Path:
        """Return the folder of what hangs on a port, which is in those of the ports above."""
        if port is None:
            return self._sys / "devices" / _ROOT
        return self._below(port.above) / str(port.address)


def _modalias(identity: Identity) -> str:
    ids = zip(("v", "d", "sv", "sd"), identity[:4])
    code = identity.class_code.upper()
    parts = "".join(f"{name}0000{number.upper()}" for name, number in ids)
    return f"pci:{parts}bc{code[:2]}sc{code[2:4]}i{code[4:]}"


def _write(path: Path, value: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    beside.write_text(value + "\n")
    os.replace(beside, path)
