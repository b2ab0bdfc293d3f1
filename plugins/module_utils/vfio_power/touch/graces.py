# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices are left to others, for a helper that is started again in the same boot.

Counted on the boot's own clock, which nobody sets.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import NamedTuple

from ..think.fields import Fields
from ..think.strict_json import read
from ..words.address import PciAddress
from ..words.errors import InputError

_FILE = "graces.json"


class Left(NamedTuple):
    """The seconds that are left of each grace, and the devices that were given up.

    Of those it is told whether they were there and on a VFIO driver then.
    """

    graces: Mapping[PciAddress, float] = {}
    aside: Mapping[PciAddress, bool] = {}


class Graces:
    """The graces that run, below /run. Nothing is synced: they end with the boot."""

    def __init__(self, run_folder: str) -> None:
        self._path = f"{run_folder}/{_FILE}"

    def load(self) -> Left:
        """Return what was saved last; nothing where the file cannot be read."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        try:
            with open(self._path, "rb") as file:
                stored = Fields(read(file.read()), "left")
            ends = Fields(stored.need("graces", dict), "graces")
            left = {PciAddress.parse(it): (ends.number(it) or now) - now for it in ends.names()}
            there = Fields(stored.need("aside", dict), "aside")
            aside = {PciAddress.parse(it): there.need(it, bool) for it in there.names()}
        except (OSError, ValueError, InputError):
            return Left()
        return Left({it: seconds for it, seconds in left.items() if seconds > 0}, aside)

    def save(self, left: Left) -> None:
        """Write it in one step. Raises OSError."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        ends = {str(address): now + seconds for address, seconds in left.graces.items()}
        aside = {str(address): there for address, there in left.aside.items()}
        with open(self._path + ".new", "w", encoding="ascii") as file:
            file.write(json.dumps({"graces": ends, "aside": aside}))
        os.replace(self._path + ".new", self._path)
