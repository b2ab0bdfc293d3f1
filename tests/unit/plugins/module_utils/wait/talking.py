# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server with methods of all kinds, and what its clients say and hear."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any, Callable

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think import interface
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.connection import Call
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    InputError,
    Problem,
    VfioPowerError,
)

from .serving import Serving

NAME = interface.NAME
USER = 1000  # who is not root


class Methods:
    """Methods that answer at once, later, in pieces, never, or not at all well."""

    def __init__(self) -> None:
        self.kept: list[Call] = []
        self.left: list[str] = []

    def table(self) -> dict[str, Callable[[Call], None]]:
        return {
            "Echo": lambda call: call.reply(call.parameters),
            "Slow": self.slow,
            "Keep": self.keep,
            "Count": self.count,
            "Flood": self.flood,
            "Refuse": lambda call: call.error("LeaseHeld", {"leases": []}),
            "Input": self.refuse_input,
            "Sorry": self.sorry,
            "Break": lambda call: 1 // 0,
        }

    def slow(self, call: Call) -> None:
        until = time.monotonic() + 0.002
        while time.monotonic() < until:
            pass
        call.reply({})

    def keep(self, call: Call) -> None:
        self.kept.append(call)
        call.on_close(lambda: self.left.append("left"))
        call.reply({"kept": len(self.kept)}, continues=True)

    def count(self, call: Call) -> None:
        for number in range(3):
            call.reply({"number": number}, continues=True)
        call.reply({"number": 3})

    def flood(self, call: Call) -> None:
        for _turn in range(200):
            call.reply({"text": "x" * 65536}, continues=True)

    def refuse_input(self, call: Call) -> None:
        raise InputError([Problem("here", "this is wrong"), Problem("there", "that too")])

    def sorry(self, call: Call) -> None:
        raise VfioPowerError("It cannot be done", "Try later")


def request(method: str, more: bool = False, **parameters: Any) -> bytes:
    message: dict[str, Any] = {"method": f"{NAME}.{method}", "parameters": parameters}
    if more:
        message["more"] = True
    return json.dumps(message).encode() + b"\0"


def replies(client: socket.socket) -> Iterator[dict[str, Any]]:
    """Yield what the server says, until it parts."""
    data = b""
    while chunk := client.recv(1 << 16):
        data += chunk
        while b"\0" in data:
            message, _end, data = data.partition(b"\0")
            yield json.loads(message)


def still_answers(serving: Serving) -> bool:
    return serving.client.call("Echo", {"a": 1}) == {"a": 1}


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
