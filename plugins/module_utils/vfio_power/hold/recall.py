# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written down of each device for a helper that takes over, and what it is worth then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Optional

from ..touch.records import Record, Records
from ..words.address import PciAddress
from ..words.report import Failure
from .holder import Holder


def unsupported_by(records: Mapping[PciAddress, Record]) -> Iterator[PciAddress]:
    """Yield the devices that are known to offer no low power."""
    for address, record in records.items():
        if record.failure is not None and record.failure.code == "unsupported":
            yield address


class Recall:
    """The records of this boot."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def all(self) -> dict[PciAddress, Record]:
        """Return what a helper before us wrote down."""
        return self._records.load()

    def note(self, holder: Holder, refused: Optional[Failure], *, declared: bool) -> None:
        """Write down how a device stands; of one that is let go only what it went through.

        That is why it was refused, if it was, and while it is declared its wakes and what bounds
        the next ones: somebody who has it in between gives it no new bucket.
        """
        address, memory = holder.address, holder.wait.memory
        record = Record(holder.state, holder.wakes, holder.entered, memory, refused, holder.card)
        past = declared and holder.has_a_past
        try:
            if holder.grip is not None or holder.busy or refused is not None or past:
                self._records.save(address, record)
            else:
                self._records.remove(address)
        except OSError:
            self._records.remove(address)  # better none than one that is not true
