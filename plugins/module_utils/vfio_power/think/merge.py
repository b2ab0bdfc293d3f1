# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's declaration becomes when a task asks for something."""

from __future__ import annotations

from ..words.address import PciAddress
from ..words.declaration import Declaration, Rule
from ..words.errors import InputError, Problem
from .parse import Absent, Request
from .select import describe


def merge(stored: Declaration, request: Request, *, purge: bool) -> Declaration:
    """Return the declaration that follows; an equal one when the task says nothing new.

    The generation stays: whoever stores the result raises it.
    """
    if purge and not any(isinstance(entry, Rule) for entry in request.entries):
        lacks = "declares nothing, with state: absent alone" if request.entries else "is empty"
        message = f"{lacks}; with purge that would remove every rule of the host"
        raise InputError([Problem("devices", message)])
    merged = _replaced(stored, request) if purge else _united(stored, request)
    problems = _clashes(merged)
    if problems:
        raise InputError(problems)
    return merged


def _replaced(stored: Declaration, request: Request) -> Declaration:
    rules = tuple(entry for entry in request.entries if isinstance(entry, Rule))
    return stored._replace(rules=rules, exclude=request.exclude)


def _united(stored: Declaration, request: Request) -> Declaration:
    """Merge by name: replaced in its place, new at the end, absent removed."""
    rules = {rule.name: rule for rule in stored.rules}
    for entry in request.entries:
        if isinstance(entry, Rule):
            rules[entry.name] = entry  # a dict keeps the place of a key it has
            continue
        for name in [rule.name for rule in rules.values() if _means(entry, rule)]:
            del rules[name]
    added = tuple(selector for selector in request.exclude if selector not in stored.exclude)
    return stored._replace(rules=tuple(rules.values()), exclude=stored.exclude + added)


def _means(absent: Absent, rule: Rule) -> bool:
    """Tell whether a rule is the one that has to go: by name, or as it is for the same devices."""
    return rule.name == absent.name or rule.selector == absent.selector


def _clashes(merged: Declaration) -> list[Problem]:
    """Find what only the host's own declaration brings together; the parser saw the task alone."""
    problems: list[Problem] = []
    owners: dict[str, str] = {}
    for rule in merged.rules:
        exact, selected = isinstance(rule.selector, PciAddress), describe(rule.selector)
        place = f"devices ({rule.name}).{'address' if exact else 'match'}"
        owner = owners.setdefault(selected, rule.name)
        if owner != rule.name:
            message = f"{selected} is declared on this host as {owner!r} already; {_CHOICE}"
            problems.append(Problem(place, message))
        if exact and rule.selector in merged.exclude:
            message = f"{rule.selector} is excluded on this host; {_WAY_OUT}"
            problems.append(Problem(place, message))
    return problems


_CHOICE = "use that name, or remove the other entry with state: absent"
_WAY_OUT = "remove the entry with state: absent, or replace the exclusions with purge: true"
