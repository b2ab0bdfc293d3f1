# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Varlink's framing: JSON objects that end in a NUL, read strictly and within bounds.

Bytes in, values out, for both ends of the socket. Sockets live in wait/server.py and
touch/client.py, the interface and its types in wire.py.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, Optional

MAX_REQUEST = 1 << 20  # bytes
MAX_REPLY = 1 << 24  # bytes
MAX_DEPTH = 16
LARGEST_INT = (1 << 63) - 1

Message = dict[str, Any]


class MalformedMessage(Exception):
    """The other end sent what no message is; the text says what was wrong with it."""


def encode(message: Message) -> bytes:
    """Return the bytes of one message."""
    text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\0"


def decode(data: bytes) -> Message:
    """Read one message, given without its NUL."""
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_bounded_int,
            parse_float=_finite_float,
        )
    except UnicodeDecodeError:
        raise MalformedMessage("the message is not UTF-8") from None
    except RecursionError:
        raise MalformedMessage("the message is nested too deeply") from None
    except ValueError as error:
        raise MalformedMessage(f"the message is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise MalformedMessage("the message is not a JSON object")
    _check(value, MAX_DEPTH)
    return value


class Inbox:
    """Cuts what arrives into messages. A message that grows past ``limit`` is refused."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Take what was read from the socket."""
        self._data += data

    def next(self) -> Optional[Message]:
        """Return the oldest complete message, or None while there is none."""
        end = self._data.find(b"\0", self._searched)
        length = end if end >= 0 else len(self._data)
        if length > self._limit:
            raise MalformedMessage(f"the message is longer than {self._limit} bytes")
        if end < 0:
            self._searched = length
            return None
        message = bytes(self._data[:end])
        del self._data[: end + 1]
        self._searched = 0
        return decode(message)

    def __len__(self) -> int:
        """Tell how many bytes wait."""
        return len(self._data)


def _unique(pairs: list[tuple[str, Any]]) -> Message:
    """Refuse what Python would let pass: of two equal keys it keeps the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedMessage("the message names a key twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedMessage(f"{name} is not a JSON number")


def _bounded_int(digits: str) -> int:
    # The length comes first: to convert a million digits takes long.
    if len(digits) > 20 or not -LARGEST_INT <= int(digits) <= LARGEST_INT:
        raise MalformedMessage(f"{digits[:20]}... is no 64-bit number")
    return int(digits)


def _finite_float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise MalformedMessage(f"{digits[:40]} is too large a number")
    return number


def _check(value: object, depth: int) -> None:
    """Refuse deep nesting, and text that could not be written as UTF-8 again."""
    if depth < 0:
        raise MalformedMessage(f"the message is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
            raise MalformedMessage("the message holds half of a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth)
            _check(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1)
