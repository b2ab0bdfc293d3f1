# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each held device stood last, each that was refused or woken, for a helper that takes over.

One small file per device below /run, so that the records end with the boot as the hold does.
Nothing is synced: they have to outlive a process, not the host.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple, Optional

from ..think.documents import identity_document, parse_identity
from ..think.fields import Fields
from ..think.policy import State
from ..think.reentry import Breaker, Memory, Span
from ..think.strict_json import read
from ..think.wire import failure_from_json, wakes_from_json
from ..words.address import PciAddress
from ..words.descriptor import OwnedFd
from ..words.errors import InputError
from ..words.facts import Identity
from ..words.report import Failure, Wakes
from .files import write_all

FOLDER = "holds"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


class Record(NamedTuple):
    """A device as it was last known. A state in which a worker has it stands for an intent."""

    state: State
    wakes: Wakes = Wakes()
    entered: Optional[float] = None  # seconds since the epoch
    reentry: Memory = Memory()  # in seconds since the boot: a clock that is set moves no wait
    failure: Optional[Failure] = None  # why it could not be taken
    identity: Optional[Identity] = None  # of the card that was declared, and that all this is of


class Records:
    """The records of this boot."""

    def __init__(self, run_folder: str) -> None:
        self._folder = f"{run_folder}/{FOLDER}"

    def load(self) -> dict[PciAddress, Record]:
        """Read all. One that cannot be read is left out: then nothing is known of its device."""
        found = {}
        for name in _names(self._folder):
            try:
                with open(f"{self._folder}/{name}", "rb") as file:
                    found[PciAddress.parse(name)] = _parse(file.read())
            except (OSError, ValueError, InputError):
                continue
        return found

    def save(self, address: PciAddress, record: Record) -> None:
        """Write a record in one step. Raises OSError."""
        path, content = f"{self._folder}/{address}", json.dumps(_document(record)).encode()
        try:
            _replace(path, content)
        except FileNotFoundError:  # the first one of this boot
            os.makedirs(self._folder, 0o700, exist_ok=True)
            _replace(path, content)

    def remove(self, address: PciAddress) -> None:
        """Forget a device that is held no longer, or may be tried again."""
        try:
            os.unlink(f"{self._folder}/{address}")
        except FileNotFoundError:
            return


def _replace(path: str, content: bytes) -> None:
    with OwnedFd(os.open(path + ".new", _CREATE, 0o600)) as file:
        write_all(file, content)
    os.replace(path + ".new", path)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _document(record: Record) -> dict[str, object]:
    memory = record.reentry
    reentry = {
        **memory._asdict(),
        "sleeps": [sleep._asdict() for sleep in memory.sleeps],
        "storm": memory.storm._asdict(),
    }
    failure = record.failure._asdict() if record.failure else None
    return {
        **record._asdict(),
        "wakes": record.wakes._asdict(),
        "reentry": reentry,
        "failure": failure,
        "identity": identity_document(record.identity),
    }


def _parse(content: bytes) -> Record:
    fields = Fields(read(content), "record")
    return Record(
        state=State(fields.need("state", str)),
        wakes=fields.inner("wakes", wakes_from_json) or Wakes(),
        entered=fields.number("entered"),
        reentry=fields.inner("reentry", _parse_memory) or Memory(),
        failure=fields.inner("failure", failure_from_json),
        identity=fields.inner("identity", parse_identity),
    )


def _parse_memory(value: object, place: str) -> Memory:
    fields, usual = Fields(value, place), Memory()
    return Memory(
        spent=fields.number("spent") or 0.0,
        counted=fields.number("counted") or 0.0,
        asleep_since=fields.number("asleep_since"),
        due=fields.number("due"),
        put_off_by=fields.optional("put_off_by", str),
        suppressed=fields.get("suppressed", int, 0),
        own=fields.get("own", bool, False),
        breaker=Breaker(fields.get("breaker", str, usual.breaker.value)),
        sleeps=fields.each("sleeps", _parse_span),
        good=fields.get("good", int, 0),
        storm_wakes=fields.get("storm_wakes", int, 0),
        storm=fields.inner("storm", _parse_span) or usual.storm,
    )


def _parse_span(value: object, place: str) -> Span:
    fields = Fields(value, place)
    return Span(fields.number("since") or 0.0, fields.number("until") or 0.0)
