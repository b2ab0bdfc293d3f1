# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that are known not to take something well."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from .declaration import Selector


class Kind(str, Enum):
    """What such a device does not take."""

    NO_HOLD = "no-hold"  # to be opened and reset: no entry mode
    NO_REENTRY = "no-reentry"  # to be entered again before its guest driver ran
    NO_D3COLD = "no-d3cold"  # D3cold: entered only while d3cold_allowed reads 0


class Quirk(NamedTuple):
    """One row: which devices, what they do not take, why, and who says so."""

    selector: Selector
    kind: Kind
    reason: str
    source: str
