# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways in which a helper ends without being stopped, and what none of them may do."""

from __future__ import annotations

from .dying import CARDS, came_back, kept, main_pid
from .managed import ManagedHost
from .upgrading import ASLEEP, unmoved

DEATHS = {
    "killed": "systemctl kill -s KILL vfio-powerd",
    "restarted": "systemctl restart vfio-powerd",
    "under a new manager": "systemctl daemon-reexec; systemctl kill -s KILL vfio-powerd",
    "out of memory": "pid=$(systemctl show -P MainPID vfio-powerd);"
    " systemctl set-property --runtime vfio-powerd MemoryMax=2M MemorySwapMax=0;"
    ' until dmesg | grep -q "out of memory: Killed process $pid ";'
    " do vfio-powerctl list >/dev/null; done;"
    " rm -r /run/systemd/system.control; systemctl daemon-reload",
}


def a_death_moves_nothing(host: ManagedHost, way: str) -> None:
    """Have the helper end in one of these ways; the next one goes on where it was."""
    pid = main_pid(host)
    assert kept(host) == 5 * len(CARDS)
    with unmoved(host, *ASLEEP, awake=("spare",)):
        host.lab.ssh(DEATHS[way], check=False)
        came_back(host, pid)
    for card in ASLEEP:
        assert host.seen(card)[card].runtime_status == "suspended"
    assert host.power_state("spare") == "D0"
    assert host.held(*CARDS)
    answer = host.info()
    assert not answer["drifted"], answer["drift"]
    assert answer["helper"]["fdstore_ok"] is True
