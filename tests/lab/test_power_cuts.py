# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug is pulled while what is declared changes: afterwards it is one of the two, and whole."""

from __future__ import annotations

import json
import random
import shlex
import time
from typing import Any

import pytest

from .declared import rule
from .managed import ManagedHost

LAB = {"shape": "small"}

CARDS = ("nic", "disk", "rng")
MODES = ("entry", "entry-with-wakeup")

# Declares one list of rules after the other, without end, and says when the first one is done.
_CHANGING = """
import itertools, json, sys
sys.path.insert(0, "/usr/local/lib/vfio-power/current")
from vfio_power.touch.client import Client
wishes, client = json.loads(sys.argv[1]), Client(timeout=60)
for wish in itertools.cycle(wishes):
    generation = client.call("List")["generation"]
    client.call("Apply", {"rules": wish, "exclude": [], "expected_generation": generation})
    open("/run/changed", "w").close()
"""


def declared(host: ManagedHost) -> list[dict[str, Any]]:
    """The stored rules, as the file on the disk has them."""
    stored = json.loads(host.lab.ssh("cat /var/lib/vfio-power/declared.json").stdout)
    rules: list[dict[str, Any]] = stored["content"]["rules"]
    return rules


def modes(rules: list[dict[str, Any]]) -> dict[str, str]:
    return {it["name"]: it["mode"] for it in rules}


def cut_while_changing(host: ManagedHost, times: int) -> None:
    """Pull the plug at random moments; the host has to come back with one of two declarations."""
    seed = int(time.time())
    dice = random.Random(seed)
    for cut in range(times):
        wishes = [
            [rule(host, card, mode=mode) for card in CARDS[: dice.randint(1, 3)]] for mode in MODES
        ]
        host.put_back([])  # also out of quarantine, where the cut before has left some
        # Anew each time: what was not synced is lost with the power.
        host.lab.ssh("cat > /run/changing.py", input=_CHANGING)
        words = shlex.quote(json.dumps(wishes))
        host.lab.ssh(f"nohup python3 -I /run/changing.py {words} >/dev/null 2>&1 &")
        host.lab.wait_for(lambda: is_there(host, "/run/changed"), 60, "a first change")
        time.sleep(dice.uniform(0.0, 4.0))  # a random moment is what this is about
        host.lab.power_cut()
        about = f"cut {cut}, seed {seed}"
        assert modes(declared(host)) in list(map(modes, wishes)), about
        host.lab.wait_for(lambda: answers(host), 60, "the helper to answer")
        assert "state-damaged" not in {it["code"] for it in host.info()["drift"]}, about


def test_after_a_power_cut_the_declaration_is_the_old_or_the_new_one(
    converged: ManagedHost,
) -> None:
    cut_while_changing(converged, times=3)


@pytest.mark.soak
def test_after_fifty_power_cuts_as_well(converged: ManagedHost) -> None:
    cut_while_changing(converged, times=50)


def is_there(host: ManagedHost, path: str) -> bool:
    return host.lab.ssh(f"test -e {path}", check=False).returncode == 0


def answers(host: ManagedHost) -> bool:
    return host.ctl("version", check=False).returncode == 0
