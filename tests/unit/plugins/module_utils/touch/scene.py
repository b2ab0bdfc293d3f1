# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with devices, a declaration, processes, and a helper that says what it is told to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.cli.stage import Surroundings
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.resolve import resolve
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.wire import report_to_json
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.client import Client
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.manager import Standing
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.quirks import Loaded
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.rivals import (
    load as load_policies,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.store import Store
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.view import (
    DeviceView,
    HostView,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.connection import Call
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Declaration,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Facts
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import HoldReport
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.version import (
    API_REVISION,
    VERSION,
)

from ..fake.host import FakeDevice, FakeHost
from ..fake.tracing import FakeTracefs
from ..wait.serving import Serving

NOW = 1_700_000_000.0


class Scene:
    """Everything that can be looked at. ``helper`` is the helper's end of the socket."""

    def __init__(self, folder: Path, *, idle_sleeps: bool = False) -> None:
        self.folder = folder
        self.host = FakeHost(folder / "host", disable_idle_d3=not idle_sleeps)
        self.store = Store(str(folder / "declared"))
        self.reports: dict[PciAddress, HoldReport] = {}
        self.models: dict[PciAddress, str] = {}
        self.status: dict[str, Any] = {"version": VERSION, "api_revision": API_REVISION}
        self.damaged: Optional[str] = None
        self.known_bad = Loaded()
        self.standing = Standing()
        self.tracefs = FakeTracefs(folder / "tracing")
        self.events: list[dict[str, Any]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.asked_at_all = 0  # how often it was asked how it is
        self.refusal: Optional[tuple[str, dict[str, Any]]] = None
        self.client = Client(str(folder / "socket"), timeout=10)
        self._code = folder / "code"
        self._serving: Optional[Serving] = None
        self._monitors: list[Call] = []
        (folder / "proc").mkdir()

    def serve(self) -> Serving:
        """Start the helper, for the length of a block."""
        self.install()
        methods = {
            "GetStatus": self._get_status,
            "List": lambda call: call.reply(
                {"generation": 1, "damaged": self.damaged, "devices": self._devices()}
            ),
            "Monitor": self._monitor,
            "Release": self._hand_over,
            "Reclaim": self._hand_over,
            "Rearm": self._hand_over,
            "Clear": self._hand_over,
            "Pause": self._stand_back,
            "Resume": self._stand_back,
        }
        self._serving = Serving(self.folder, methods)
        return self._serving

    def say(self, event: dict[str, Any]) -> None:
        """Tell those who watch of an event."""
        if self._serving is None:
            raise RuntimeError("nobody is served")
        for call in self._monitors:
            self._serving.do(lambda call=call: call.reply(event, continues=True))

    def install(self) -> None:
        """Let it look as if a helper were installed."""
        self._code.mkdir(exist_ok=True)

    def add(self, address: str, model: str = "", **options: Any) -> FakeDevice:
        """Plug a device in, on vfio-pci if nothing else is said."""
        device = self.host.add(address, **options)
        self.models[device.address] = model
        return device

    def fall_asleep(self, device: FakeDevice) -> None:
        """Let a device sleep as one that is held in a low-power mode does."""
        with self.host.changed:
            device.function.write_control("auto")
            while device.function.usage > 0:
                device.function.put()

    def declare(self, *rules: Rule) -> None:
        """Store a declaration, and the devices that it means."""
        declaration = Declaration(rules, generation=1)
        known = resolve(declaration, self._described(self.host.sysfs.devices()), ()).known
        self.store.save(declaration, known)

    def hold(self, device: FakeDevice, **fields: Any) -> None:
        """Let the helper say that it holds a device."""
        report = HoldReport(device.address, held=True, backend="group")
        self.reports[device.address] = report._replace(**fields)

    def write(self, path: str, text: str) -> None:
        """Write a file of the host, such as ``/etc/tlp.conf``."""
        place = self.folder / "root" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def use(self, device: FakeDevice, pid: int, command: str, guest: str = "") -> None:
        """Let a process have a device's group open; libvirt knows which guest it is."""
        if guest:
            owner = self.folder / "run" / "libvirt" / "qemu"
            owner.mkdir(parents=True, exist_ok=True)
            (owner / f"{guest}.pid").write_text(str(pid))
        folder = self.folder / "proc" / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(command + "\n")
        os.symlink("/dev/null", folder / "fd" / "0")
        os.symlink(f"/dev/vfio/{device.group}", folder / "fd" / "17")

    def surroundings(self, *, root: bool = True, now: float = NOW) -> Surroundings:
        """Return what the command works with."""
        look_options = {
            "proc": str(self.folder / "proc"),
            "code": str(self._code),
            "root": root,
            "now": now,
            "known_bad": lambda: self.known_bad,
            "run": str(self.folder / "run"),
            "policies": lambda: load_policies(str(self.folder / "root")),
        }
        return Surroundings(
            self.client,
            self.host.sysfs,
            self.store,
            self._described,
            look_options,
            lambda: self.standing,
            self.tracefs,
        )

    def look(self, **options: Any) -> HostView:
        """Take a picture."""
        return self.surroundings(**options).look()

    def view(self, device: FakeDevice, **options: Any) -> DeviceView:
        """Take a picture of one device."""
        found = self.look(**options).device(device.address)
        assert found is not None, f"{device.address} is not in the picture"
        return found

    def _described(self, devices: Any) -> dict[PciAddress, Facts]:
        return {
            address: facts._replace(model=self.models.get(address, ""))
            for address, facts in devices.items()
        }

    def _get_status(self, call: Call) -> None:
        self.asked_at_all += 1
        call.reply(self.status)

    def _devices(self) -> list[dict[str, Any]]:
        return [report_to_json(report) for _address, report in sorted(self.reports.items())]

    def _monitor(self, call: Call) -> None:
        if self.refusal is not None:
            call.error(*self.refusal)
            return
        self._monitors.append(call)
        snapshot = {"event": "snapshot", "time": NOW, "devices": self._devices()}
        call.reply(snapshot, continues=True)
        for event in self.events:
            call.reply(event, continues=True)

    def _hand_over(self, call: Call) -> None:
        self.asked.append((call.method.rpartition(".")[2], dict(call.parameters)))
        if self.refusal is not None:
            call.error(*self.refusal)
            return
        asked = [PciAddress.parse(address) for address in call.parameters["addresses"]]
        if call.parameters.get("all"):
            asked = sorted(self.reports)
        found = [self.reports.get(address, HoldReport(address)) for address in asked]
        call.reply({"devices": [report_to_json(report) for report in found]})

    def _stand_back(self, call: Call) -> None:
        self.asked.append((call.method.rpartition(".")[2], dict(call.parameters)))
        if self.refusal is not None:
            call.error(*self.refusal)
            return
        call.reply({"devices": self._devices(), "paused": self.status.get("paused")})
