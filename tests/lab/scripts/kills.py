# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the lab host: kills the helper at random moments while what is declared changes.

Arguments: how many times, a seed, and the addresses. In each round some of the devices get
another mode, the helper is killed in the middle of it, and comes back by itself. Then the
declared state has to be reached, and no device whose mode stayed may have been woken. In the
first round, and now and then, somebody reads devices while nobody is there to see it: that has
to be counted. Every fifth kill is not at random: it waits until the helper has written down that
it is about to open a device, to enter, to exit, or to let go, each in its turn, and until it hits.
Prints one line of JSON with what was found; everything is asked of the kernel but the wish.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable

sys.path.insert(0, "/usr/local/lib/vfio-power/current")
from vfio_power.touch.client import Client
from vfio_power.words.errors import VfioPowerError

UNIT = "vfio-powerd.service"
MODES = ("entry", "entry-with-wakeup", "none", "awake")
ASLEEP = {"entry", "entry-with-wakeup"}
PATIENCE = 60.0
REENTRY = {"delay": 0.2, "max_per_hour": 36000, "burst": 1000}
AIMS = {
    "taking": ("none", "entry"),
    "entering": ("awake", "entry"),
    "exiting": ("entry", "awake"),
    "letting-go": ("entry", "none"),
}
"""What the helper is about to do with a device, and the change of mode that has it do so."""
AIMED = 5
RECORDS = "/run/vfio-power/holds"
LONG = 6.0
"""Seconds. Devices that are woken from shorter sleeps all the time would be in a storm."""


def show(name: str) -> int:
    return int(subprocess.check_output(["systemctl", "show", "-P", name, UNIT], text=True))


def helper() -> int:
    """Return its process, 0 while there is none; read many times a second, so from the kernel."""
    try:
        with open(f"/sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs", encoding="ascii") as file:
            return int(file.readline() or 0)
    except OSError:
        return 0


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
            **({"reentry": REENTRY} if mode == "entry-with-wakeup" else {}),
        }
        for address, mode in modes.items()
    ]


def declare(modes: dict[str, str]) -> None:
    """Declare, whoever dies meanwhile; a helper that was killed may have stored it or not.

    Once it is stored nobody asks again: the next helper has to bring it about by itself.
    """
    client = Client(timeout=PATIENCE)
    before = None
    while True:
        try:
            generation = client.call("List")["generation"]
            if before not in (None, generation):
                return
            before = generation
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
        own.append(len(os.listdir(f"/proc/{helper()}/fd")))
        time.sleep(0.05)
    return [show("NFileDescriptorStore"), min(own)]


def touch(address: str) -> None:
    with open(f"/sys/bus/pci/devices/{address}/config", "rb") as file:
        file.read(64)


def wakes_when_read(address: str) -> bool:
    """Tell whether the kernel resumes it for its config space, which in D3hot answers anyway."""
    return attribute(address, "power_state") == "D3cold"


def look() -> tuple[dict[str, int], set[str]]:
    """Return the foreign wakes that were counted, and which devices are armed."""
    devices = Client(timeout=PATIENCE).call("List")["devices"]
    counted = {it["address"]: it["wakes"]["foreign"] for it in devices if it["wakes"]}
    return counted, {it["address"] for it in devices if it["engaged"] == "entry-with-wakeup"}


def states() -> set[str]:
    """Return how devices stand by what the helper wrote down last."""
    found = set()
    for name in os.listdir(RECORDS):
        if name.endswith(".new"):
            continue  # is being written
        try:
            with open(f"{RECORDS}/{name}", encoding="ascii") as file:
                found.add(json.load(file)["state"])
        except FileNotFoundError:
            continue  # it was replaced, or let go
    return found


def moment(aim: str, dice: random.Random) -> None:
    """Wait for the time to kill the helper."""
    if not aim:
        time.sleep(dice.uniform(0, 2.0))
    deadline = time.monotonic() + 10.0
    while aim and aim not in states() and time.monotonic() < deadline:
        pass


def kill(aim: str, dice: random.Random, held: list[str], strangers: list[str]) -> dict[str, set]:
    """Kill the helper, and read devices before there is another one.

    Returns what it was at, and which of the held devices somebody else could have had meanwhile.
    """
    while not (pid := helper()):
        time.sleep(0.05)
    moment(aim, dice)
    os.kill(pid, signal.SIGKILL)
    was_at, lost = states(), set()
    for address in strangers:
        touch(address)
    while helper() in (0, pid):
        lost |= {it for it in held if not is_open(it)}
        time.sleep(0.05)
    return {"was_at": was_at, "lost": lost}


class Run:
    """The devices, what is wanted of them, and all that was found not to be so."""

    def __init__(self, addresses: list[str], dice: random.Random) -> None:
        self.addresses = addresses
        self.dice = dice
        self.modes = dict.fromkeys(addresses, "entry-with-wakeup")
        self.since = dict.fromkeys(addresses, -LONG)  # in its mode, and not woken
        self.aims = itertools.cycle(AIMS)
        self.aim = ""
        self.counted: dict[str, int] = {}
        self.armed: set[str] = set()
        self.found = {
            "rounds": 0,
            "hit": dict.fromkeys(AIMS, 0),
            "strangers": 0,
            **{what: [] for what in ("moved", "lost", "not_reached", "miscounted")},
        }

    def go(self, times: int) -> dict[str, object]:
        declare(self.modes)
        wait_until(self.modes)
        self.found["footprint_before"] = footprint()
        restarts = show("NRestarts")
        self.counted, self.armed = look()
        for turn in range(times):
            self.round(turn)
        self.found["restarts"] = show("NRestarts") - restarts
        declare(dict.fromkeys(self.addresses, "entry"))
        self.found["footprint"] = footprint()
        return self.found

    def round(self, turn: int) -> None:
        before = {it: attribute(it, "power/runtime_active_time") for it in self.addresses}
        if turn % AIMED == 1 and not self.aim:
            self.aim = next(self.aims)
        wanted = self.aimed(turn) if self.aim else self.any_change(turn)
        staying = [it for it in self.addresses if wanted[it] == self.modes[it]]
        strangers = self.who_is_read(staying)
        declaring = threading.Thread(target=declare, args=[wanted])
        declaring.start()
        held = [it for it in staying if wanted[it] != "none"]
        hit = kill(self.aim, self.dice, held, strangers)
        declaring.join()
        self.aim = "" if self.aim in hit["was_at"] else self.aim  # once more in the next round
        for state in hit["was_at"] & AIMS.keys():
            self.found["hit"][state] += 1
        changed = [it for it in self.addresses if it not in staying]
        self.since |= dict.fromkeys([*changed, *strangers], time.monotonic())
        self.modes = wanted
        self.tell("lost", turn, hit["lost"])
        self.tell("not_reached", turn, wait_until(wanted))
        quiet = [it for it in staying if it not in strangers and wanted[it] in ASLEEP]
        now = {it: attribute(it, "power/runtime_active_time") for it in quiet}
        self.tell("moved", turn, [it for it in quiet if now[it] != before[it]])
        self.count(turn, staying, strangers)
        self.found["rounds"] += 1

    def any_change(self, turn: int) -> dict[str, str]:
        """Some devices get another mode, in the first round none."""
        some = self.dice.sample(self.addresses, self.dice.randrange(1, len(self.addresses)))
        some = some if turn else self.addresses
        return {
            it: self.modes[it] if it in some else self.dice.choice(MODES) for it in self.addresses
        }

    def aimed(self, turn: int) -> dict[str, str]:
        """Bring a device to the mode that it is changed from; return what to declare then."""
        address = min(self.addresses)
        before, after = AIMS[self.aim]
        if self.modes[address] != before:
            self.modes[address] = before
            declare(self.modes)
            self.tell("not_reached", turn, wait_until(self.modes))
        self.since[address] = time.monotonic()
        _counted, self.armed = look()
        return {**self.modes, address: after}

    def who_is_read(self, staying: list[str]) -> list[str]:
        """Of the devices that stay as they are those that slept for long, and wake by reading."""
        rested = [it for it in staying if time.monotonic() - self.since[it] > LONG]
        return [it for it in rested if it in self.armed and wakes_when_read(it)]

    def count(self, turn: int, staying: list[str], strangers: list[str]) -> None:
        """See that each wake by a stranger was counted, and nothing else."""
        now, self.armed = look()
        both = now.keys() & self.counted.keys() & set(staying)
        wrong = {it for it in both if now[it] != self.counted[it] + (it in strangers)}
        self.tell("miscounted", turn, wrong | (set(strangers) - now.keys()))
        self.counted = now
        self.found["strangers"] += len(strangers)

    def tell(self, what: str, turn: int, devices: Iterable[str]) -> None:
        self.found[what] += [(turn, it, self.modes[it]) for it in sorted(devices)]


if __name__ == "__main__":
    times, seed, *addresses = sys.argv[1:]
    print(json.dumps(Run(addresses, random.Random(int(seed))).go(int(times))))
