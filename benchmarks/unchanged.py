# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a task takes that changes nothing, against the shortest task there is.

Both run in one playbook over one connection and take turns, so that whatever else the machine
does falls on both alike.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from statistics import median

from tests.lab.managed import ManagedHost
from tests.lab.progress import LabError

from .findings import Finding

DEVICES = 16
TURNS = 12
BOUND = 1.5
PING, LOW_POWER = "ping", "low_power"


def measure(host: ManagedHost) -> list[Finding]:
    """Compare low_power with sixteen declared devices and nothing to do with ping."""
    cards = sorted(host.lab.devices)[:DEVICES]
    rules = [{"name": card, "address": host.address(card), "mode": "entry"} for card in cards]
    answer = host.declare(*rules, settle=30)
    if answer.get("failed"):
        raise LabError(f"The devices cannot be declared: {answer['msg']}")
    ping, low_power = _take_turns(host, rules)
    details = f"{low_power:.2f} s / {ping:.2f} s, medians of {TURNS} turns"
    name = f"a task that changes nothing, {DEVICES} devices / ping"
    return [Finding(name, low_power / ping, BOUND, "", details)]


def _take_turns(host: ManagedHost, rules: list[dict[str, object]]) -> tuple[float, float]:
    tasks = [
        {"name": PING, "ansible.builtin.ping": {}},
        {"name": LOW_POWER, "vfio.power.low_power": {"devices": rules, "purge": True}},
    ]
    play = {"hosts": "all", "gather_facts": False, "tasks": tasks * (TURNS + 1)}
    playbook = host.lab.folder / "turns.yml"
    playbook.write_text(json.dumps([play]))
    times = host.lab.folder / "turns.times"
    os.environ |= {
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "stopwatch",
        "STOPWATCH": str(times),
    }
    played = host.play(str(playbook))
    if played.status or played.changed:
        raise LabError(f"The playbook failed, or changed something:\n{played.output}")
    rows = [json.loads(line) for line in times.read_text().splitlines()]
    # The first turn also builds what is sent, opens the connection, and fills caches.
    ping, low_power = (_seconds(rows, name)[1:] for name in (PING, LOW_POWER))
    return median(ping), median(low_power)


def _seconds(rows: list[dict[str, object]], task: str) -> list[float]:
    return [float(str(row["seconds"])) for row in rows if row["task"] == task]
