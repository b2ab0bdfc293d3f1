# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Varlink's framing: JSON objects that end in a NUL, read strictly and within bounds.

Bytes in, values out, for both ends of the socket. Sockets live in wait/server.py and
touch/client.py, the interface and its types in wire.py.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Optional

from .parse_values import MOST_LETTERS
from .strict_json import OURS, Bounds, NotStrict, read

Message = dict[str, Any]


class Limits(NamedTuple):
    """What a message may grow to; ``size`` is in bytes."""

    size: int
    bounds: Bounds


REQUEST = Limits(1 << 20, Bounds(values=1 << 15, text=MOST_LETTERS))
REPLY = Limits(1 << 24, OURS)


class MalformedMessage(Exception):
    """The other end sent what no message is; the text says what was wrong with it."""


def encode(message: Message) -> bytes:
    """Return the bytes of one message."""
    text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\0"


def decode(data: bytes, bounds: Bounds = OURS) -> Message:
    """Read one message, given without its NUL."""
    try:
        value = read(data, bounds)
    except NotStrict as error:
        raise MalformedMessage(f"the message {error}") from None
    if not isinstance(value, dict):
        raise MalformedMessage("the message is not a JSON object")
    return value


class Inbox:
    """Cuts what arrives into messages. A message that grows past its limits is refused."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._data = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Take what was read from the socket."""
        self._data += data

    def next(self) -> Optional[Message]:
        """Return the oldest complete message, or None while there is none."""
        end = self._data.find(b"\0", self._searched)
        length = end if end >= 0 else len(self._data)
        if length > self._limits.size:
            raise MalformedMessage(f"the message is longer than {self._limits.size} bytes")
        if end < 0:
            self._searched = length
            return None
        message = bytes(self._data[:end])
        del self._data[: end + 1]
        self._searched = 0
        return decode(message, self._limits.bounds)

    def __len__(self) -> int:
        """Tell how many bytes wait."""
        return len(self._data)
