# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ninety-six devices: one task reaches them all, and the helper answers meanwhile."""

from __future__ import annotations

import json
import threading

import pytest

from .declared import HELPER
from .managed import ManagedHost

LAB = {"shape": "many"}
COUNT = 96
ALL = {"name": "all", "match": {"vendor": ["1af4"], "class": ["00ff"]}, "mode": "entry"}


@pytest.fixture(scope="module")
def installed(host: ManagedHost) -> ManagedHost:
    rules = [{"name": "none-yet", "match": {"vendor": ["ffff"]}, "mode": "entry"}]
    host.converge(vfio_power_devices=rules, **HELPER)
    return host


def test_one_task_reaches_them_all_and_list_answers_while_they_are_opened(installed):
    answers = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            listed = json.loads(installed.ctl("list --json").stdout)
            answers.append([it for it in listed["devices"] if it["running"]])

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        answer = installed.declare({**ALL, "count": COUNT}, settle=20)
    finally:
        ended.set()
        asking.join()
    assert not answer.get("failed"), answer["msg"]
    assert len(answer["devices"]) == COUNT
    states = installed.lab.ssh("cat /sys/bus/pci/devices/*/power_state").stdout.split()
    assert states.count("D3hot") >= COUNT
    assert any(answers), "list never answered while devices were being opened"
    assert installed.held("rng00")
    assert installed.held("rng95")


def test_letting_them_all_go_leaves_none_held(installed):
    answer = installed.declare({**ALL, "mode": "none"})
    assert not answer.get("failed"), answer["msg"]
    assert answer["changed"]
    nodes = "for fd in /proc/[0-9]*/fd/*; do readlink $fd; done | grep -c '^/dev/vfio/[0-9]'"
    assert installed.lab.ssh(nodes, check=False).stdout.strip() == "0"
