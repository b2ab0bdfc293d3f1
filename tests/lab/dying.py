# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of a dying helper have in common, on each Debian."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from .managed import ManagedHost

CARDS = ("nic", "disk", "rng", "spare")
A_KILL = 30
"""Seconds that one kill may take at most: a restart, and what was declared meanwhile."""

A_FEW = 5
"""Descriptors that the service manager may have more of, for what it does at that moment."""

_SCRIPT = Path(__file__).parent / "scripts" / "kills.py"


def main_pid(host: ManagedHost) -> int:
    """The helper's process, 0 while there is none."""
    return int(host.lab.ssh("systemctl show -P MainPID vfio-powerd").stdout)


def uptime(host: ManagedHost) -> float:
    """Seconds since the helper is up."""
    script = (
        "now=$(cut -d. -f1 /proc/uptime); then=$(systemctl show vfio-powerd"
        " -P ActiveEnterTimestampMonotonic); echo $((now - then / 1000000))"
    )
    return float(host.lab.ssh(script).stdout)


def kept(host: ManagedHost) -> int:
    """How many descriptors the service manager keeps for the helper."""
    return int(host.lab.ssh("systemctl show -P NFileDescriptorStore vfio-powerd").stdout)


def came_back(host: ManagedHost, before: int) -> None:
    """Wait until another helper serves."""

    def serves() -> bool:
        state = host.lab.ssh("systemctl is-active vfio-powerd", check=False).stdout.strip()
        return state == "active" and main_pid(host) not in (0, before)

    host.lab.wait_for(serves, 30, "another helper to serve")


def restart(host: ManagedHost) -> None:
    """Have another helper, which reads the quirks anew; no device moves by that alone."""
    replaced(host, "systemctl restart vfio-powerd")


def replaced(host: ManagedHost, how: str) -> None:
    """End the helper by a command, and wait for the one that follows it."""
    pid = main_pid(host)
    host.lab.ssh(how)
    came_back(host, pid)


def wakes(host: ManagedHost, card: str) -> dict[str, Any]:
    """What the helper counted of a device's wakes."""
    (device,) = host.info(devices=[{"address": host.address(card)}])["devices"]
    found: dict[str, Any] = device["wakes"]
    return found


def kills(host: ManagedHost, times: int) -> None:
    """Kill the helper at random moments, and at what it is about to do with a device.

    Nothing may move but by what is declared.
    """
    seed = int(time.time())
    there = [host.address(card) for card in CARDS]
    words = " ".join([str(times), str(seed), *there])
    told = host.lab.ssh(
        f"python3 -I - {words}", input=_SCRIPT.read_text(encoding="utf-8"), timeout=times * A_KILL
    )
    found = json.loads(told.stdout)
    about = f"seed {seed}: {told.stdout}"
    assert found["rounds"] == times, about
    assert found["restarts"] == times, about
    assert all(found["hit"].values()), about
    assert found["moved"] == [], about
    assert found["lost"] == [], about
    assert found["not_reached"] == [], about
    assert found["not_engaged"] == [], about
    assert found["miscounted"] == [], about
    assert found["strangers"] >= times // 20, about
    before, after = found["footprint_before"], found["footprint"]
    assert (after["kept"], after["helper"]) == (before["kept"], before["helper"]), about
    assert after["manager"] <= before["manager"] + A_FEW, about
    assert after["kept"] == 5 * len(there), about


def a_stop_lets_all_go(host: ManagedHost) -> None:
    """Stop the helper, which lets go of all before the service manager would close one by one."""
    since = host.lab.ssh("date +%s.%N").stdout.strip()
    host.lab.ssh("systemctl stop vfio-powerd")
    assert kept(host) == 0
    for card in CARDS:
        assert host.openable(card)
        assert host.power_state(card) == "D0"
    journal = host.lab.ssh(f"journalctl -u vfio-powerd -o cat --since @{since}").stdout
    assert f"letting {len(CARDS)} devices go" in journal, journal
    assert "still held" not in journal, "the service manager closed them instead"
    assert host.lab.ssh("systemctl show -P Result vfio-powerd").stdout.strip() == "success"
    host.lab.ssh("systemctl start vfio-powerd")
    host.reaches("nic", "D3cold")
    assert host.held("nic")
