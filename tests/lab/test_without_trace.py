# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removal: what the collection brought to a host is gone, and its devices are as found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conftest import OneLab
from .declared import HELPER, WAKEUP, main_rules, rule
from .guests import guest
from .managed import ManagedHost
from .watching import everything

LAB = {"shape": "standard"}

MODULE = "python3 -I -c 'import pyudev'"


@pytest.fixture(scope="module", autouse=True)
def removed(one_lab: OneLab) -> Iterator[None]:
    """Let whoever comes next know that there is no helper any more."""
    yield
    one_lab.converged = False


def test_removal_lets_all_go_and_leaves_nothing(main: ManagedHost, one_lab: OneLab):
    warm = rule(main, "nic", **WAKEUP, d3cold="forbid")
    others = [it for it in main_rules(main) if it["name"] != "nic"]
    assert not main.declare(warm, *others, settle=15).get("failed")
    allowed = f"cat /sys/bus/pci/devices/{main.address('nic')}/d3cold_allowed"
    assert main.lab.ssh(allowed).stdout == "0\n"
    assert main.held("nic", "disk", "rng", "spare")
    assert one_lab.as_found, "this lab was not seen before the helper came"
    played = main.play("vfio.power.remove", vfio_power_hosts="lab")
    assert played.status == 0, played.output
    assert everything(main) == one_lab.as_found
    assert main.lab.ssh(allowed).stdout == "1\n", "the host's policy is as it was found"
    assert main.lab.ssh("ls -d /run/vfio-power", check=False).returncode
    main.lab.ssh(MODULE)  # a package stays: others may use it by now
    units = main.lab.ssh("systemctl list-unit-files 'vfio-power*' --no-legend", check=False)
    assert units.stdout == ""
    explained = main.lab.ssh("journalctl --dump-catalog").stdout
    assert "Defined-By: systemd" in explained
    assert "vfio" not in explained
    cards = ("nic", "disk", "rng", "spare")
    assert main.openable(*cards)
    assert {it.power_state for it in main.seen(*cards).values()} == {"D0"}
    with guest(main, "nic"):
        took = main.unbind("disk")
    main.probe("disk")
    assert took < 1, f"the unbind took {took:.1f} s"
    again = main.play("vfio.power.remove", vfio_power_hosts="lab")
    assert again.status == 0, again.output
    assert again.changed == 0


def test_removal_of_a_helper_that_failed_leaves_no_failed_unit(host: ManagedHost, one_lab: OneLab):
    host.converge(vfio_power_devices=main_rules(host), **HELPER)
    folder = "/run/systemd/system/vfio-powerd.service.d"
    fails = "[Service]\nExecStart=\nExecStart=/bin/false\nRestart=no\n"
    host.lab.ssh(f"mkdir -p {folder}; cat > {folder}/fails.conf", input=fails)
    try:
        host.lab.ssh("systemctl daemon-reload")
        assert host.lab.ssh("systemctl restart vfio-powerd", check=False).returncode
    finally:
        host.lab.ssh(f"rm -r {folder}")
    state = "systemctl show -P ActiveState vfio-powerd.service"
    assert host.lab.ssh(state).stdout.strip() == "failed"
    played = host.play("vfio.power.remove", vfio_power_hosts="lab")
    assert played.status == 0, played.output
    assert host.lab.ssh(state).stdout.strip() == "inactive"
    assert everything(host) == one_lab.as_found


def test_removal_wants_its_hosts_named(host: ManagedHost):
    played = host.play("vfio.power.remove")
    assert played.status != 0
    assert "vfio_power_hosts" in played.output
