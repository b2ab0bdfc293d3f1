# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what people and files say to values; all that is wrong is said at once.

The doors are here: the options of a task, the declaration as it is stored and as
it travels. Single values are read in parse_values.py, selectors in parse_match.py,
one rule in parse_rule.py; documents.py writes what is read here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Callable, NamedTuple, Optional, TypeVar

from ..words.address import PciAddress
from ..words.declaration import Declaration, Rule, Selector
from ..words.errors import InputError, Problem
from .documents import declaration_document, known_document, parse_known
from .parse_match import read_selector
from .parse_rule import RULE_KEYS, Absent, Entry, read_entry
from .parse_values import MOST_SECONDS, Problems, read_keys, read_seconds, read_whole, shown
from .select import describe

__all__ = [
    "Absent",
    "Entry",
    "Request",
    "declaration_document",
    "known_document",
    "parse_declaration",
    "parse_known",
    "parse_request",
    "parse_selectors",
]

DECLARATION_KEYS = ("generation", "rules", "exclude")
LEAST_SECONDS = {"settle": 0.0, "timeout": 1.0}
"""What a task has to give at least. Without any time it would fail whatever the host does."""

Item = TypeVar("Item")


class Request(NamedTuple):
    """What one task asks for."""

    entries: tuple[Entry, ...] = ()
    exclude: tuple[Selector, ...] = ()


def parse_request(devices: object, exclude: object = None, **times: object) -> Request:
    """Read the options ``devices`` and ``exclude`` of a task; refuse times out of bounds."""
    problems: Problems = []
    entries = _read_list(devices, "devices", problems, read_entry)
    excluded = _read_exclude(exclude, problems)
    _refuse_clashes("devices", entries, excluded, problems)
    _refuse_times(times, problems)
    if problems:
        raise InputError(problems)
    return Request(tuple(entry for entry in entries if entry), excluded)


def parse_selectors(value: object, place: str, **times: object) -> tuple[Selector, ...]:
    """Read a list of selectors; ``place`` is the name of the option."""
    problems: Problems = []
    selectors = _read_list(value, place, problems, read_selector)
    _refuse_times(times, problems)
    if problems:
        raise InputError(problems)
    return tuple(selector for selector in selectors if selector)


def parse_declaration(document: object) -> Declaration:
    """Read a declaration as it is stored and as it travels; see declaration_document."""
    problems: Problems = []
    given = read_keys(document, "declaration", problems, DECLARATION_KEYS)
    if given is None:
        raise InputError(problems)
    generation = read_whole(given.get("generation"), "generation", problems, least=0)
    rules = _read_list(given.get("rules"), "rules", problems, _read_rule)
    excluded = _read_exclude(given.get("exclude"), problems)
    _refuse_clashes("rules", rules, excluded, problems)
    if problems or generation is None:
        raise InputError(problems)
    return Declaration(tuple(rule for rule in rules if rule), excluded, generation)


def _refuse_times(times: Mapping[str, object], problems: Problems) -> None:
    for option, value in times.items():
        read_seconds(value, option, problems, LEAST_SECONDS[option], MOST_SECONDS)


def _read_rule(value: object, place: str, problems: Problems) -> Optional[Rule]:
    rule = read_entry(value, place, problems, RULE_KEYS)
    return rule if isinstance(rule, Rule) else None


def _read_list(
    value: object, place: str, problems: Problems, read: Callable[[object, str, Problems], Item]
) -> list[Item]:
    """Read each item; those that were refused are None, so that places stay countable."""
    if not isinstance(value, (list, tuple)):
        problems.append(Problem(place, f"{shown(value)} is not a list"))
        return []
    return [read(item, f"{place}[{at}]", problems) for at, item in enumerate(value)]


def _read_exclude(value: object, problems: Problems) -> tuple[Selector, ...]:
    if value is None:
        return ()
    selectors = _read_list(value, "exclude", problems, read_selector)
    unique: list[Selector] = []
    for selector in selectors:
        if selector and selector not in unique:
            unique.append(selector)
    return tuple(unique)


def _refuse_clashes(
    option: str,
    entries: Sequence[Optional[Entry]],
    excluded: Sequence[Selector],
    problems: Problems,
) -> None:
    """Refuse what two items say against each other.

    Of two equal items one is a mistake as well: a list that was put together twice,
    or a copied entry whose name nobody changed.
    """
    seen: dict[tuple[str, str], str] = {}
    for at, entry in enumerate(entries):
        if entry is None:
            continue
        place = f"{option}[{at}] ({entry.name})"
        exact = isinstance(entry.selector, PciAddress)
        if exact and isinstance(entry, Rule) and entry.selector in excluded:
            message = f"{entry.selector} is in exclude too; take it out of one of them"
            problems.append(Problem(f"{place}.address", message))
        keys = {"name": repr(entry.name)}
        if exact or isinstance(entry, Rule):  # what is absent goes by its name
            keys["address" if exact else "match"] = describe(entry.selector)
        for key, text in keys.items():
            first = seen.setdefault((key, text), f"{option}[{at}]")
            if first != f"{option}[{at}]":
                message = f"{text} is that of {first} already; each {key} may occur once"
                problems.append(Problem(f"{place}.{key}", message))
                break
