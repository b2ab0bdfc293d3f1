# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that are not trusted any more, kept over reboots until somebody clears them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Optional

from ..think.documents import identity_document, parse_identity
from ..think.fields import Fields
from ..think.wire import quarantined_from_json
from ..words.address import PciAddress
from ..words.facts import Identity
from ..words.report import Quarantined
from .files import Folder
from .sealed import DamagedError, SealedFile

QUARANTINE = "quarantine.json"


class Distrusted(NamedTuple):
    """A device, and why it is not trusted; ``identity`` None: whatever is at the address."""

    address: PciAddress
    identity: Optional[Identity]
    why: Quarantined


class DistrustFile:
    """Their list on disk."""

    def __init__(self, state_folder: str) -> None:
        self._folder = Folder(state_folder)
        self._file: SealedFile[tuple[Distrusted, ...]] = SealedFile(
            self._folder, QUARANTINE, _parse, ()
        )

    def load(self) -> tuple[tuple[Distrusted, ...], str]:
        """Read it, and say in a sentence why the file itself could not be used."""
        return self._file.load()

    def save(self, devices: Iterable[Distrusted]) -> None:
        """Store it durably. Raises OSError."""
        with self._folder.writing() as writer:
            self._file.write(writer, [_document(it) for it in devices])


def _document(it: Distrusted) -> dict[str, object]:
    identity = identity_document(it.identity)
    return {"address": str(it.address), "identity": identity, "why": it.why._asdict()}


def _parse(document: object) -> tuple[Distrusted, ...]:
    if not isinstance(document, list):
        raise DamagedError("is not a list of devices")
    return tuple(_distrusted(it, f"devices[{index}]") for index, it in enumerate(document))


def _distrusted(value: object, place: str) -> Distrusted:
    fields = Fields(value, place)
    why = fields.need("why", dict)
    return Distrusted(
        fields.address("address"),
        parse_identity(fields.optional("identity", dict), f"{place}.identity"),
        quarantined_from_json(why, f"{place}.why"),
    )
