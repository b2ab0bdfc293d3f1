# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and hexadecimal digits, which YAML likes to take for numbers.

YAML 1.1 reads an unquoted ``0000:41:00.0`` as 2460.0, ``0302`` as 194 and
``0x10de`` as 4318. Such a number is refused, never turned back into text: the
digits that were typed are gone, and there is more than one way back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Optional, Union

from ..words.address import PciAddress
from ..words.errors import Problem
from .parse_values import Problems, is_number, listed, shown, unquoted

_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9])?", re.ASCII)
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)


def read_address(value: object, place: str, problems: Problems) -> Optional[PciAddress]:
    """Read a PCI address, full or short, in either case."""
    if is_number(value):
        problems.append(Problem(place, unquoted(value, "address", _addresses_behind(value))))
        return None
    if not isinstance(value, str):
        problems.append(Problem(place, f"{shown(value)} is not a PCI address like '65:00.0'"))
        return None
    try:
        return PciAddress.parse(value)
    except ValueError as error:
        number = _number_in(value)
        hint = "" if number is None else _templated("address", _addresses_behind(number))
        problems.append(Problem(place, f"{error}{hint}"))
        return None


def _addresses_behind(value: object) -> list[str]:
    """Undo the base 60 in which YAML reads ``41:00.0``."""
    if not isinstance(value, float) or not 0 <= value < 6000:
        return []
    whole, function = divmod(round(value * 10), 10)
    text = f"{whole // 60:02d}:{whole % 60:02d}.{function}"
    try:
        PciAddress.parse(text)
    except ValueError:
        return []
    return [text]


def read_hex(value: object, place: str, problems: Problems, widths: Sequence[int]) -> Optional[str]:
    """Read hexadecimal digits of one of the widths, with or without ``0x``, as lower case."""
    if is_number(value):
        guesses = _digits_behind(value, widths)
        problems.append(Problem(place, unquoted(value, "hexadecimal digits", guesses)))
        return None
    text = value.lower() if isinstance(value, str) else ""
    digits = text[2:] if text.startswith("0x") else text
    if _HEX.fullmatch(digits) and len(digits) in widths:
        return digits
    said = f"{shown(value)} is not made of {listed(widths)} hexadecimal digits"
    number = _number_in(text)
    if number is not None:
        said += _templated("hexadecimal digits", _digits_behind(number, widths))
    problems.append(Problem(place, said))
    return None


def _number_in(text: str) -> Union[int, float, None]:
    """Return the number that a template made text of, before it came here."""
    if not _DECIMAL.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)


def _templated(what: str, guesses: Sequence[str]) -> str:
    perhaps = f" (perhaps {listed(map(repr, guesses))})" if guesses else ""
    return (
        f"; if it comes of a variable that has no quotes, YAML made a number of it:"
        f" put quotes around the {what} there{perhaps}"
    )


def _digits_behind(value: object, widths: Sequence[int]) -> list[str]:
    """Return what may have been typed: octal, decimal or hexadecimal digits of a right width."""
    if not isinstance(value, int) or value < 0:
        return []
    wide = next((width for width in widths if len(f"{value:x}") <= width), 0)
    spellings = (f"0{value:o}", str(value), f"{value:0{wide}x}")
    return [digits for digits in dict.fromkeys(spellings) if len(digits) in widths]
