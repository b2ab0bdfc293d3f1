# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A loop in a thread, and a server on a real socket, for tests of both ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Callable, Optional

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.client import Client
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.connection import Call
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.loop import Loop
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.server import Server

PATIENCE = 10.0  # seconds


class RunningLoop:
    """A loop that runs in a thread for the length of a block; ``failures`` collects its errors."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.loop = Loop(failed=self.failures.append)
        self._thread = threading.Thread(target=self.loop.run, daemon=True)

    def do(self, work: Callable[[], object]) -> object:
        """Run something in the loop's thread and return its result."""
        done = threading.Event()
        results: list[object] = []

        def run() -> None:
            try:
                results.append(work())
            finally:
                done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(PATIENCE), "the loop does not answer"
        return results[0]

    def __enter__(self) -> RunningLoop:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        alive = self._thread.is_alive()
        self.loop.close()
        assert not alive, "the loop does not end"


class Serving(RunningLoop):
    """A server with the given methods, on a socket in a folder."""

    def __init__(self, folder: Path, methods: Mapping[str, Callable[[Call], None]]) -> None:
        super().__init__()
        self.path = str(folder / "socket")
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(self.path)
        listening.listen()
        self.server = Server(self.loop, listening, methods)
        self.client = Client(self.path, timeout=PATIENCE)

    def connect(self) -> socket.socket:
        """Return a client's end with nothing sent on it."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(self.path)
        return client

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.do(self.server.close)
        super().__exit__(kind, error, trace)
