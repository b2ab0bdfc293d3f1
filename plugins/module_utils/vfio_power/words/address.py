# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PCI address as a value: parsed once at the door, printed the kernel's way."""

from __future__ import annotations

import re
from typing import NamedTuple

_ADDRESS = re.compile(
    r"(?:(?P<domain>[0-9a-f]{4,8}):)?(?P<bus>[0-9a-f]{2}):(?P<device>[01][0-9a-f])\.(?P<function>[0-7])",
    re.ASCII,
)


class PciAddress(NamedTuple):
    """Domain, bus, device and function; sorts in bus order."""

    domain: int
    bus: int
    device: int
    function: int

    @classmethod
    def parse(cls, text: str) -> PciAddress:
        """Read ``0000:65:00.0`` or the short ``65:00.0``, in either case.

        Raises ValueError with a sentence that says what would be right.
        """
        found = _ADDRESS.fullmatch(text.lower())
        if found is None:
            raise ValueError(f"{text!r} is not a PCI address like '0000:65:00.0' or '65:00.0'")
        parts = found.groupdict(default="0")
        return cls(*(int(parts[name], 16) for name in cls._fields))

    def __str__(self) -> str:
        """Return the sysfs spelling, for example ``0000:65:00.0``."""
        return f"{self.domain:04x}:{self.bus:02x}:{self.device:02x}.{self.function:x}"
