# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of a JSON object, read strictly: what is wrong is told with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional, TypeVar

from ..words.address import PciAddress
from ..words.errors import InputError, Problem
from ..words.holder import parse_holder
from ..words.mode import Mode
from .parse_values import is_number

T = TypeVar("T")
Json = Mapping[str, Any]

LONGEST = 1e13  # seconds: 300,000 years, which C still takes for a date


class Fields:
    """Typed looks into one JSON object; what is wrong is told with its place."""

    def __init__(self, value: object, place: str) -> None:
        if not isinstance(value, Mapping):
            raise _refusal(place, "an object", value)
        self._value: Json = value
        self._place = place

    def need(self, name: str, kind: type[T]) -> T:
        """Return a field that has to be there."""
        value = self._value.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _refusal(f"{self._place}.{name}", _KINDS.get(kind, kind.__name__), value)
        return value

    def optional(self, name: str, kind: type[T]) -> Optional[T]:
        """Return a field, or None where it is missing or null."""
        return None if self._value.get(name) is None else self.need(name, kind)

    def get(self, name: str, kind: type[T], default: T) -> T:
        """Return a field, or its default where it is missing or null."""
        found = self.optional(name, kind)
        return default if found is None else found

    def has(self, name: str) -> bool:
        """Tell whether a field is there and not null."""
        return self._value.get(name) is not None

    def names(self) -> list[str]:
        """Return the names of all fields."""
        return list(self._value)

    def number(self, name: str) -> Optional[float]:
        """Return a number of seconds; JSON writes 5.0 as 5, so both kinds are taken.

        More of them than a calendar knows are refused: somebody is going to print the date.
        """
        value = self._value.get(name)
        if value is None:
            return None
        if not is_number(value) or not -LONGEST < value < LONGEST:
            raise _refusal(f"{self._place}.{name}", "a number of seconds", value)
        return float(value)

    def address(self, name: str) -> PciAddress:
        """Return a PCI address that has to be there."""
        text = self.need(name, str)
        try:
            return PciAddress.parse(text)
        except ValueError as error:
            raise InputError([Problem(f"{self._place}.{name}", str(error))]) from None

    def holder(self, name: str) -> str:
        """Return the name of a holder that has to be there."""
        try:
            return parse_holder(self.need(name, str))
        except ValueError as error:
            raise InputError([Problem(f"{self._place}.{name}", str(error))]) from None

    def mode(self, name: str) -> Mode:
        """Return a mode; none where it is missing."""
        text = self.get(name, str, Mode.NONE.value)
        try:
            return Mode(text)
        except ValueError:
            known = ", ".join(mode.value for mode in Mode)
            raise _refusal(f"{self._place}.{name}", f"one of {known}", text) from None

    def inner(self, name: str, read: Callable[[object, str], T]) -> Optional[T]:
        """Read an object inside this one, or None where it is missing or null."""
        value = self._value.get(name)
        return None if value is None else read(value, f"{self._place}.{name}")

    def each(self, name: str, read: Callable[[object, str], T]) -> tuple[T, ...]:
        """Read the objects of a list; a missing list is empty."""
        values: list[object] = self.get(name, list, [])
        return tuple(
            read(value, f"{self._place}.{name}[{index}]") for index, value in enumerate(values)
        )


_KINDS: Mapping[type, str] = {str: "a text", bool: "true or false", int: "a number", list: "a list"}


def _refusal(place: str, wanted: str, value: object) -> InputError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return InputError([Problem(place, f"{shown} is not {wanted}")])
