# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's policy for a device: whether it may be suspended, and whether down to D3cold."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple, Optional

from .rival import D3COLD_ALLOWED, POWER_CONTROL


class Allowance(str, Enum):
    """What a policy says; spelled as people type it."""

    ALLOW = "allow"
    FORBID = "forbid"

    def __str__(self) -> str:
        """Return the spelling people type."""
        return self.value


class HostPolicy(NamedTuple):
    """What is declared, or what was seen; None for what is left alone, or not known."""

    runtime_pm: Optional[Allowance] = None
    d3cold: Optional[Allowance] = None


class Knob(NamedTuple):
    """One attribute in sysfs, and the option that declares it."""

    option: str
    attribute: str
    allow: str
    forbid: str

    def value(self, allowance: Allowance) -> str:
        """Return what has to be written for that."""
        return self.allow if allowance is Allowance.ALLOW else self.forbid

    def meaning(self, value: str) -> Optional[Allowance]:
        """Return what a value that was read means, or None."""
        return {self.allow: Allowance.ALLOW, self.forbid: Allowance.FORBID}.get(value)

    def of(self, policy: HostPolicy) -> Optional[Allowance]:
        """Return what a policy says of it."""
        found: Optional[Allowance] = getattr(policy, self.option)
        return found

    def said(self, policy: HostPolicy) -> Optional[str]:
        """Return the same as plain text."""
        allowance = self.of(policy)
        return allowance.value if allowance else None


RUNTIME_PM = Knob("runtime_pm", POWER_CONTROL, "auto", "on")
D3COLD = Knob("d3cold", D3COLD_ALLOWED, "1", "0")
KNOBS = (RUNTIME_PM, D3COLD)


def differing(declared: HostPolicy, seen: HostPolicy) -> Iterator[tuple[Knob, Allowance]]:
    """Yield what is declared and was not seen to be so."""
    for knob in KNOBS:
        wanted = knob.of(declared)
        if wanted is not None and knob.of(seen) is not wanted:
            yield knob, wanted
