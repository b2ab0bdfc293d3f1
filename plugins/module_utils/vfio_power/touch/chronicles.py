# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The histories of all cards that are declared, kept over reboots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..think.chronicle import Chronicle, Counted
from ..think.documents import identity_document, parse_identity
from ..think.fields import Fields
from ..think.wire import history_from_json, history_to_json, wakes_from_json
from ..words.history import History
from ..words.report import Wakes
from .files import Folder
from .sealed import DamagedError, SealedFile

HISTORY = "history.json"


class HistoryFile:
    """All of them in one file: it is written rarely, and one write is one sync."""

    def __init__(self, state_folder: str) -> None:
        self._folder = Folder(state_folder)
        self._file: SealedFile[tuple[Chronicle, ...]] = SealedFile(
            self._folder, HISTORY, _parse, ()
        )

    def load(self) -> tuple[tuple[Chronicle, ...], str]:
        """Read it, and say in a sentence why the file itself could not be used."""
        return self._file.load()

    def save(self, chronicles: Iterable[Chronicle]) -> None:
        """Store it durably. Raises OSError."""
        with self._folder.writing() as writer:
            self._file.write(writer, [_document(it) for it in chronicles])


def _document(it: Chronicle) -> dict[str, Any]:
    return {
        "address": str(it.address),
        "identity": identity_document(it.identity),
        "history": history_to_json(it.history),
        "counted": it.counted._asdict(),
        "seen": it.seen._asdict(),
    }


def _parse(document: object) -> tuple[Chronicle, ...]:
    if not isinstance(document, list):
        raise DamagedError("is not a list of devices")
    return tuple(_chronicle(it, f"devices[{index}]") for index, it in enumerate(document))


def _chronicle(value: object, place: str) -> Chronicle:
    fields = Fields(value, place)
    return Chronicle(
        fields.address("address"),
        parse_identity(fields.optional("identity", dict), f"{place}.identity"),
        fields.inner("history", history_from_json) or History(),
        fields.inner("counted", _counted) or Counted(),
        fields.inner("seen", wakes_from_json) or Wakes(),
    )


def _counted(value: object, place: str) -> Counted:
    fields = Fields(value, place)
    return Counted(
        fields.get("boot", str, ""),
        fields.get("asleep_ms", int, 0),
        fields.get("awake_ms", int, 0),
    )
