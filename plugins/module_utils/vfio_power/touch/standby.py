# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the helper is to stand back: somebody paused it, or the host's off switch is on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Optional

from ..think.fields import Fields
from ..think.paused import BY_FILE, BY_KERNEL
from .files import Folder
from .sealed import SealedFile

PAUSED = "paused.json"
ETC = "/etc/vfio-power"


class PauseFile:
    """Since when it is paused, in seconds since the epoch; kept over reboots."""

    def __init__(self, state_folder: str) -> None:
        self._folder = Folder(state_folder)
        self._file: SealedFile[Optional[float]] = SealedFile(self._folder, PAUSED, _parse, None)

    def load(self) -> tuple[Optional[float], str]:
        """Read it, and say in a sentence why the file itself could not be used."""
        return self._file.load()

    def save(self, since: Optional[float]) -> None:
        """Store it durably. Raises OSError."""
        with self._folder.writing() as writer:
            self._file.write(writer, {"since": since})


def off_switch(environ: Mapping[str, str], etc: str = ETC) -> str:
    """Say what switches the helper off on this host, or return an empty string.

    A ``name=value`` of the kernel command line that the kernel does not know is a variable of the
    first process; the unit passes this one on. So /proc/cmdline, which the unit's sandbox hides,
    need not be read.
    """
    if environ.get("vfio_power") == "off":
        return BY_KERNEL
    path = f"{etc}/off"
    return f"{BY_FILE}{path}" if os.path.exists(path) else ""


def _parse(document: object) -> Optional[float]:
    return Fields(document, "paused").number("since")
