# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps us from a device whatever its rule says."""

from __future__ import annotations

from typing import Optional

from ..words.address import PciAddress
from ..words.mode import Mode
from ..words.report import Quarantined
from .pausing import Pausing
from .quarantine import Quarantine
from .table import Table


class Bars:
    """A pause, a device that is not trusted, and a driver without the feature."""

    def __init__(self, quarantine: Quarantine, pausing: Pausing) -> None:
        self.quarantine = quarantine
        self.pausing = pausing
        self.unsupported: set[PciAddress] = set()

    @property
    def damaged(self) -> str:
        """Say in a sentence each which files could not be used."""
        return " ".join(filter(None, (self.quarantine.damaged, self.pausing.damaged)))

    def distrusted(self, address: PciAddress, table: Table) -> Optional[Quarantined]:
        """Say why the card that is at an address now is in quarantine, or None."""
        return self.quarantine.of(address, table.identity(address))

    def against(self, address: PciAddress, table: Table) -> bool:
        """Tell whether the device is not to be held."""
        if self.pausing.reason or self.distrusted(address, table):
            return True
        rule = table.rule(address)
        wants_low_power = rule is not None and rule.mode is not Mode.NONE
        return wants_low_power and address in self.unsupported
