# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile clients, many of them at once: the helper answers all others, and stays as it was."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Optional

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.client import Client
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.server import (
    MAX_OF_A_USER,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    VfioPowerError,
)

from ..hold.helper import PATIENCE, wait_until
from ..searching import SOAK
from .hostile import call, messages
from .standalone import DISK, NIC, Standalone

SEED, MESSAGES, SILENT = 20261123, 2000, 300
# Who is not root has to leave room for the others of this test, and for one who asks.
HALF_SENT = 16 if os.geteuid() == 0 else MAX_OF_A_USER - 6
ANSWERS_WITHIN = 1.0  # seconds
MEMORY = 40  # MiB
NOBODY = 65534


class Watcher:
    """Asks for the list of devices all the time, and remembers how long the longest answer took."""

    def __init__(self, client: Client) -> None:
        self.longest = 0.0
        self.answers: list[Any] = []
        self._client = client
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            started = time.monotonic()
            try:
                answer = self._client.call("List")
            except VfioPowerError as error:
                answer = {"error": str(error)}
            self.longest = max(self.longest, time.monotonic() - started)
            if answer not in self.answers:
                self.answers.append(answer)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._over.set()
        self._thread.join(PATIENCE)


def connect(path: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            client.connect(path)
            client.settimeout(PATIENCE)
            return client
        except BlockingIOError:
            assert time.monotonic() < deadline


def said_once(path: str, message: bytes) -> bytes:
    """Connect, send a message, and return the answer, or nothing where there is none."""
    with connect(path) as client:
        return said(client, message)


def said(client: socket.socket, message: bytes) -> bytes:
    answer = b""
    try:
        client.sendall(message)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it was cut off
    if not message.endswith(b"\0"):
        client.shutdown(socket.SHUT_WR)  # that was all
    try:
        while not answer.endswith(b"\0") and (more := client.recv(1 << 16)):
            answer += more
    except ConnectionResetError:
        pass
    return answer


def test_hostile_clients_change_nothing_and_delay_nobody(folder: Path) -> None:
    with ExitStack() as opened, Standalone(folder) as helper:
        path = helper.client.path
        before, list_before = helper.footprint(), helper.client.call("List")
        deaf = opened.enter_context(connect(path))
        deaf.sendall(call("Monitor", {}, more=True))
        watcher = opened.enter_context(Watcher(helper.client))
        for _turn in range(SILENT):
            opened.enter_context(connect(path))
        unfinished = [opened.enter_context(connect(path)) for _turn in range(HALF_SENT)]
        for client in unfinished:
            client.sendall(call("List", {})[:20])
        greedy = opened.enter_context(connect(path))
        greedy.sendall(call("List", {}) * 400)  # and reads none of it
        for message in messages(SEED * SOAK, MESSAGES * SOAK):
            answer = said_once(path, message)
            assert not answer or "error" in json.loads(answer[:-1]), (message[:200], answer)
        assert helper.client.call("List") == list_before
        assert watcher.answers == [list_before]
        assert watcher.longest < ANSWERS_WITHIN
        assert helper.footprint().peak < MEMORY
        opened.close()
        wait_until(
            lambda: helper.footprint().descriptors <= before.descriptors, "all are parted from"
        )
        assert helper.footprint().threads == before.threads
        helper.wake(NIC, 1)


def as_user(uid: int, work: Callable[[], bytes]) -> bytes:
    """Return what the work returns when another user does it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(uid)
            os.write(writing, work())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        found = pipe.read()
    os.waitpid(child, 0)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to be somebody else")
def test_another_user_is_refused(folder: Path) -> None:
    with Standalone(folder) as helper:
        for way_there in (folder.parent, folder):
            way_there.chmod(0o755)
        os.chmod(helper.client.path, 0o666)
        answer = as_user(NOBODY, lambda: said_once(helper.client.path, call("LetGo", {})))
        assert json.loads(answer[:-1])["error"] == "org.varlink.service.PermissionDenied"
        held = {device["address"] for device in helper.client.call("List")["devices"]}
        assert held == {str(NIC), str(DISK)}
