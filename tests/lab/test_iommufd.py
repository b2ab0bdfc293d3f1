# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other way in: /dev/iommu and the device's own node, on a kernel that offers both."""

from __future__ import annotations

from .declared import DELAY, HELPER, REBIND, main_rules
from .dying import main_pid, replaced
from .guests import guest
from .watching import sleeping_on

LAB = {"shape": "small", "kernel": "iommufd"}


def held_by_its_node(host, card: str) -> bool:
    """Tell whether the helper alone has the device's own node open; the kernel lets one bind it."""
    node = host.lab.ssh(f"ls /sys/bus/pci/devices/{host.address(card)}/vfio-dev").stdout.strip()
    return host.pids(f"/dev/vfio/devices/{node}") == {main_pid(host)}


def test_devices_are_held_by_their_own_nodes(converged):
    for card in ("nic", "disk", "rng"):
        assert held_by_its_node(converged, card)
        assert not converged.openable(card)
    assert converged.power_state("nic") == "D3cold"
    assert converged.power_state("rng") == "D3hot"


def test_the_second_converge_changes_nothing(converged):
    played = converged.converge(vfio_power_devices=main_rules(converged), **HELPER)
    assert played.changed == 0, played.output


def test_a_helper_that_is_killed_or_restarted_moves_no_device(converged):
    converged.reaches("nic", "D3cold")
    for end in ("systemctl kill -s KILL vfio-powerd", "systemctl restart vfio-powerd"):
        with sleeping_on(converged, "nic", "disk", "rng"):
            replaced(converged, end)
        assert held_by_its_node(converged, "nic")


def test_a_stranger_is_seen_and_the_device_goes_back(converged):
    converged.reaches("nic", "D3cold")
    converged.lab.ssh(f"lspci -s {converged.address('nic')}")
    converged.reaches("nic", "D3cold", seconds=DELAY + 10)
    (nic,) = converged.info(devices=[{"address": converged.address("nic")}])["devices"]
    assert nic["wakes"]["foreign"] == 1
    assert held_by_its_node(converged, "nic")


def test_a_guest_gets_its_device_and_gives_it_back(converged):
    address = converged.address("nic")
    converged.ctl(f"release {address} --holder demo")
    with guest(converged, "nic"):
        assert converged.power_state("nic") == "D0"
    converged.ctl(f"reclaim {address} --holder demo")
    converged.reaches("nic", "D3cold")
    assert held_by_its_node(converged, "nic")


def test_an_unbind_returns_at_once_and_after_a_bind_the_device_is_held_again(converged):
    assert held_by_its_node(converged, "disk")
    took = converged.unbind("disk")
    converged.probe("disk")
    assert took < 1
    assert converged.openable("disk"), "a guest gets its chance first"
    converged.reaches("disk", "D3cold", seconds=REBIND + 15)
    assert held_by_its_node(converged, "disk")
