# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries for the journal with their message IDs and fields; think/entries.py says which.

They go to the journal's socket where our standard error leads to the journal, and otherwise to
standard error as lines: systemd reads the priority from ``<N>`` at the start of each.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from typing import Optional

from ..think.entries import ERROR, OF_THE_HELPER, Entry

SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "vfio-powerd"
LONGEST = 16384
"""Bytes of one field."""

_KIND = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC


def tell(event: str, text: str, fields: Optional[Mapping[str, str]] = None) -> None:
    """Write what happened to the helper as a whole."""
    write(event, OF_THE_HELPER[event], text, fields or {})


def tell_failure(error: BaseException) -> None:
    """Write an error that nobody expected, with the way to it."""
    import traceback  # rarely needed, and half a megabyte

    trace = traceback.format_exception(type(error), error, error.__traceback__)
    tell("unexpected", "".join(trace).rstrip())


def complain(text: str) -> None:
    """Write why we end. The journal may read its socket only when we are gone, and ask who it was.

    Of standard error it knows.
    """
    _say(ERROR, text)


def write(event: str, entry: Entry, text: str, fields: Mapping[str, str]) -> None:
    """Write one entry."""
    about = {
        "MESSAGE": text,
        "MESSAGE_ID": entry.message_id,
        "PRIORITY": str(entry.priority),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "VFIO_EVENT": event,
    }
    if not (_leads_to_the_journal() and _sent(_record({**fields, **about}))):
        _say(entry.priority, text)


def _leads_to_the_journal() -> bool:
    """Tell whether the service manager connected our standard error, and nobody changed that."""
    try:
        there = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"


def _sent(record: bytes) -> bool:
    """Send a record; tell whether the journal is there to read it.

    What it cannot take at once is lost: nobody waits for a journal here.
    """
    try:
        with socket.socket(socket.AF_UNIX, _KIND) as journal:
            journal.setblocking(False)
            journal.sendto(record, SOCKET)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def _record(fields: Mapping[str, str]) -> bytes:
    """Return fields as the journal reads them, each with its length: no text poses as a field."""
    parts = []
    for name, text in fields.items():
        value = text.encode("utf-8", "replace")[:LONGEST]
        parts.append(name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n")
    return b"".join(parts)


def _say(priority: int, text: str) -> None:
    lines = text.splitlines() or [""]
    sys.stderr.write("".join(f"<{priority}>{line}\n" for line in lines))
    sys.stderr.flush()
