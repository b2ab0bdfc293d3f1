# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When and how often a woken device is entered again, as a task says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from ..words.declaration import Reentry
from ..words.errors import Problem
from .parse_values import MOST_SECONDS, Problems, read_keys, read_seconds, read_whole, shown

LEAST_DELAY = 0.1  # seconds
MOST_ENTRIES = 36000
"""As many as fit into an hour with the shortest delay."""


def read_reentry(value: object, place: str, problems: Problems) -> Optional[Reentry]:
    """Read the keys of ``reentry``; what is not said keeps its default."""
    given = read_keys(value, place, problems, Reentry._fields)
    if given is None:
        return None
    said = {**Reentry()._asdict(), **given}
    delay = read_seconds(said["delay"], f"{place}.delay", problems, LEAST_DELAY, MOST_SECONDS)
    most = _read_entries(said, "max_per_hour", "entries per hour", place, problems)
    burst = _read_entries(said, "burst", "entries", place, problems)
    if delay is None or most is None or burst is None:
        return None
    return Reentry(delay, most, burst)


def _read_entries(
    said: Mapping[str, object], key: str, unit: str, place: str, problems: Problems
) -> Optional[int]:
    number = read_whole(said[key], place, [], least=1)
    if number is not None and number <= MOST_ENTRIES:
        return number
    message = f"{shown(said[key])} is not a whole number of {unit} from 1 to {MOST_ENTRIES}"
    problems.append(Problem(f"{place}.{key}", message))
    return None
