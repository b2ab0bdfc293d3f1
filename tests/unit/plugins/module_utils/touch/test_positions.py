# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a device stands below a switch, read from the folders of a host."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.positions import Positions
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.sysfs import Sysfs
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.view import (
    DeviceView,
    Opener,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import HostFacts
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import HoldReport

TREE = {
    "0000:00:01.0": "0604",
    "0000:00:01.0/0000:01:00.0": "0604",
    "0000:00:01.0/0000:01:00.0/0000:02:00.0": "0604",
    "0000:00:01.0/0000:01:00.0/0000:02:00.0/0000:03:00.0": "0200",
    "0000:00:01.0/0000:01:00.0/0000:02:01.0": "0604",
    "0000:00:01.0/0000:01:00.0/0000:02:01.0/0000:04:00.0": "0200",
    "0000:00:02.0": "0604",
    "0000:00:02.0/0000:05:00.0": "0200",
}
SLOTS = {"7": "0000:03:00", "switch": "0000:02:00", "up": "0000:01:00"}


def host(folder: Path) -> Sysfs:
    """Make the tree; the slot of a switch's port can be switched, others have a label alone."""
    links = folder / "bus/pci/devices"
    links.mkdir(parents=True)
    for path, code in TREE.items():
        place = folder / "devices/pci0000:00" / path
        place.mkdir(parents=True)
        ids = "v00008086d000010D3sv00008086sd0000A01F"
        (place / "modalias").write_text(f"pci:{ids}bc{code[:2]}sc{code[2:]}i00\n")
        (links / place.name).symlink_to(place)
    for label, place in SLOTS.items():
        slot = folder / "bus/pci/slots" / label
        slot.mkdir(parents=True)
        (slot / "address").write_text(place + "\n")
    (folder / "bus/pci/slots/switch/power").write_text("1\n")
    return Sysfs(str(folder))


def at(text: str) -> PciAddress:
    return PciAddress.parse(text)


def test_ports_and_all_below_the_same_root_are_found(tmp_path: Path) -> None:
    sysfs = host(tmp_path)
    devices = sysfs.devices()
    holds = {at("04:00.0"): HoldReport(at("04:00.0"), held=True)}
    positions = Positions(sysfs, devices, holds, {}, HostFacts(), ())
    position = positions.of(DeviceView(at("03:00.0")), devices[at("03:00.0")])
    assert [str(it.address) for it in position.ports] == [
        "0000:02:00.0",
        "0000:01:00.0",
        "0000:00:01.0",
    ]
    (sibling,) = position.siblings
    assert (str(sibling.address), sibling.held) == ("0000:04:00.0", True)
    assert [str(port) for port in sibling.ports] == ["0000:02:01.0", "0000:01:00.0", "0000:00:01.0"]


def test_a_slot_that_can_be_switched_tells_of_the_port_above_it(tmp_path: Path) -> None:
    sysfs = host(tmp_path)
    devices = sysfs.devices()
    positions = Positions(sysfs, devices, {}, {}, HostFacts(), ())
    position = positions.of(DeviceView(at("03:00.0")), devices[at("03:00.0")])
    assert [port.bounds.hotplug for port in position.ports] == [False, True, False]


def test_a_port_says_itself_that_it_serves_hot_plug(tmp_path: Path) -> None:
    sysfs = host(tmp_path)
    port = tmp_path / "bus/pci/devices/0000:00:02.0"
    assert not sysfs.bounds(at("00:02.0")).hotplug
    (port / "0000:00:02.0:pcie010").mkdir()
    assert not sysfs.bounds(at("00:02.0")).hotplug, "that is another service"
    (port / "0000:00:02.0:pcie004").mkdir()
    assert sysfs.bounds(at("00:02.0")).hotplug


def test_who_has_a_sibling_open_is_known(tmp_path: Path) -> None:
    sysfs = host(tmp_path)
    devices = {
        address: facts._replace(iommu_group=7 if address == at("04:00.0") else None)
        for address, facts in sysfs.devices().items()
    }
    openers = {"/dev/vfio/7": (Opener(812, "qemu-system-x86", "web"),)}
    positions = Positions(sysfs, devices, {}, openers, HostFacts(), ())
    position = positions.of(DeviceView(at("03:00.0")), devices[at("03:00.0")])
    assert position.siblings[0].opened_by == ("qemu-system-x86 (pid 812, guest web)",)


def test_a_device_on_the_root_bus_has_nothing_around_it(tmp_path: Path) -> None:
    sysfs = host(tmp_path)
    devices = sysfs.devices()
    position = Positions(sysfs, devices, {}, {}, HostFacts(), ()).of(
        DeviceView(at("00:02.0")), devices[at("00:02.0")]
    )
    assert (position.ports, position.siblings) == ((), ())
