# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words a person uses for what is wanted of a device."""

from __future__ import annotations

from enum import Enum


class Mode(str, Enum):
    """The low-power mode; each value is spelled as people type it."""

    NONE = "none"
    ENTRY = "entry"
    ENTRY_WITH_WAKEUP = "entry-with-wakeup"

    def __str__(self) -> str:
        """Return the spelling people type."""
        return self.value


class Expect(str, Enum):
    """The state a device has to be seen in once it had time to settle."""

    ANY = "any"
    AWAKE = "awake"
    ASLEEP = "asleep"
    D3COLD = "d3cold"

    def __str__(self) -> str:
        """Return the spelling people type."""
        return self.value


def default_expectation(mode: Mode, reserve: bool) -> Expect:
    """Say what a mode promises when the rule does not say it itself."""
    if mode is not Mode.NONE:
        return Expect.ASLEEP
    return Expect.AWAKE if reserve else Expect.ANY
