# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A helper for tests of the tests: it stores what it is told, holds nothing and says yes."""

from __future__ import annotations

import os
import socket
import sys
import time

sys.path.insert(0, "/usr/local/lib/vfio-power/current")

from vfio_power.think import parse, resolve, wire
from vfio_power.touch.store import Store
from vfio_power.touch.sysfs import Sysfs
from vfio_power.wait.loop import Loop
from vfio_power.wait.server import Server
from vfio_power.wait.systemd import Notifier
from vfio_power.words.address import PciAddress
from vfio_power.words.mode import Mode
from vfio_power.words.report import HoldReport, Lease, Wakes
from vfio_power.words.version import API_REVISION

FIRST = 3
"""The descriptor of the socket; the service manager keeps no other one for this helper."""

STATES = {Mode.NONE: "awake", Mode.ENTRY: "entry", Mode.ENTRY_WITH_WAKEUP: "entry-with-wakeup"}


class VoidHelper:
    """Answers every call as if all had been done."""

    def __init__(self) -> None:
        self.store = Store()
        self.lent: dict[PciAddress, Lease] = {}

    def reports(self):
        loaded = self.store.load()
        found = resolve.resolve(loaded.declaration, Sysfs().devices(), loaded.known)
        rules = {known.address: loaded.declaration.rule(known.rule) for known in found.known}
        for address in sorted({*rules, *self.lent}):
            yield self.report(address, rules.get(address))

    def report(self, address, rule) -> HoldReport:
        if address in self.lent:
            return HoldReport(address, rule and rule.name, leases=(self.lent[address],))
        return HoldReport(
            address,
            rule.name,
            state=STATES[rule.mode] if rule.holds else "released",
            held=rule.holds,
            engaged=rule.mode,
            backend="group" if rule.holds else None,
            wakes=Wakes() if rule.mode is Mode.ENTRY_WITH_WAKEUP else None,
            entered=time.time(),
        )

    def get_status(self, call) -> None:
        generation = self.store.load().declaration.generation
        call.reply(
            {
                "version": "void",
                "api_revision": API_REVISION,
                "generation": generation,
                "damaged": None,
                "boot_id": "",
                "workers": 1,
                "pid": os.getpid(),
            }
        )

    def list_devices(self, call) -> None:
        devices = [wire.report_to_json(report) for report in self.reports()]
        generation = self.store.load().declaration.generation
        call.reply({"generation": generation, "damaged": None, "devices": devices})

    def apply(self, call) -> None:
        generation = call.parameters["expected_generation"] + 1
        document = {"generation": generation}
        document.update({key: call.parameters[key] for key in ("rules", "exclude")})
        declaration = parse.parse_declaration(document)
        loaded = self.store.load()
        found = resolve.resolve(declaration, Sysfs().devices(), loaded.known)
        self.store.save(declaration, found.known)
        outcomes = [
            {"device": wire.report_to_json(report), "actions": ["open", "entry"]}
            for report in self.reports()
        ]
        call.reply({"generation": generation, "outcomes": outcomes, "pending": []})

    def release(self, call) -> None:
        for address in self.asked(call):
            self.lent[address] = Lease(address, call.parameters["holder"], time.time(), None)
        self.show(call)

    def reclaim(self, call) -> None:
        for address in self.asked(call):
            self.lent.pop(address, None)
        self.show(call)

    def asked(self, call) -> list[PciAddress]:
        return [PciAddress.parse(text) for text in call.parameters["addresses"]]

    def show(self, call) -> None:
        asked = [report for report in self.reports() if report.address in self.asked(call)]
        call.reply({"devices": [wire.report_to_json(report) for report in asked]})


def main() -> None:
    loop, void = Loop(), VoidHelper()
    listening = socket.socket(fileno=FIRST)
    methods = {
        "GetStatus": void.get_status,
        "List": void.list_devices,
        "Apply": void.apply,
        "Release": void.release,
        "Reclaim": void.reclaim,
    }
    Server(loop, listening, methods)
    Notifier(os.environ).ready("does nothing")
    loop.run()


main()
