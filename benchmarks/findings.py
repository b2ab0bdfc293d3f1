# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark finds, and how it stands to its bound."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

TITLES = ("", "measured", "bound", "", "of what")


class Finding(NamedTuple):
    """One number that may not be above its bound."""

    name: str
    value: float
    bound: float
    unit: str
    details: str

    @property
    def kept(self) -> bool:
        return self.value <= self.bound

    def row(self) -> tuple[str, ...]:
        """Return the cells of the table."""
        verdict = "ok" if self.kept else "TOO MUCH"
        return (
            self.name,
            self._spelled(self.value),
            self._spelled(self.bound),
            verdict,
            self.details,
        )

    def _spelled(self, number: float) -> str:
        return f"{number:.2f}{self.unit}" if number % 1 else f"{number:.0f}{self.unit}"


def table(findings: Iterable[Finding]) -> str:
    """Return the findings as lines with columns."""
    rows = [TITLES, *(finding.row() for finding in findings)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)
