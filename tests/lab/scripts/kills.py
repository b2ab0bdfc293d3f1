# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the lab host: kills the helper at random moments while what is declared changes.

Arguments: how many times, a seed, and the addresses. In each round some of the devices get
another mode, the helper is killed in the middle of it, and comes back by itself. Then the
declared state has to be reached, and no device whose mode stayed may have been woken. In the
first round, in every tenth, and now and then, somebody reads devices while nobody is there to see
it: that has to be counted, and nothing else. Every fourth kill is not at random: it waits until the
helper has written down that it is about to open a device, to enter either mode, to exit, or to let
go, each in its turn, and until it hits. Prints one line of JSON with what was found. The kernel is
asked how devices stand, the helper only what it counted and which mode it says is engaged.
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
from typing import NamedTuple, Optional

sys.path.insert(0, "/usr/local/lib/vfio-power/current")
from vfio_power.touch.client import Client
from vfio_power.words.errors import VfioPowerError

UNIT = "vfio-powerd.service"
MODES = ("entry", "entry-with-wakeup", "none", "awake")
ASLEEP = {"entry", "entry-with-wakeup"}
PATIENCE = 60.0
REENTRY = {"delay": 0.2, "max_per_hour": 36000, "burst": 1000}


class Aim(NamedTuple):
    """What the helper is about to do with a device, and the change of mode that has it do so."""

    state: str
    before: str
    after: str


AIMS = (
    Aim("taking", "none", "entry"),
    Aim("entering", "awake", "entry"),
    Aim("entering", "awake", "entry-with-wakeup"),
    Aim("exiting", "entry-with-wakeup", "awake"),
    Aim("letting-go", "entry", "none"),
)
AIMED, READ = 4, 10
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


def footprint() -> dict[str, int]:
    """Return how many descriptors the service manager keeps, and how many it and the helper have.

    They are counted for a while: somebody who was served may not have been let go yet.
    """
    helpers, managers = [], []
    for _look in range(20):
        helpers.append(len(os.listdir(f"/proc/{helper()}/fd")))
        managers.append(len(os.listdir("/proc/1/fd")))
        time.sleep(0.05)
    kept = show("NFileDescriptorStore")
    return {"kept": kept, "helper": min(helpers), "manager": min(managers)}


def touch(address: str) -> None:
    with open(f"/sys/bus/pci/devices/{address}/config", "rb") as file:
        file.read(64)


def wakes_when_read(address: str) -> bool:
    """Tell whether the kernel resumes it for its config space, which in D3hot answers anyway."""
    return attribute(address, "power_state") == "D3cold"


def ask() -> dict[str, dict[str, object]]:
    """Return what the helper says of each device, as soon as there is one."""
    while True:
        try:
            devices = Client(timeout=PATIENCE).call("List")["devices"]
        except VfioPowerError:
            time.sleep(0.05)
        else:
            return {it["address"]: it for it in devices}


def foreign(told: dict[str, dict[str, object]]) -> dict[str, int]:
    """Return how many wakes by strangers were counted of each device that is held, or ever was."""
    return {it: device["wakes"]["foreign"] for it, device in told.items() if device["wakes"]}


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


def moment(aim: Optional[Aim], dice: random.Random) -> None:
    """Wait for the time to kill the helper."""
    if aim is None:
        time.sleep(dice.uniform(0, 2.0))
        return
    deadline = time.monotonic() + 10.0
    while aim.state not in states() and time.monotonic() < deadline:
        pass


def kill(
    aim: Optional[Aim], dice: random.Random, held: list[str], strangers: list[str]
) -> tuple[set[str], set[str]]:
    """Kill the helper, and read devices before there is another one.

    Returns what it was at, and which of the held devices somebody else could have had before the
    next one had taken over.
    """
    while not (pid := helper()):
        time.sleep(0.05)
    moment(aim, dice)
    os.kill(pid, signal.SIGKILL)
    was_at, lost = states(), set()
    for address in strangers:
        touch(address)
    next_one = threading.Thread(target=ask)
    next_one.start()
    while next_one.is_alive():
        lost |= {it for it in held if not is_open(it)}
        time.sleep(0.05)
    return was_at, lost


class Run:
    """The devices, what is wanted of them, and all that was found not to be so."""

    def __init__(self, addresses: list[str], dice: random.Random) -> None:
        self.addresses = addresses
        self.dice = dice
        self.modes = dict.fromkeys(addresses, "entry-with-wakeup")
        self.since = dict.fromkeys(addresses, -LONG)  # in its mode, and not woken
        self.aims = itertools.cycle(AIMS)
        self.aim: Optional[Aim] = None
        self.counted = dict.fromkeys(addresses, 0)  # wakes by strangers
        self.found = {
            "rounds": 0,
            "hit": {f"{aim.before} > {aim.after}": 0 for aim in AIMS},
            "strangers": 0,  # not those of the first round
            **{what: [] for what in ("moved", "lost", "not_reached", "not_engaged", "miscounted")},
        }

    def go(self, times: int) -> dict[str, object]:
        self.bring_about(self.modes)
        self.found["footprint_before"] = footprint()
        restarts = show("NRestarts")
        self.counted |= foreign(ask())
        for turn in range(times):
            self.round(turn)
        self.found["restarts"] = show("NRestarts") - restarts
        declare(dict.fromkeys(self.addresses, "entry"))
        self.found["footprint"] = footprint()
        return self.found

    def round(self, turn: int) -> None:
        if turn % AIMED == 1 and not self.aim:
            self.aim = next(self.aims)
        wanted = self.next_modes(turn)
        before = {it: attribute(it, "power/runtime_active_time") for it in self.addresses}
        staying = [it for it in self.addresses if wanted[it] == self.modes[it]]
        strangers = self.who_is_read(staying)
        declaring = threading.Thread(target=declare, args=[wanted])
        declaring.start()
        held = [it for it in staying if wanted[it] != "none"]
        was_at, lost = kill(self.aim, self.dice, held, strangers)
        declaring.join()
        self.see_whether_it_hit(was_at)
        changed = [it for it in self.addresses if it not in staying]
        self.since |= dict.fromkeys([*changed, *strangers], time.monotonic())
        self.modes = wanted
        self.tell("lost", turn, lost)
        self.tell("not_reached", turn, wait_until(wanted))
        quiet = [it for it in staying if it not in strangers and wanted[it] in ASLEEP]
        now = {it: attribute(it, "power/runtime_active_time") for it in quiet}
        self.tell("moved", turn, [it for it in quiet if now[it] != before[it]])
        self.compare(turn, strangers)
        self.found["rounds"] += 1

    def next_modes(self, turn: int) -> dict[str, str]:
        """Say what to declare in this round, for which some devices may have to be prepared."""
        first = min(self.addresses)
        if self.aim:
            self.bring_about({**self.modes, first: self.aim.before})
            return {**self.modes, first: self.aim.after}
        if turn == 0:
            return self.modes
        some = self.dice.sample(self.addresses, self.dice.randrange(1, len(self.addresses)))
        if turn % READ == 0:
            self.bring_about({**self.modes, first: "entry-with-wakeup"})
            time.sleep(max(0.0, self.since[first] + LONG + 1 - time.monotonic()))
            some = [first]
        return {
            it: self.modes[it] if it in some else self.dice.choice(MODES) for it in self.addresses
        }

    def bring_about(self, modes: dict[str, str]) -> None:
        """Declare, without a kill, and wait until it is so."""
        changed = [it for it in self.addresses if modes[it] != self.modes[it]]
        self.modes = modes
        declare(modes)
        self.tell("not_reached", -1, wait_until(modes))
        self.since |= dict.fromkeys(changed, time.monotonic())

    def see_whether_it_hit(self, was_at: set[str]) -> None:
        """Aim at the same once more in the next round where it did not."""
        if self.aim and self.aim.state in was_at:
            self.found["hit"][f"{self.aim.before} > {self.aim.after}"] += 1
            self.aim = None

    def who_is_read(self, staying: list[str]) -> list[str]:
        """Of the devices that stay as they are those that slept for long, and wake by reading."""
        rested = [it for it in staying if time.monotonic() - self.since[it] > LONG]
        armed = [it for it in rested if self.modes[it] == "entry-with-wakeup"]
        return [it for it in armed if wakes_when_read(it)]

    def compare(self, turn: int, strangers: list[str]) -> None:
        """See that each wake by a stranger was counted, nothing else, and all modes engaged."""
        told = ask()
        engaged = {it: told[it]["engaged"] if it in told else "" for it in self.addresses}
        wanted = {it: mode if mode in ASLEEP else "none" for it, mode in self.modes.items()}
        self.tell("not_engaged", turn, [it for it in wanted if engaged[it] != wanted[it]])
        right = {it: count + (it in strangers) for it, count in self.counted.items()}
        self.counted |= foreign(told)
        self.tell("miscounted", turn, [it for it in right if self.counted[it] != right[it]])
        self.found["strangers"] += len(strangers) if turn else 0

    def tell(self, what: str, turn: int, devices: Iterable[str]) -> None:
        self.found[what] += [(turn, it, self.modes[it]) for it in sorted(devices)]


if __name__ == "__main__":
    times, seed, *addresses = sys.argv[1:]
    print(json.dumps(Run(addresses, random.Random(int(seed))).go(int(times))))
