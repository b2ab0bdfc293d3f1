# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that are asleep for the first time in a boot: what a host that dies leaves behind.

One sealed file per device, so that workers do not wait for each other's. Those that have proven
harmless are remembered below /run, which ends with the boot.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from ..think.documents import identity_document, parse_identity
from ..think.fields import Fields
from ..words.address import PciAddress
from ..words.facts import Identity
from .files import Folder
from .sealed import DamagedError, seal, unseal

MARKS = "marks"
PROVEN = "proven"


class Mark(NamedTuple):
    """A device that was armed. ``slept_ms``: how long it had slept in all when that was."""

    boot: str
    identity: Optional[Identity]
    slept_ms: int = 0


class MarkFiles:
    """The marks, and what became of them in this boot."""

    def __init__(self, state_folder: str, run_folder: str) -> None:
        self._marks = Folder(f"{state_folder}/{MARKS}")
        self._proven = Folder(f"{run_folder}/{PROVEN}", synced=False)

    def load(self) -> dict[PciAddress, Mark]:
        """Read all marks. One that is damaged is of no boot and of no known device.

        Raises OSError where nobody can tell which there are.
        """
        return _load(self._marks)

    def proven(self) -> dict[PciAddress, Mark]:
        """Read which devices have proven harmless in this boot."""
        return _load(self._proven)

    def write(self, address: PciAddress, mark: Mark) -> None:
        """Mark a device durably. Raises OSError."""
        _write(self._marks, address, mark)

    def prove(self, address: PciAddress, mark: Mark) -> None:
        """Remember that a device is harmless, and take its mark away. Raises OSError."""
        _write(self._proven, address, mark)
        self.remove(address)

    def remove(self, address: PciAddress) -> None:
        """Take a mark away for good. Raises OSError."""
        with self._marks.writing(locked=False) as writer:
            writer.remove(str(address))


def _write(folder: Folder, address: PciAddress, mark: Mark) -> None:
    content = seal({**mark._asdict(), "identity": identity_document(mark.identity)})
    with folder.writing(locked=False) as writer:
        writer.replace(str(address), content, lambda _before: False)


def _load(folder: Folder) -> dict[PciAddress, Mark]:
    found = {}
    for name in folder.names():
        try:
            address = PciAddress.parse(name)
        except ValueError:
            continue  # left behind by a writer that died
        found[address] = _read(folder, name)
    return found


def _read(folder: Folder, name: str) -> Mark:
    try:
        return unseal(folder.read(name) or b"", _parse)
    except (OSError, DamagedError):
        return Mark("", None)


def _parse(document: object) -> Mark:
    fields = Fields(document, "mark")
    return Mark(
        fields.need("boot", str),
        parse_identity(fields.optional("identity", dict), "mark.identity"),
        fields.get("slept_ms", int, 0),
    )
