# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ninety-six devices: one task reaches them all, and the helper answers meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from .declared import HELPER
from .managed import ManagedHost

LAB = {"shape": "many"}
COUNT = 96
PATIENCE = 200  # seconds: so many cards on a machine with other work
CARDS = [f"rng{number:02}" for number in range(COUNT)]
ALL = {"name": "all", "match": {"vendor": ["1af4"], "class": ["00ff"]}, "mode": "entry"}


@pytest.fixture(scope="module")
def installed(host: ManagedHost) -> ManagedHost:
    rules = [{"name": "none-yet", "match": {"vendor": ["ffff"]}, "mode": "entry"}]
    host.converge(vfio_power_devices=rules, **HELPER)
    return host


# Asks the helper for its list again and again until all are held; prints how many answers came
# while the kernel was at some of them, and how many are held in the last one.
ASK_ON = """
import sys, time
sys.path.insert(0, "/usr/local/lib/vfio-power/current")
from vfio_power.touch.client import Client
client, meanwhile, held = Client(timeout=60), 0, 0
ends = time.monotonic() + 400
while held < 96 and time.monotonic() < ends:
    devices = client.call("List", {})["devices"]
    held = sum(device["held"] for device in devices)
    at_it = any(it["running"] and it["running"]["seconds"] is not None for it in devices)
    meanwhile += at_it and held < 96
    time.sleep(0.05)
print(meanwhile, held)
"""


def test_one_task_reaches_them_all_and_the_helper_answers_meanwhile(installed):
    with ThreadPoolExecutor(1) as beside:
        asking = beside.submit(installed.lab.ssh, "python3 -I -", input=ASK_ON, timeout=450)
        answer = installed.declare({**ALL, "count": COUNT}, timeout=PATIENCE, settle=PATIENCE)
        meanwhile, held = asking.result().stdout.split()
    assert not answer["failed"], answer["msg"]
    assert len(answer["devices"]) == COUNT
    assert {it.power_state for it in installed.seen(*CARDS).values()} == {"D3hot"}
    assert int(meanwhile), "no answer came while devices were being opened"
    assert int(held) == COUNT
    assert installed.held(*CARDS), "each group says EBUSY, and only the helper has its node"


def test_letting_them_all_go_leaves_none_held(installed):
    answer = installed.declare({**ALL, "mode": "none"}, timeout=PATIENCE)
    assert not answer.get("failed"), answer["msg"]
    assert answer["changed"]
    assert installed.openable(*CARDS)
