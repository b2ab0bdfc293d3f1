# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Others who decide about the same power policy: tools and files of this host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

POWER_CONTROL, D3COLD_ALLOWED, DISABLE_IDLE_D3 = (
    "power/control",
    "d3cold_allowed",
    "disable_idle_d3",
)


class PolicyFile(NamedTuple):
    """A file in which some tool was told what to write."""

    tool: str  # udev, TLP, powertop, TuneD, modprobe.d or kernel
    path: str
    text: str
    enabled: bool = True  # False: the tool's service is not


class Rival(NamedTuple):
    """One line by which somebody else writes what decides about a device's sleep."""

    tool: str
    file: str
    line: int
    attribute: str
    value: str  # empty where the line does not say it
    enabled: bool = True

    @property
    def place(self) -> str:
        """Return ``/etc/udev/rules.d/80-gpu.rules:3 (udev)``."""
        off = "" if self.enabled else ", whose service is not enabled"
        return f"{self.file}:{self.line} ({self.tool}{off})"

    def __str__(self) -> str:
        """Return the place and what is written from there."""
        value = f"{self.value} to " if self.value else ""
        return f"{self.place} writes {value}{self.attribute}"


def written_by(rivals: Iterable[Rival], attribute: str, value: str) -> str:
    """Return `` (perhaps written by FILE:LINE, …)`` for those who write that, or nothing."""
    places = [it.place for it in rivals if it.attribute == attribute and it.value in (value, "")]
    return f" (perhaps written by {', '.join(places)})" if places else ""
