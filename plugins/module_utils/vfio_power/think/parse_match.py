# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Selectors: ``{address: …}`` or ``{match: {…}}``, the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional, TypeVar

from ..words.declaration import Match, Selector
from ..words.errors import Problem
from .parse_digits import read_address, read_hex
from .parse_values import (
    Problems,
    read_flag,
    read_keys,
    read_text,
    read_whole,
    shown,
)

T = TypeVar("T")
Read = Callable[[object, str, Problems], Optional[T]]

SELECTOR_KEYS = ("address", "match")


def _id(value: object, place: str, problems: Problems) -> Optional[str]:
    return read_hex(value, place, problems, widths=(4,))


def _class(value: object, place: str, problems: Problems) -> Optional[str]:
    return read_hex(value, place, problems, widths=(2, 4, 6))


def _group(value: object, place: str, problems: Problems) -> Optional[int]:
    return read_whole(value, place, problems, least=0)


def _node(value: object, place: str, problems: Problems) -> Optional[int]:
    return read_whole(value, place, problems, least=-1)  # -1: belongs to no node


def _several(read: Read[T]) -> Read[tuple[T, ...]]:
    """Make a reader of lists out of a reader of items; one bare item is a list of one."""

    def read_list(value: object, place: str, problems: Problems) -> Optional[tuple[T, ...]]:
        if not isinstance(value, (list, tuple)):
            item = read(value, place, problems)
            return None if item is None else (item,)
        if not value:
            problems.append(Problem(place, "the list is empty; leave the key out instead"))
            return None
        items = [read(item, f"{place}[{at}]", problems) for at, item in enumerate(value)]
        return tuple(dict.fromkeys(item for item in items if item is not None))

    return read_list


def _property(value: object, place: str, problems: Problems) -> Optional[Mapping[str, str]]:
    if not isinstance(value, Mapping) or not value:
        message = f"{shown(value)} is not a mapping of udev properties to shell patterns"
        problems.append(Problem(place, message))
        return None
    read = {
        read_text(name, place, problems): read_text(pattern, f"{place}.{name}", problems)
        for name, pattern in value.items()
    }
    return {name: pattern for name, pattern in read.items() if name and pattern}


MATCH_KEYS: Mapping[str, Read[object]] = {
    "vendor": _several(_id),
    "device": _several(_id),
    "subsystem_vendor": _several(_id),
    "subsystem_device": _several(_id),
    "class": _several(_class),
    "driver": _several(read_text),
    "iommu_group": _several(_group),
    "numa_node": _several(_node),
    "slot": _several(read_text),
    "boot_vga": read_flag,
    "property": _property,
}


def match_field(key: str) -> str:
    """Return the name of Match's field for a key that people type."""
    return "class_" if key == "class" else key


def read_match(value: object, place: str, problems: Problems) -> Optional[Match]:
    """Read the keys of a match; one that asks nothing would mean every device.

    A null is refused for the same reason: a variable that nobody set must not widen a match.
    """
    told = len(problems)
    given = read_keys(value, place, problems, tuple(MATCH_KEYS))
    for key in _nulls(value):
        problems.append(Problem(f"{place}.{key}", "is null; leave the key out to ask for nothing"))
    if len(problems) > told or given is None:
        return None
    if not given:
        message = "the match is empty and would mean every device; name at least one property"
        problems.append(Problem(place, message))
        return None
    fields: dict[str, Any] = {
        match_field(key): MATCH_KEYS[key](asked, f"{place}.{key}", problems)
        for key, asked in given.items()
    }
    return Match()._replace(**fields)


def _nulls(value: object) -> list[str]:
    asked = value if isinstance(value, Mapping) else {}
    return [key for key in MATCH_KEYS if key in asked and asked[key] is None]


def read_selector_of(
    given: Mapping[str, object], place: str, problems: Problems
) -> Optional[Selector]:
    """Read the selector out of a mapping that may hold other keys too."""
    asked = [key for key in SELECTOR_KEYS if key in given]
    if len(asked) != 1:
        having = "both" if asked else "neither"
        message = f"has {having} of address and match; exactly one of them says which device"
        problems.append(Problem(place, message))
        return None
    if "address" in given:
        return read_address(given["address"], f"{place}.address", problems)
    return read_match(given["match"], f"{place}.match", problems)


def read_selector(value: object, place: str, problems: Problems) -> Optional[Selector]:
    """Read one selector."""
    if isinstance(value, str):
        message = f"{shown(value)} is bare text; write {{address: {shown(value)}}}"
        problems.append(Problem(place, message))
        return None
    given = read_keys(value, place, problems, SELECTOR_KEYS)
    return None if given is None else read_selector_of(given, place, problems)
