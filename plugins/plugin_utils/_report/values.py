# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values from answers and from earlier reports: nothing of them is trusted.

A text has no line breaks and no control characters, and is as long as its place allows. Whatever
is not of the expected kind is None: it is not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate, takewhile
from typing import Any, Optional

Clean = Callable[[object], Any]
Document = dict[str, Any]

ELLIPSIS = "…"
EXACT = 2**53  # the numbers up to it are the same for everybody who reads JSON


def text(limit: int) -> Clean:
    """Return what makes a line that takes at most so many bytes of JSON."""
    return lambda value: shortened(value, limit) if isinstance(value, str) else None


def shortened(value: str, limit: int) -> str:
    """Return a text as one line, cut where it would take more than so many bytes of JSON."""
    if not value.isprintable():
        value = "".join(letter if letter.isprintable() else " " for letter in value)
        value = " ".join(value.split())
    if len(value) * 4 <= limit:
        return str(value)
    if _taken(value) <= limit:
        return str(value)
    lengths = accumulate(map(_taken, value))
    room = limit - _taken(ELLIPSIS)
    kept = "".join(letter for letter, _end in zip(value, takewhile(room.__ge__, lengths)))
    return kept.rstrip() + ELLIPSIS


def _taken(value: str) -> int:
    """Return how many bytes a printable text takes in JSON, without the quotes around it."""
    return len(value.encode(errors="replace")) + value.count('"') + value.count("\\")


def flag(value: object) -> Optional[bool]:
    """Return yes or no."""
    return value if isinstance(value, bool) else None


def whole(value: object) -> Optional[int]:
    """Return a number that counts or names something."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return int(value) if 0 <= value <= EXACT else None


def share(value: object) -> Optional[float]:
    """Return a part of one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return round(float(value), 4) if math.isfinite(value) and 0 <= value <= 1 else None


def mapping(value: object) -> Mapping[str, Any]:
    """Return an object, empty where there is none."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> Iterable[object]:
    """Return the members of a list, none where there is no list."""
    return value if isinstance(value, (list, tuple)) else ()


def several(clean: Clean, limit: int) -> Clean:
    """Return what cleans a list, and leaves out what is too much or not known."""

    def cleaned(value: object) -> list[Any]:
        found = (clean(member) for member in items(value))
        return [member for member in found if member][:limit]

    return cleaned


def record(**fields: Clean) -> Clean:
    """Return what cleans an object; None where it has none of these fields."""

    def cleaned(value: object) -> Optional[Document]:
        given = mapping(value)
        found = {name: clean(given.get(name)) for name, clean in fields.items()}
        return found if any(each is not None for each in found.values()) else None

    return cleaned
