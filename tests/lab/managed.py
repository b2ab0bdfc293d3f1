# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host as the collection manages it, and as somebody outside the project sees it.

`ManagedHost` runs modules and playbooks of the installed collection against a lab. What
it tells of devices it asks of the kernel: sysfs, the group node, /proc. Never of the helper.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .host import Lab

BIN = Path(sys.executable).parent
ASLEEP = {"D3hot", "D3cold"}
PLAYBOOK_PATIENCE = 600

# Opening a free group has no effect on its devices; a taken one says EBUSY.
_OPENABLE = """
import os, sys
try:
    os.close(os.open(sys.argv[1], os.O_RDWR))
except OSError as error:
    print(error.errno)
else:
    print(0)
"""
_OPENERS = """
import glob, os, sys
for fd in glob.glob("/proc/[0-9]*/fd/*"):
    try:
        if os.readlink(fd) == sys.argv[1]:
            print(open(f"/proc/{fd.split('/')[2]}/comm").read())
    except OSError:
        continue
"""
_PUT_BACK = """
import json, sys
sys.path.insert(0, "/usr/local/lib/vfio-power/current")
from vfio_power.touch.client import Client
rules, client = json.loads(sys.argv[1]), Client()
for device in client.call("List", {})["devices"]:
    for holder in {lease["holder"] for lease in device["leases"]}:
        client.call("Reclaim", {"addresses": [device["address"]], "holder": holder})
wish = {"rules": rules, "exclude": [], "timeout": 60.0}
wish["expected_generation"] = client.call("List", {})["generation"]
answer = client.call("Apply", wish)
if answer["pending"]:
    sys.exit(f"still pending: {answer['pending']}")
"""
_ALTERNATE = """
import json, sys
sys.path.insert(0, "/usr/local/lib/vfio-power/current")
from vfio_power.touch.client import Client
wishes, client = json.loads(sys.argv[1]), Client()
for turn in range(int(sys.argv[2])):
    wish = {"rules": wishes[turn % len(wishes)], "exclude": [], "timeout": 60.0}
    wish["expected_generation"] = client.call("List", {})["generation"]
    answer = client.call("Apply", wish)
    if answer["pending"]:
        sys.exit(f"still pending: {answer['pending']}")
"""
_WRITE = """
import sys, time
began = time.monotonic()
with open(sys.argv[1], "w") as file:
    file.write(sys.argv[2])
print(time.monotonic() - began)
"""
EBUSY = 16


class Seen(NamedTuple):
    """One device at one moment, as sysfs tells it."""

    power_state: str
    runtime_status: str
    active_ms: int
    suspended_ms: int


class Played(NamedTuple):
    """How a playbook ended."""

    status: int
    output: str

    @property
    def changed(self) -> int:
        """The number of changed tasks by the recap."""
        return int(re.findall(r"changed=(\d+)", self.output)[-1])


class ManagedHost:
    """One lab host under the collection installed below `collections`."""

    def __init__(self, lab: Lab, collections: Path, bin_folder: Path = BIN) -> None:
        self.lab = lab
        self.collections = collections
        self.bin_folder = bin_folder

    # What the collection does

    def module(
        self, name: str, check: bool = False, user: str = "", **options: Any
    ) -> dict[str, Any]:
        """Run a module of the collection and return its answer, failed or not."""
        command = ["ansible", "lab", "-i", self.lab.inventory(), "-m", f"vfio.power.{name}"]
        command += ["-a", json.dumps(options)] if options else []
        command += ["--check", "--diff"] if check else []
        command += ["--become", "--become-method", "su", "--become-user", user] if user else []
        done = self._run(command)
        verdict, arrow, text = done.stdout.partition(" => ")
        if not arrow or "UNREACHABLE" in verdict:
            raise AssertionError(f"{name} gave no answer:\n{done.stdout}\n{done.stderr}")
        answer: dict[str, Any]
        answer, end = json.JSONDecoder().raw_decode(text)
        # Differences and warnings are shown beside the answer, folded to a terminal's width.
        beside = " ".join((verdict + text[end:] + done.stderr).split())
        return {**answer, "failed": "FAILED" in verdict, "beside": beside}

    def declare(self, *devices: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """Run low_power with purge, which makes the list the host's whole declaration."""
        options.setdefault("purge", True)
        return self.module("low_power", devices=list(devices), **options)

    def info(self, **options: Any) -> dict[str, Any]:
        """Run low_power_info."""
        return self.module("low_power_info", **options)

    def play(self, playbook: str, *words: str, **variables: Any) -> Played:
        """Run a playbook, by path or by its name in the collection."""
        command = ["ansible-playbook", "-i", self.lab.inventory(), *words]
        command += ["-e", json.dumps(variables), playbook]
        done = self._run(command)
        return Played(done.returncode, done.stdout + done.stderr)

    def converge(self, *words: str, **variables: Any) -> Played:
        """Run the converge playbook and insist on its success."""
        played = self.play("vfio.power.converge", *words, **variables)
        assert played.status == 0, played.output
        return played

    def put_back(self, rules: list[dict[str, Any]]) -> None:
        """Bring the helper to these rules by its own socket, with no lease left, and wait.

        Much quicker than a task; what modules and playbooks do is for tests to look at.
        """
        self._python(_PUT_BACK, json.dumps(rules))

    def alternate(self, *wishes: list[dict[str, Any]], times: int) -> None:
        """Apply lists of rules in turn, that many times in all, by the helper's own socket."""
        self._python(_ALTERNATE, json.dumps(wishes), str(times), timeout=times)

    def ctl(self, words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run vfio-powerctl on the host."""
        return self.lab.ssh(f"vfio-powerctl {words}", check=check)

    def _run(self, command: Iterable[object]) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{self.bin_folder}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_HOME": str(self.lab.folder / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
        }
        return subprocess.run(
            [str(word) for word in command],
            env=environment,
            cwd=self.lab.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PLAYBOOK_PATIENCE,
            check=False,
        )

    # What the kernel says

    def address(self, name: str) -> str:
        """The PCI address of a card of the lab, or the address itself."""
        return name if ":" in name else self.lab.devices[name]

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
        self.lab.wait_for(lambda: self.power_state(name) == state, seconds, what)

    def group(self, name: str) -> str:
        """The number of a device's IOMMU group."""
        link = f"/sys/bus/pci/devices/{self.address(name)}/iommu_group"
        return self.lab.ssh(f"basename $(readlink {link})").stdout.strip()

    def openable(self, name: str) -> bool:
        """Tell whether somebody else could have the device: can its group be opened?"""
        node = f"/dev/vfio/{self.group(name)}"
        errno = int(self._python(_OPENABLE, node))
        assert errno in (0, EBUSY), f"opening {node} gave errno {errno}"
        return errno == 0

    def held_by(self, name: str) -> set[str]:
        """The command names of the processes that have the device's group node open."""
        return self.openers(f"/dev/vfio/{self.group(name)}")

    def openers(self, node: str) -> set[str]:
        """The command names of the processes that have a node open."""
        return set(self._python(_OPENERS, node).split())

    def _python(self, script: str, *words: str, timeout: float = 120) -> str:
        """Run a script on the host and return what it printed."""
        command = f"python3 -I - {shlex.join(words)}"
        return self.lab.ssh(command, input=script, timeout=timeout).stdout

    def held(self, name: str) -> bool:
        """Tell whether the helper has the device, by the kernel's word alone."""
        if self.openable(name):
            return False
        holders = self.held_by(name) - {"systemd"}  # it keeps a copy
        return bool(holders) and all("python" in it or "vfio" in it for it in holders)

    def bind(self, name: str, driver: str = "vfio-pci") -> None:
        """Bind a device as driverctl does, and wait for it."""
        self.lab.ssh(f"driverctl --nosave set-override {self.address(name)} {driver}")

    def write(self, path: str, text: str, seconds: float = 60) -> float:
        """Write to a file of sysfs and return how many seconds the write took."""
        return float(self._python(_WRITE, path, text, timeout=seconds))
