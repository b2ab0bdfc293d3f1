# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a host's sysfs, on the folder that a fake host keeps."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.sysfs import Sysfs
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import (
    Identity,
    Power,
)

from ..fake.host import NIC, FakeHost

GPU = Identity("10de", "2684", "1043", "88a3", "030000")


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def addresses(host: FakeHost) -> list[str]:
    return [str(address) for address in host.sysfs.devices()]


class TestDevices:
    def test_come_in_bus_order_with_the_ports_they_hang_on(self, host: FakeHost) -> None:
        host.add("0000:0a:00.0")
        host.add("0000:02:00.0")
        host.add("10000:01:00.0")
        found = addresses(host)
        assert found[-3:] == ["0000:02:00.0", "0000:0a:00.0", "10000:01:00.0"]
        assert len(found) == 6

    def test_have_the_facts_that_rules_ask_for(self, host: FakeHost) -> None:
        card = host.add(
            "0000:65:00.0",
            identity=GPU,
            group=17,
            slot="Slot 3",
            numa_node=1,
            boot_vga=True,
            resets=("pm", "bus"),
        )
        facts = host.sysfs.facts(card.address)
        assert facts is not None
        assert facts == host.sysfs.devices()[card.address]
        assert facts.identity == GPU
        assert (facts.driver, facts.vfio, facts.cdev) == ("vfio-pci", True, None)
        assert (facts.iommu_group, facts.numa_node, facts.slot) == (17, 1, "Slot 3")
        assert (facts.boot_vga, facts.bridge) == (True, False)
        assert facts.reset_methods == ("pm", "bus")
        assert facts.port == PciAddress.parse("0000:00:04.0")

    def test_of_any_driver_with_a_vfio_device_are_on_vfio(self, host: FakeHost) -> None:
        variant = host.add("0000:02:00.0", driver="mlx5-vfio-pci")
        ordinary = host.add("0000:03:00.0", driver="e1000e")
        unbound = host.add("0000:04:00.0", driver=None)
        found = host.sysfs.devices()
        assert found[variant.address].vfio
        assert not found[ordinary.address].vfio
        assert (found[unbound.address].driver, found[unbound.address].vfio) == (None, False)

    def test_have_a_node_of_their_own_where_the_kernel_gives_them_one(self, tmp_path: Path) -> None:
        host = FakeHost(tmp_path, cdev=True)
        host.add("0000:02:00.0")
        card = host.add("0000:03:00.0")
        facts = host.sysfs.facts(card.address)
        assert facts is not None
        assert facts.cdev == "vfio1"

    def test_that_are_bridges_say_so(self, host: FakeHost) -> None:
        port = host.add_port("0000:00:1c.0")
        facts = host.sysfs.facts(port.address)
        assert facts is not None
        assert facts.bridge
        assert (facts.port, facts.iommu_group) == (None, None)

    def test_that_are_not_there_have_no_facts(self, host: FakeHost) -> None:
        card = host.add("0000:02:00.0")
        host.unplug(card.address)
        assert host.sysfs.facts(card.address) is None
        assert host.sysfs.power(card.address) is None
        assert card.address not in host.sysfs.devices()

    def test_that_vanish_while_they_are_read_are_left_out(self, host: FakeHost) -> None:
        card = host.add("0000:02:00.0")
        os.unlink(f"{host.tree.sys}/bus/pci/devices/{card.address}/modalias")
        assert card.address not in host.sysfs.devices()

    def test_share_a_slot_label_by_function(self, host: FakeHost) -> None:
        port = host.add_port("0000:00:1c.0")
        cards = [host.add(f"0000:65:00.{n}", port=port, slot="7") for n in range(2)]
        found = host.sysfs.devices()
        assert [found[card.address].slot for card in cards] == ["7", "7"]


class TestDevicesAround:
    def test_are_those_of_the_group_and_below_the_port(self, host: FakeHost) -> None:
        port = host.add_port("0000:00:1c.0")
        pair = [host.add(f"0000:65:00.{n}", port=port, group=40 + n) for n in range(2)]
        mate = host.add("0000:70:00.0", group=41)
        host.add("0000:80:00.0")
        found = host.sysfs.devices(around=[pair[0].address])
        assert list(found) == [pair[0].address, pair[1].address, mate.address]
        everything = host.sysfs.devices()
        assert found == {address: everything[address] for address in found}

    def test_are_also_those_beyond_the_ports_of_a_switch(self, host: FakeHost) -> None:
        root = host.add_port("0000:00:1c.0")
        up = host.add_port("0000:01:00.0", above=root)
        downs = [host.add_port(f"0000:02:0{slot}.0", above=up) for slot in range(2)]
        cards = [host.add(f"0000:{3 + n:02x}:00.0", port=port) for n, port in enumerate(downs)]
        found = host.sysfs.devices(around=[cards[0].address])
        assert {card.address for card in cards} <= found.keys()
        facts = found[cards[1].address]
        assert (facts.port, facts.root_port) == (downs[1].address, root.address)

    def test_that_are_not_there_have_none(self, host: FakeHost) -> None:
        host.add("0000:02:00.0")
        assert host.sysfs.devices(around=[PciAddress.parse("0000:03:00.0")]) == {}


class TestPower:
    def test_is_told_as_it_changes(self, host: FakeHost) -> None:
        card = host.add("0000:02:00.0")
        awake = host.sysfs.power(card.address)
        assert awake is not None
        assert (awake.power_state, awake.runtime_status, awake.control) == ("D0", "active", "auto")
        assert not awake.asleep
        host.unbind(card.address)
        unbound = host.sysfs.power(card.address)
        assert unbound is not None
        assert unbound.control == "on"

    def test_of_an_idle_device_is_d3_where_the_host_allows_it(self, tmp_path: Path) -> None:
        host = FakeHost(tmp_path, disable_idle_d3=False)
        card = host.add("0000:02:00.0")
        asleep = host.sysfs.power(card.address)
        assert asleep is not None
        assert asleep.asleep
        assert asleep.power_state == "D3cold"

    def test_is_unknown_where_the_kernel_says_nothing(self, host: FakeHost) -> None:
        card = host.add("0000:02:00.0")
        path = Path(host.tree.sys, "bus/pci/devices/0000:02:00.0")
        shutil.rmtree(path / "power")
        (path / "power_state").unlink()
        assert host.sysfs.power(card.address) == Power()


class TestHost:
    def test_offers_what_its_nodes_say(self, tmp_path: Path) -> None:
        group, cdev = FakeHost(tmp_path / "a"), FakeHost(tmp_path / "b", cdev=True)
        for host in (group, cdev):
            host.add("0000:02:00.0")
        assert (group.sysfs.host().vfio, group.sysfs.host().iommufd) == (True, False)
        assert (cdev.sysfs.host().vfio, cdev.sysfs.host().iommufd) == (True, True)

    @pytest.mark.parametrize("rule", [True, False])
    def test_tells_its_idle_rule(self, tmp_path: Path, rule: bool) -> None:
        host = FakeHost(tmp_path, disable_idle_d3=rule)
        host.add("0000:02:00.0")
        assert host.sysfs.host().disable_idle_d3 is rule
        assert host.sysfs.host().iommu

    def test_without_anything_says_no_to_everything(self, tmp_path: Path) -> None:
        sysfs = Sysfs(str(tmp_path / "sys"), str(tmp_path / "dev"))
        host = sysfs.host()
        assert (host.vfio, host.iommu, host.iommufd) == (False, False, False)
        assert host.disable_idle_d3 is None
        assert host.kernel
        assert sysfs.devices() == {}


def test_nothing_is_read_that_would_wake_a_sleeping_device(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    harmless = {
        *(
            "modalias",
            "numa_node",
            "boot_vga",
            "reset_method",
            "address",
            "power_state",
            "runtime_status",
            "control",
        ),
        *("runtime_active_time", "runtime_suspended_time", "disable_idle_d3"),
    }
    card = host.add("0000:02:00.0", identity=NIC)
    opened: list[str] = []

    real_open = os.open

    def watched(path: str, flags: int) -> int:
        opened.append(os.path.basename(path))
        return real_open(path, flags)

    monkeypatch.setattr(os, "open", watched)
    host.sysfs.devices()
    host.sysfs.facts(card.address)
    host.sysfs.power(card.address)
    host.sysfs.host()
    assert opened
    assert set(opened) <= harmless


@pytest.mark.parametrize(
    ("config", "answers"),
    [
        (b"\xff" * 64, False),
        (b"\xff" * 4 + bytes(60), True),  # a virtual function has all ones for its IDs
        (b"\x86\x80" + bytes(62), True),
    ],
)
def test_a_device_that_is_gone_reads_as_all_ones(
    host: FakeHost, config: bytes, answers: bool
) -> None:
    card = host.add("0000:02:00.0")
    host.tree.show_config(card.function, config)
    assert host.sysfs.answers(card.address) is answers


def test_a_device_of_which_nothing_can_be_read_may_be_well(host: FakeHost) -> None:
    assert host.sysfs.answers(PciAddress.parse("0000:09:00.0"))
