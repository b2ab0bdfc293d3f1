# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Until when devices are left to guests, for a helper that is started again in the same boot.

Counted on the boot's own clock, which nobody sets.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping

from ..think.strict_json import read
from ..think.wire import Fields
from ..words.address import PciAddress
from ..words.errors import InputError

_FILE = "graces.json"


class Graces:
    """The graces that run, below /run. Nothing is synced: they end with the boot."""

    def __init__(self, run_folder: str) -> None:
        self._path = f"{run_folder}/{_FILE}"

    def load(self) -> dict[PciAddress, float]:
        """Return the seconds that are left of each; none where the file cannot be read."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        try:
            with open(self._path, "rb") as file:
                ends = Fields(read(file.read()), "graces")
            left = {PciAddress.parse(it): (ends.number(it) or now) - now for it in ends.names()}
        except (OSError, ValueError, InputError):
            return {}
        return {address: seconds for address, seconds in left.items() if seconds > 0}

    def save(self, left: Mapping[PciAddress, float]) -> None:
        """Write the seconds that are left of each. Raises OSError."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        with open(self._path + ".new", "w", encoding="ascii") as file:
            json.dump({str(address): now + seconds for address, seconds in left.items()}, file)
        os.replace(self._path + ".new", self._path)
