# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host shows of a PCI device without anyone opening or waking it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from .address import PciAddress


class Identity(NamedTuple):
    """What makes a card this card and not another one at the same address.

    Lower-case hexadecimal digits: four each, six for ``class_code``.
    """

    vendor: str
    device: str
    subsystem_vendor: str
    subsystem_device: str
    class_code: str

    def __str__(self) -> str:
        """Return ``vendor:device subsystem class`` for messages."""
        return (
            f"{self.vendor}:{self.device} (subsystem {self.subsystem_vendor}:"
            f"{self.subsystem_device}, class {self.class_code})"
        )


class Facts(NamedTuple):
    """A device as sysfs and udev describe it; none of it changes with its power state."""

    address: PciAddress
    identity: Identity
    driver: Optional[str] = None
    vfio: bool = False  # has vfio-dev/: some VFIO driver is bound to it
    cdev: Optional[str] = None  # "vfio3", when the kernel offers /dev/vfio/devices/
    iommu_group: Optional[int] = None
    numa_node: int = -1
    slot: Optional[str] = None  # physical slot label
    boot_vga: bool = False
    port: Optional[PciAddress] = None  # the bridge it hangs on
    root_port: Optional[PciAddress] = None  # the topmost one above it; the same without a switch
    reset_methods: tuple[str, ...] = ()
    bridge: bool = False  # header type 1: vfio-pci refuses it
    properties: Mapping[str, str] = {}  # udev's; empty where udev was not asked
    model: str = ""  # "Intel Corporation 82574L …", empty when unknown


class Power(NamedTuple):
    """What sysfs says of a device's power at one moment."""

    power_state: str = "unknown"  # D0, D3hot, D3cold, …: the PCI core's word
    runtime_status: str = "unknown"  # active, suspended, …: the PM core's word
    control: str = "unknown"  # auto or on
    active_ms: int = 0
    suspended_ms: int = 0

    @property
    def active_share(self) -> Optional[float]:
        """The part of its time on the bus that it was awake, 0 to 1; None where nobody counted."""
        counted = self.active_ms + self.suspended_ms
        return self.active_ms / counted if counted else None

    @property
    def asleep(self) -> bool:
        """Tell whether the device really rests: suspended, and not in D0."""
        return self.runtime_status == "suspended" and self.power_state in ("D3hot", "D3cold")

    @property
    def lost(self) -> bool:
        """Tell whether the device did not come back; it may be called active all the same."""
        active = self.runtime_status == "active"
        return self.runtime_status == "error" or (active and self.power_state in _OFF)

    @property
    def back(self) -> bool:
        """Tell of a device that has to be awake whether it is; without PM it always is."""
        return self.power_state in ("D0", "unknown") and self.runtime_status not in _NOT_BACK


_OFF = ("D3cold", "error")
_NOT_BACK = ("error", "suspended")


class HostFacts(NamedTuple):
    """What the host offers to VFIO."""

    kernel: str = ""
    vfio: bool = False  # /dev/vfio/vfio or /dev/iommu is there
    iommu: bool = False  # at least one IOMMU group exists
    iommufd: bool = False  # /dev/iommu and /dev/vfio/devices are offered
    disable_idle_d3: Optional[bool] = None  # None: vfio-pci is not loaded
