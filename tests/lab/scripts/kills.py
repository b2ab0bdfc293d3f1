# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the lab host: kills the helper at random moments while what is declared changes.

Arguments: how many times, a seed, and the addresses. In each round some of the devices get
another mode, the helper is killed in the middle of it, and comes back by itself. Then the
declared state has to be reached, and no device whose mode stayed may have been woken.
Prints one line of JSON with what was found; everything is asked of the kernel but the wish.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, "/usr/local/lib/vfio-power/current")
from vfio_power.touch.client import Client
from vfio_power.words.errors import VfioPowerError

UNIT = "vfio-powerd.service"
MODES = ("entry", "entry-with-wakeup", "none", "awake")
ASLEEP = {"entry", "entry-with-wakeup"}
PATIENCE = 60.0


def show(name: str) -> int:
    return int(subprocess.check_output(["systemctl", "show", "-P", name, UNIT], text=True))


def attribute(address: str, name: str) -> str:
    with open(f"/sys/bus/pci/devices/{address}/{name}", encoding="ascii") as file:
        return file.read().strip()


def rules(modes: dict[str, str]) -> list[dict[str, object]]:
    """An awake device is one that is reserved."""
    return [
        {
            "name": address,
            "address": address,
            "mode": "none" if mode == "awake" else mode,
            "reserve": mode == "awake",
        }
        for address, mode in modes.items()
    ]


def declare(modes: dict[str, str]) -> None:
    """Declare, whoever dies meanwhile; a helper that was killed may have stored it or not."""
    client = Client(timeout=PATIENCE)
    while True:
        try:
            generation = client.call("List")["generation"]
            wish = {"rules": rules(modes), "exclude": [], "timeout": PATIENCE}
            client.call("Apply", {**wish, "expected_generation": generation})
            return
        except VfioPowerError:
            time.sleep(0.05)


def is_open(address: str) -> bool:
    group = os.path.basename(os.readlink(f"/sys/bus/pci/devices/{address}/iommu_group"))
    try:
        os.close(os.open(f"/dev/vfio/{group}", os.O_RDWR))
    except OSError:
        return True
    return False


def stands(address: str, mode: str) -> bool:
    asleep = attribute(address, "power/runtime_status") == "suspended"
    return asleep == (mode in ASLEEP) and is_open(address) == (mode != "none")


def wait_until(modes: dict[str, str]) -> list[str]:
    """Wait for the declared state; return the devices that are not in it in time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        wrong = [address for address, mode in modes.items() if not stands(address, mode)]
        if not wrong:
            return []
        time.sleep(0.1)
    return wrong


def footprint() -> list[int]:
    """Return how many descriptors the service manager keeps, and how many the helper has.

    The helper's are counted for a while: somebody who was served may not have been let go yet.
    """
    own = []
    for _look in range(20):
        own.append(len(os.listdir(f"/proc/{show('MainPID')}/fd")))
        time.sleep(0.05)
    return [show("NFileDescriptorStore"), min(own)]


def foreign() -> dict[str, int]:
    devices = Client(timeout=PATIENCE).call("List")["devices"]
    return {it["address"]: it["wakes"]["foreign"] for it in devices if it["wakes"]}


def kill(after: float) -> None:
    time.sleep(after)
    while not (pid := show("MainPID")):
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    while show("MainPID") in (0, pid):
        time.sleep(0.05)


def main() -> None:
    times, seed, addresses = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    dice = random.Random(seed)
    modes = dict.fromkeys(addresses, "entry")
    declare(modes)
    found = {"rounds": 0, "moved": [], "not_reached": [], "miscounted": []}
    wait_until(modes)
    found["footprint_before"] = footprint()
    restarts, counted = show("NRestarts"), foreign()
    for turn in range(times):
        staying = set(dice.sample(addresses, dice.randrange(1, len(addresses))))
        wanted = {it: modes[it] if it in staying else dice.choice(MODES) for it in addresses}
        before = {it: attribute(it, "power/runtime_active_time") for it in staying}
        declaring = threading.Thread(target=declare, args=[wanted])
        declaring.start()
        kill(dice.uniform(0, 2.0))
        declaring.join()
        modes = wanted
        wrong = wait_until(modes)
        found["not_reached"] += [(turn, it, modes[it]) for it in wrong]
        found["moved"] += [
            (turn, it, modes[it])
            for it in sorted(staying)
            if modes[it] in ASLEEP and attribute(it, "power/runtime_active_time") != before[it]
        ]
        now = foreign()
        found["miscounted"] += [
            (turn, it, now[it])
            for it in sorted(now.keys() & counted.keys() & staying)
            if now[it] != counted[it]
        ]
        counted = now
        found["rounds"] += 1
    found["restarts"] = show("NRestarts") - restarts
    declare(dict.fromkeys(addresses, "entry"))
    found["footprint"] = footprint()
    print(json.dumps(found))


main()
