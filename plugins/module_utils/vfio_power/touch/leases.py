# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who was given which device; ends with the boot, so it lies below /run and is not synced."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ..think.strict_json import read
from ..think.wire import lease_from_json, lease_to_json
from ..words.errors import InputError
from ..words.report import Lease
from .files import Folder

FOLDER = "/run/vfio-power"
LEASES = "leases.json"


class Leases:
    """The leases of this boot on disk. ``damaged`` says why some could not be read."""

    def __init__(self, folder: str = FOLDER) -> None:
        self._folder = Folder(folder, synced=False)
        self.damaged = ""

    def load(self) -> tuple[Lease, ...]:
        """Read the leases. Damage is told in ``damaged``, never raised, and the file is empty."""
        self.damaged = ""
        try:
            return _parse(self._folder.read(LEASES))
        except (OSError, ValueError, InputError) as error:
            path = f"{self._folder.path}/{LEASES}"
            self.damaged = (
                f"{path} is damaged and taken as empty ({error}):"
                " what was lent may be taken, give it to its holders again."
            )
            return ()

    def save(self, leases: Iterable[Lease]) -> bool:
        """Store the leases; tell whether they differed."""
        document = [lease_to_json(lease) for lease in sorted(leases, key=_order)]
        content = (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
        with self._folder.writing() as writer:
            return writer.replace(LEASES, content, _sound)


def _order(lease: Lease) -> tuple[object, ...]:
    return (lease.address, lease.holder)


def _parse(content: bytes | None) -> tuple[Lease, ...]:
    if content is None:
        return ()
    document = read(content)
    if not isinstance(document, list):
        raise ValueError("it is not a list")
    return tuple(lease_from_json(lease, f"leases[{index}]") for index, lease in enumerate(document))


def _sound(content: bytes) -> bool:
    try:
        _parse(content)
    except (ValueError, InputError):
        return False
    return True
