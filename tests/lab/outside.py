# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host as somebody outside the project sees it.

What is told of devices here is asked of the kernel: sysfs, the group nodes, /proc. Never of the
helper, and never of the collection.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable
from typing import NamedTuple

from .host import Lab

ASLEEP = {"D3hot", "D3cold"}
EBUSY = 16

VOID = "VFIO_POWER_LAB_VOID" in os.environ
"""The helper of this lab does nothing (test_void_helper.py), so there is nothing to wait for."""

# Opening a free group has no effect on its devices; a taken one says EBUSY.
_OPENABLE = """
import json, os, sys
def errno(node):
    try:
        os.close(os.open(node, os.O_RDWR))
    except OSError as error:
        return error.errno
    return 0
print(json.dumps({node: errno(node) for node in sys.argv[1:]}))
"""
_OPENERS = """
import glob, json, os
found = {}
for fd in glob.glob("/proc/[0-9]*/fd/*"):
    pid = fd.split("/")[2]
    try:
        node = os.readlink(fd)
        if node.startswith("/vfio/"):  # from a /dev that nobody sees any more, a sandbox's
            node = f"/dev{node}"
        if node.startswith("/dev/"):
            found.setdefault(node, {})[pid] = open(f"/proc/{pid}/comm").read().strip()
    except OSError:
        continue
print(json.dumps(found))
"""
_WRITE = """
import sys, time
began = time.monotonic()
with open(sys.argv[1], "w") as file:
    file.write(sys.argv[2])
print(time.monotonic() - began)
"""
_WAKE = """
import subprocess, sys, time
address, ends = sys.argv[1], time.monotonic() + float(sys.argv[2])
def power(name):
    with open(f"/sys/bus/pci/devices/{address}/power/{name}") as file:
        return file.read().strip()
before = int(power("runtime_active_time"))
subprocess.run(["lspci", "-s", address], check=True, stdout=subprocess.DEVNULL)
while power("runtime_status") != "suspended" and time.monotonic() < ends:
    time.sleep(0.02)
print(int(power("runtime_active_time")) - before)
"""


class Seen(NamedTuple):
    """One device at one moment, as sysfs tells it."""

    power_state: str
    runtime_status: str
    active_ms: int
    suspended_ms: int


class Outside:
    """What the kernel says of the devices of a lab, and what anybody could do to them."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    # Which device it is

    def address(self, name: str) -> str:
        """The PCI address of a card of the lab, or the address itself."""
        return name if ":" in name else self.lab.devices[name]

    def ports(self, *names: str) -> list[str]:
        """The addresses of the ports that cards are plugged into."""
        paths = " ".join(f"/sys/bus/pci/devices/{self.address(name)}" for name in names)
        found = self.lab.ssh(f"for it in $(realpath {paths}); do basename $(dirname $it); done")
        return sorted(set(found.stdout.split()))

    def group_nodes(self, *names: str) -> dict[str, str]:
        """The nodes of the cards' IOMMU groups, by name."""
        links = " ".join(f"/sys/bus/pci/devices/{self.address(name)}/iommu_group" for name in names)
        groups = self.lab.ssh(f"readlink {links}").stdout.split()
        return {
            name: f"/dev/vfio/{os.path.basename(link)}"
            for name, link in zip(names, groups, strict=True)
        }

    # How it is

    def seen(self, *names: str) -> dict[str, Seen]:
        """Look at several devices at once; none of these files wakes one."""
        script = "; ".join(
            f"cd /sys/bus/pci/devices/{self.address(name)} && echo {name} $(cat power_state"
            " power/runtime_status power/runtime_active_time power/runtime_suspended_time)"
            for name in names
        )
        found = {}
        for line in self.lab.ssh(script).stdout.splitlines():
            name, state, status, active, suspended = line.split()
            found[name] = Seen(state, status, int(active), int(suspended))
        return found

    def power_state(self, name: str) -> str:
        """D0, D3hot or D3cold."""
        return self.seen(name)[name].power_state

    def reaches(self, name: str, state: str, seconds: float = 20) -> None:
        """Wait until a device is in a power state."""
        what = f"{name} to be in {state}"
        patience = 1 if VOID else seconds
        self.lab.wait_for(lambda: self.power_state(name) == state, patience, what)

    # Who has it

    def openable(self, *names: str) -> bool:
        """Tell whether somebody else could have the devices: can their groups be opened?"""
        return self._open(self.group_nodes(*names).values()) == {0}

    def held_by(self, name: str) -> set[str]:
        """The command names of the processes that have the device's group node open."""
        return self.openers(self.group_nodes(name)[name])

    def openers(self, node: str) -> set[str]:
        """The command names of the processes that have a node open."""
        return set(self._openers().get(node, {}).values())

    def pids(self, node: str) -> set[int]:
        """The processes that have a node open."""
        return {int(pid) for pid in self._openers().get(node, {})}

    def held(self, *names: str) -> bool:
        """Tell whether the helper has the devices, each of them, by the kernel's word alone."""
        nodes = self.group_nodes(*names).values()
        if self._open(nodes) != {EBUSY}:
            return False
        helper = self.lab.ssh("systemctl show vfio-powerd.service -P MainPID").stdout.strip()
        openers = self._openers()
        return all(set(openers.get(node, ())) == {helper} for node in nodes)

    def _open(self, nodes: Iterable[str]) -> set[int]:
        errnos = json.loads(self._python(_OPENABLE, *nodes))
        odd = {node: errno for node, errno in errnos.items() if errno not in (0, EBUSY)}
        assert not odd, f"opening gave other errors than EBUSY: {odd}"
        return set(errnos.values())

    def _openers(self) -> dict[str, dict[str, str]]:
        """The commands that have each device node open, by process.

        Without the service manager, which keeps a copy of what the helper has.
        """
        found: dict[str, dict[str, str]] = json.loads(self._python(_OPENERS))
        for processes in found.values():
            processes.pop("1", None)
        return found

    # What anybody could do to it

    def wake(self, name: str, seconds: float = 30) -> float:
        """Wake a device with lspci; return how many seconds it was awake until it slept again."""
        patience = 1 if VOID else seconds
        address = self.address(name)
        return int(self._python(_WAKE, address, str(patience), timeout=seconds + 30)) / 1000

    def bind(self, name: str, driver: str = "vfio-pci") -> None:
        """Bind a device as driverctl does, and wait for it."""
        self.lab.ssh(f"driverctl --nosave set-override {self.address(name)} {driver}")

    def unbind(self, name: str) -> float:
        """Take a device's driver away, and return how many seconds that took on the host."""
        device = f"/sys/bus/pci/devices/{self.address(name)}"
        return self.write(f"{device}/driver/unbind", self.address(name))

    def probe(self, name: str) -> None:
        """Give a device the driver that it had."""
        self.write("/sys/bus/pci/drivers_probe", self.address(name))

    def write(self, path: str, text: str, seconds: float = 60) -> float:
        """Write to a file of sysfs and return how many seconds the write took."""
        return float(self._python(_WRITE, path, text, timeout=seconds))

    def _python(self, script: str, *words: str, timeout: float = 120) -> str:
        """Run a script on the host and return what it printed."""
        command = f"python3 -I - {shlex.join(words)}"
        return self.lab.ssh(command, input=script, timeout=timeout).stdout
