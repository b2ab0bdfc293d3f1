# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared on this host, and which devices that came to mean, kept over reboots.

Two sealed files, see sealed.py. How the documents look is for think/parse.py.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from ..think.documents import declaration_document, known_document, parse_known
from ..think.parse import parse_declaration
from ..words.declaration import Declaration, Known
from ..words.errors import GenerationMismatch
from .files import Folder
from .sealed import DamagedError, SealedFile

FOLDER = "/var/lib/vfio-power"
DECLARED = "declared.json"
DEVICES = "devices.json"
_NOTHING = Declaration()


class Loaded(NamedTuple):
    """What was found; ``damaged`` is a sentence for each file that could not be used.

    ``lost``: something was declared, and nobody can tell what.
    """

    declaration: Declaration = Declaration()
    known: tuple[Known, ...] = ()
    damaged: str = ""
    lost: bool = False


class Store:
    """The host's declaration on disk."""

    def __init__(self, folder: str = FOLDER) -> None:
        self._folder = Folder(folder)
        self._declared = SealedFile(self._folder, DECLARED, parse_declaration, _NOTHING)
        self._devices: SealedFile[tuple[Known, ...]] = SealedFile(
            self._folder, DEVICES, _parse_devices, ()
        )

    def load(self) -> Loaded:
        """Read what is stored. Damage is told, never raised: the previous generation stands in.

        Raises PermissionError for those who are not root: they may not look.
        """
        declaration, declared_damage = self._declared.load()
        known, devices_damage = self._devices.load()
        damaged = " ".join(filter(None, (declared_damage, devices_damage)))
        lost = bool(declared_damage) and declaration is _NOTHING
        return Loaded(declaration, known, damaged, lost)

    def save(
        self,
        declaration: Declaration,
        known: tuple[Known, ...],
        *,
        expected: Optional[int] = None,
    ) -> bool:
        """Store both durably; tell whether anything differed. What is equal is not written.

        Raises GenerationMismatch where another generation than the ``expected`` one is stored by
        now; None: whichever it is.
        """
        with self._folder.writing() as writer:
            self._insist(expected)
            first = self._declared.write(writer, declaration_document(declaration))
            second = self._devices.write(writer, [known_document(device) for device in known])
        return first or second

    def remember(self, known: tuple[Known, ...], *, expected: int) -> None:
        """Store durably which devices the rules mean, and leave the declaration as it is.

        Raises GenerationMismatch as well.
        """
        with self._folder.writing() as writer:
            self._insist(expected)
            self._devices.write(writer, [known_document(device) for device in known])

    def _insist(self, expected: Optional[int]) -> None:
        stored = self._declared.load()[0].generation
        if expected is not None and expected != stored:
            raise GenerationMismatch(expected, stored)


def _parse_devices(document: object) -> tuple[Known, ...]:
    if not isinstance(document, list):
        raise DamagedError("is not a list of devices")
    return tuple(parse_known(device) for device in document)
