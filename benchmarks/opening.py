# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the helper takes to open many devices with its workers, against one after the other."""

from __future__ import annotations

from statistics import median

from tests.lab.managed import ManagedHost

from .findings import Finding

BOUND = 1 / 3
TOGETHER, ALONE = 16, 1
TURNS = 3
DECLARE, FORGET = "declare", "forget"

# Runs on the host, with the program that is installed there: no Ansible in the measured time.
_APPLY = """
import sys, time
sys.path.insert(0, "/usr/local/lib/vfio-power/current")
from vfio_power.touch.client import Client
client = Client(timeout=600.0)
rule = {"name": "all", "match": {"driver": ["vfio-pci"]}, "mode": "entry-with-wakeup"}
generation = client.call("List")["generation"]
began = time.monotonic()
answer = client.call("Apply", {"rules": [rule] if sys.argv[1] == "declare" else [], "exclude": [],
                               "expected_generation": generation, "timeout": 300.0})
print(time.monotonic() - began)
did = [outcome for outcome in answer["outcomes"] if outcome["actions"]]
expected = int(sys.argv[2]) if sys.argv[1] == "declare" else len(did)
if answer["pending"] or len(did) != expected:
    sys.exit(f"{len(did)} of {sys.argv[2]} devices were done, pending: {answer['pending']}")
"""


# At its first sleep in a boot a mark is left for each device, and synced.
_AS_AFTER_A_BOOT = (
    "systemctl stop vfio-powerd.service && "
    "rm -rf /run/vfio-power/proven /run/vfio-power/holds /var/lib/vfio-power/marks && "
    "systemctl start vfio-powerd.service"
)


def measure(host: ManagedHost) -> list[Finding]:
    """Open every device with one worker and with many, and leave all of them open."""
    _open_all(host, TOGETHER)  # once before: the first one finds no program in memory
    took: dict[int, list[float]] = {ALONE: [], TOGETHER: []}
    for _turn in range(TURNS):
        for workers, seconds in took.items():
            seconds.append(_open_all(host, workers))
    alone, together = median(took[ALONE]), median(took[TOGETHER])
    details = f"{together:.1f} s with {TOGETHER} workers / {alone:.1f} s with {ALONE}"
    name = f"{_count(host)} devices first opened / one after the other"
    return [Finding(name, together / alone, BOUND, "", details)]


def _open_all(host: ManagedHost, workers: int) -> float:
    """Return the seconds that it takes to open and enter every device for the first time."""
    host.converge(vfio_power_helper_workers=workers)
    _apply(host, FORGET)
    host.lab.ssh(_AS_AFTER_A_BOOT, timeout=400)
    return _apply(host, DECLARE)


def _apply(host: ManagedHost, what: str) -> float:
    command = f"python3 -I -B - {what} {_count(host)}"
    return float(host.lab.ssh(command, input=_APPLY, timeout=400).stdout)


def _count(host: ManagedHost) -> int:
    return len(host.lab.devices)
