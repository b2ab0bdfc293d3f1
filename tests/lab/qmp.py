# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's control socket: one command, one answer, one connection."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, TextIO

from .progress import LabError


def ask(path: Path, command: str, /, timeout: float = 30, **arguments: Any) -> Any:
    """Run a QMP command, with `-` in its arguments' names written as `_`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path))
        with connection.makefile("rw") as stream:
            _receive(stream, "QMP")
            _send(stream, "qmp_capabilities", {})
            named = {name.replace("_", "-"): value for name, value in arguments.items()}
            return _send(stream, command, named)


def _send(stream: TextIO, command: str, arguments: dict[str, Any]) -> Any:
    stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
    stream.flush()
    answer = _receive(stream, "return", "error")
    if "error" in answer:
        raise LabError(f"QEMU refused {command} {arguments}: {answer['error']['desc']}")
    return answer["return"]


def _receive(stream: TextIO, *wanted: str) -> dict[str, Any]:
    """The next message of that kind; events in between are passed over."""
    for line in stream:
        message: dict[str, Any] = json.loads(line)
        if any(key in message for key in wanted):
            return message
    raise LabError("QEMU closed its control socket.")
