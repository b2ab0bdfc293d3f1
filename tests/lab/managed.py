# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host as the collection manages it.

`ManagedHost` runs modules and playbooks of the installed collection against a lab. What it tells
of devices it asks of the kernel, see outside.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .host import Lab
from .outside import VOID, Outside

BIN = Path(sys.executable).parent
PLAYBOOK_PATIENCE = 600

_PUT_BACK = """
import json, sys
sys.path.insert(0, "/usr/local/lib/vfio-power/current")
from vfio_power.touch.client import Client
rules, client = json.loads(sys.argv[1]), Client()
for device in client.call("List", {})["devices"]:
    for holder in {lease["holder"] for lease in device["leases"]}:
        client.call("Reclaim", {"addresses": [device["address"]], "holder": holder})
    if device.get("quarantined"):
        client.call("Clear", {"addresses": [device["address"]]})
if client.call("GetStatus").get("paused"):
    client.call("Resume")
wish = {"rules": rules, "exclude": [], "timeout": 60.0}
wish["expected_generation"] = client.call("List", {})["generation"]
answer = client.call("Apply", wish)
if answer["pending"]:
    sys.exit(f"still pending: {answer['pending']}")
"""
_ALTERNATE = """
import collections, json, sys, time
sys.path.insert(0, "/usr/local/lib/vfio-power/current")
from vfio_power.touch.client import Client
wishes, client = json.loads(sys.argv[1]), Client()
address, times = sys.argv[2], int(sys.argv[3])
done = collections.Counter()
def sleeps():
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        with open(f"/sys/bus/pci/devices/{address}/power/runtime_status") as file:
            if file.read().strip() == "suspended":
                return True
        time.sleep(0.005)
    return False
for turn in range(times):
    wish = {"rules": wishes[turn % len(wishes)], "exclude": [], "timeout": 60.0}
    wish["expected_generation"] = client.call("List", {})["generation"]
    for outcome in client.call("Apply", wish)["outcomes"]:
        if outcome["device"]["address"] == address:
            done.update(outcome["actions"])
    if not sleeps():
        break
    done["slept"] += 1
print(json.dumps(done))
"""


class Played(NamedTuple):
    """How a playbook ended."""

    status: int
    output: str

    @property
    def changed(self) -> int:
        """The number of changed tasks by the recap."""
        return int(re.findall(r"changed=(\d+)", self.output)[-1])

    @property
    def said(self) -> str:
        """The output without the line ends of a terminal's width."""
        return " ".join(self.output.split())

    @property
    def complaints(self) -> list[str]:
        """What the hosts say that failed."""
        found: list[str] = []
        for text in re.split(r"^fatal: .*FAILED! => ", self.output, flags=re.MULTILINE)[1:]:
            message = json.JSONDecoder().raw_decode(text)[0]["msg"]
            found += message if isinstance(message, list) else [message]
        return found

    @property
    def differences(self) -> dict[str, tuple[set[str], set[str]]]:
        """What --diff shows: by header, the lines that would go and those that would come."""
        found = {}
        for block in re.split(r"^--- before: ", self.output, flags=re.MULTILINE)[1:]:
            header, _after, *lines = block.split("\n\n")[0].splitlines()
            gone, come = (
                {line[1:].strip(" ,") for line in lines if line.startswith(sign)} for sign in "-+"
            )
            found[header] = gone, come
        return found


class ManagedHost(Outside):
    """One lab host under the collection installed below `collections`."""

    def __init__(self, lab: Lab, collections: Path, bin_folder: Path = BIN) -> None:
        super().__init__(lab)
        self.collections = collections
        self.bin_folder = bin_folder

    # What the collection does

    def module(
        self, name: str, check: bool = False, user: str = "", python: str = "", **options: Any
    ) -> dict[str, Any]:
        """Run a module of the collection, by another Python maybe; return its answer or failure."""
        command = ["ansible", "lab", "-i", self.lab.inventory(), "-m", f"vfio.power.{name}"]
        command += ["-a", json.dumps(options)] if options else []
        command += ["--check", "--diff"] if check else []
        command += ["--become", "--become-method", "su", "--become-user", user] if user else []
        command += ["-e", f"ansible_python_interpreter={python}"] if python else []
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
        if VOID:
            options["settle"] = 1
        return self.module("low_power", devices=list(devices), **options)

    def info(self, **options: Any) -> dict[str, Any]:
        """Run low_power_info."""
        return self.module("low_power_info", **options)

    def codes(self, card: str) -> dict[str, str]:
        """The drift codes of a card and their severities, as low_power_info tells them."""
        answer = self.info(devices=[{"address": self.address(card)}])
        return {it["code"]: it["severity"] for it in answer["devices"][0]["drift"]}

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
        """Bring the helper to these rules by its own socket, and wait.

        No lease is left then, no device in quarantine, and no pause.

        Much quicker than a task; what modules and playbooks do is for tests to look at.
        """
        self._python(_PUT_BACK, json.dumps(rules))

    def alternate(self, name: str, *wishes: list[dict[str, Any]], times: int) -> dict[str, int]:
        """Apply lists of rules in turn, that many times in all, by the helper's own socket.

        The device has to sleep before the next turn, so that each call has somebody to wake.
        Returns how often it ``slept``, and how often the helper says it did each action.
        """
        words = json.dumps(wishes), self.address(name), str(times)
        counted: dict[str, int] = json.loads(self._python(_ALTERNATE, *words, timeout=times))
        return counted

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
            "PWD": str(self.lab.folder),  # where the report goes
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
