# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A helper for tests of the tests: it stores what it is told, holds nothing and says yes."""

from __future__ import annotations

import os
import sys
import time

sys.path.insert(0, "/usr/local/lib/vfio-power/current")

from vfio_power.think import parse, resolve, wire
from vfio_power.touch.store import Store
from vfio_power.touch.sysfs import Sysfs
from vfio_power.wait.loop import Loop
from vfio_power.wait.server import Server
from vfio_power.wait.systemd import Notifier, listening_sockets
from vfio_power.words.mode import Mode
from vfio_power.words.report import HoldReport, Wakes
from vfio_power.words.version import API_REVISION


class VoidHelper:
    """Answers every call as if all had been done."""

    def __init__(self) -> None:
        self.store = Store()

    def reports(self):
        loaded = self.store.load()
        found = resolve.resolve(loaded.declaration, Sysfs().devices(), loaded.known)
        for known in found.known:
            rule = loaded.declaration.rule(known.rule)
            yield HoldReport(
                known.address,
                rule.name,
                state="entry" if rule.mode is Mode.ENTRY else "entry-with-wakeup",
                held=rule.holds,
                engaged=rule.mode,
                wakes=Wakes(),
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

    def nothing(self, call) -> None:
        call.reply({"devices": []})


def main() -> None:
    loop, void = Loop(), VoidHelper()
    manager, sockets = Notifier(os.environ), listening_sockets(os.environ)
    methods = {
        "GetStatus": void.get_status,
        "List": void.list_devices,
        "Apply": void.apply,
        "Release": void.nothing,
        "Reclaim": void.nothing,
    }
    Server(loop, sockets[0], methods)
    manager.ready("does nothing")
    loop.run()


main()
