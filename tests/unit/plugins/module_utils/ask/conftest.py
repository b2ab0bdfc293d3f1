# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with devices, the real helper on it in a thread, and a task that asks it."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.answer import Answer
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.ground import Ground
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.low_power import ask
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.low_power_info import (
    Question,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.low_power_info import (
    ask as look_around,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.ask.task import Wish
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.client import Client
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.host_policy import (
    RULES,
    PolicyFiles,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.manager import Standing
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.quirks import load
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.rivals import (
    load as load_policies,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.store import Store
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.daemon import Daemon
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.systemd import Notifier

from ..fake.fdstore import FakeFdStore
from ..fake.host import FakeHost
from ..hold.helper import watch_answers

PATIENCE = 10.0  # seconds


class Place:
    """A host with its helper. Folders of the helper are below ``folder``."""

    def __init__(self, folder: Path, **host: bool) -> None:
        self.folder = folder
        self.host = FakeHost(folder / "host", **host)
        self.code = folder / "code"  # exists where the helper is installed
        self.socket = folder / "socket"
        self.quirks = folder / "quirks.d"
        self.rules = folder / "root" / RULES.lstrip("/")
        self.store = Store(str(folder / "state"))
        self.fdstore = FakeFdStore(self.host.kernel)
        self.standing = Standing()
        self.slept = 0.0  # seconds that tasks have waited, which are none
        self.told_wrongly: list[str] = []  # what was not as the interface's text says
        self._daemon: Daemon | None = None

    def start_helper(self) -> None:
        """Install and start the helper; return when it serves."""
        self.code.mkdir(exist_ok=True)
        (self.folder / "run").mkdir(exist_ok=True)
        self.socket.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.socket))
        listener.listen()
        environ = {
            "RUNTIME_DIRECTORY": str(self.folder / "run"),
            "STATE_DIRECTORY": str(self.folder / "state"),
            "VFIO_POWER_BOOT_GRACE": "0",
        }
        self._uevents = self.host.uevents()
        self._daemon = daemon = Daemon(
            listener,
            self._uevents,
            self.host.kernel,
            environ,
            Notifier({}),
            self.fdstore,
            [],
            self.host.sysfs,
            self.host.dev,
            etc=str(self.folder),
        )
        watch_answers(daemon, self.told_wrongly)
        daemon.begin()
        self._thread = threading.Thread(target=daemon.loop.run)
        self._thread.start()

    def stop_helper(self) -> None:
        """Stop it as the service manager does; the program stays installed."""
        if self._daemon is None:
            return
        Client(str(self.socket)).call("LetGo", timeout=PATIENCE)
        self._daemon.loop.call_soon_threadsafe(self._daemon.stop)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._daemon.close()
        assert not self.told_wrongly
        self._uevents.close()
        self._daemon = None

    def ground(self) -> Ground:
        """Return where a task on this host looks."""
        return Ground(
            Client(str(self.socket)),
            self.store,
            self.host.sysfs,
            describe=dict,
            name=dict,
            code=str(self.code),
            proc=str(self.folder),
            root=True,
            ticks=lambda: time.monotonic() + self.slept,
            sleep=self.sleep,
            known_bad=lambda: load(str(self.quirks), os.geteuid()),
            policies=lambda: load_policies(str(self.folder / "root")),
            manager=lambda: self.standing,
            policy=PolicyFiles(str(self.folder / "state"), str(self.rules)),
            write=self.host.write,
        )

    def sleep(self, seconds: float) -> None:
        """Let a task believe that it has waited; the helper gets a moment."""
        self.slept += seconds
        time.sleep(0.001)

    def know_bad(self, *rows: dict[str, str]) -> None:
        """Write these quirks as the host's owner does."""
        self.quirks.mkdir(exist_ok=True)
        file = self.quirks / "10.json"
        file.write_text(json.dumps(list(rows)))
        file.chmod(0o644)

    def low_power(self, *devices: object, check: bool = False, **options: Any) -> Answer:
        """Run a task of the module low_power."""
        wish = Wish(list(devices), **{"exclude": [], "settle": 1, **options})
        return ask(wish, check=check, ground=self.ground())

    def low_power_info(self, *devices: object, **options: Any) -> dict[str, Any]:
        """Run a task of the module low_power_info."""
        return look_around(Question(list(devices), **options), self.ground()).result


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A host whose unopened devices stay awake, with a running helper."""
    made = Place(tmp_path)
    yield made
    made.stop_helper()
