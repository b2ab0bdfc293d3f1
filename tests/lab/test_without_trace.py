# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removal: what the collection brought to a host is gone, and its devices are as found."""

from __future__ import annotations

from .managed import ManagedHost

LAB = {"shape": "standard"}

TRACES = (
    "/usr/local/lib/vfio-power",
    "/usr/local/sbin/vfio-powerctl",
    "/etc/systemd/system/vfio-powerd.service",
    "/etc/systemd/system/vfio-powerd.socket",
    "/var/lib/vfio-power",
    "/run/vfio-power",
)


def test_removal_lets_all_go_and_leaves_nothing(main: ManagedHost):
    assert main.held("nic")
    played = main.play("vfio.power.remove", vfio_power_hosts="lab")
    assert played.status == 0, played.output
    left = main.lab.ssh(f"ls -d {' '.join(TRACES)} 2>/dev/null", check=False).stdout
    assert left == ""
    units = main.lab.ssh("systemctl list-unit-files 'vfio-power*' --no-legend", check=False)
    assert units.stdout == ""
    for card in ("nic", "disk", "rng", "spare"):
        assert main.openable(card)
        assert main.power_state(card) == "D0"
    again = main.play("vfio.power.remove", vfio_power_hosts="lab")
    assert again.status == 0, again.output
    assert again.changed == 0


def test_removal_wants_its_hosts_named(host: ManagedHost):
    played = host.play("vfio.power.remove")
    assert played.status != 0
    assert "vfio_power_hosts" in played.output
