# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON that somebody else wrote, read strictly: a value within bounds, or refused.

Python's own reader takes more than JSON has (NaN), keeps the last of two equal keys, builds
numbers of a million digits, and makes fifty times the size of what it reads.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, NoReturn

MAX_DEPTH = 16
LARGEST_INT = (1 << 63) - 1


class NotStrict(ValueError):
    """The bytes are no JSON, or more than was bargained for; continues a sentence about them."""


class Bounds(NamedTuple):
    """What a document may grow to."""

    values: int = 1 << 19
    text: int = 1 << 20  # characters of one piece of text


OURS = Bounds()
"""For what this program wrote itself: more than it ever writes."""


def read(data: bytes, bounds: Bounds = OURS) -> object:
    """Return the value that the bytes stand for. Raises NotStrict."""
    # Counted first: to build a million objects takes a hundred megabytes.
    if data.count(b",") + data.count(b"[") + data.count(b"{") > bounds.values:
        raise NotStrict(f"has more than {bounds.values} values")
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_bounded_int,
            parse_float=_finite_float,
        )
    except NotStrict:
        raise
    except UnicodeDecodeError:
        raise NotStrict("is not UTF-8") from None
    except RecursionError:
        raise NotStrict("is nested too deeply") from None
    except ValueError as error:
        raise NotStrict(f"is not JSON ({error})") from None
    _check(value, MAX_DEPTH, bounds.text)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what Python would let pass: of two equal keys it keeps the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrict("names a key twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise NotStrict(f"has {name}, which is no number of JSON")


def _bounded_int(digits: str) -> int:
    # The length comes first: to convert a million digits takes long.
    if len(digits) > 20 or not -LARGEST_INT <= int(digits) <= LARGEST_INT:
        raise NotStrict(f"has {digits[:20]}..., which is no 64-bit number")
    return int(digits)


def _finite_float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise NotStrict(f"has {digits[:40]}, which is too large a number")
    return number


def _check(value: object, depth: int, longest: int) -> None:
    """Refuse deep nesting, long text, and text that could not be written as UTF-8 again."""
    if depth < 0:
        raise NotStrict(f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        if len(value) > longest:
            raise NotStrict(f"has a text of more than {longest} characters")
        if not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
            raise NotStrict("has half of a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth, longest)
            _check(item, depth - 1, longest)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1, longest)
