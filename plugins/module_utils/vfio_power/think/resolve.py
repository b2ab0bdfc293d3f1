# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices of a host the rules mean, and which were meant before and still are.

A device that was meant once is remembered with its identity. It is forgotten when
its rule is gone, when it is excluded, or when it stands there and another rule, or
none, fits it; never because it cannot be seen, or stands there as another card.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Optional

from ..words.address import PciAddress
from ..words.declaration import Declaration, Known, Match, PassedOver, Resolution, Rule
from ..words.errors import Problem
from ..words.facts import Facts
from .select import describe, fits, fits_identity, selects


def resolve(
    declaration: Declaration, devices: Mapping[PciAddress, Facts], known: Sequence[Known]
) -> Resolution:
    """Apply the rules to the devices of a host."""
    rules = _Rules(declaration)
    remembered = {entry.address: entry for entry in known}
    entries: list[Known] = []
    passed_over: list[PassedOver] = []
    for address in sorted({*devices, *remembered, *rules.exact}):
        facts, before = devices.get(address), remembered.get(address)
        entry = rules.entry(address, facts, before)
        if entry is not None:
            entries.append(entry)
        elif facts is not None:
            passed_over += rules.passed_over(facts)
    matched = _count(declaration.rules, entries, devices)
    return Resolution(tuple(entries), matched, tuple(passed_over))


def clashes(declaration: Declaration, devices: Mapping[PciAddress, Facts]) -> list[Problem]:
    """Find exact addresses that an excluding match means too; only a look at the host tells."""
    problems = []
    for address, rule in _Rules(declaration).exact.items():
        facts = devices.get(address)
        excluding = [entry for entry in declaration.exclude if facts and selects(entry, facts)]
        if excluding:
            message = f"{address} is excluded by {describe(excluding[0])!r}; take one of them out"
            problems.append(Problem(f"devices ({rule.name}).address", message))
    return problems


def is_stranger(entry: Known, facts: Facts) -> bool:
    """Tell whether another card than the remembered one is at the address."""
    return entry.identity is not None and entry.identity != facts.identity


class _Rules:
    """A declaration, asked about one device at a time."""

    def __init__(self, declaration: Declaration) -> None:
        rules = declaration.rules
        self.exact = {
            rule.selector: rule for rule in rules if isinstance(rule.selector, PciAddress)
        }
        self._declaration = declaration

    def entry(
        self, address: PciAddress, facts: Optional[Facts], before: Optional[Known]
    ) -> Optional[Known]:
        """Return what is to be remembered of an address, or None."""
        if before is not None and (facts is None or is_stranger(before, facts)):
            return self._unseen(before)
        if facts is None:
            return self._exactly(address, None)
        if self._excluded(facts):
            return None
        return self._exactly(address, facts) or self._matched(facts, before)

    def passed_over(self, facts: Facts) -> Iterator[PassedOver]:
        """Yield the first rule that would have the device if a VFIO driver had it."""
        if facts.vfio or facts.driver is None or facts.bridge or self._excluded(facts):
            return
        for rule, match in self._matches():
            if fits(match, facts):
                yield PassedOver(facts.address, facts.driver, rule.name)
                return

    def _exactly(self, address: PciAddress, facts: Optional[Facts]) -> Optional[Known]:
        rule = self.exact.get(address)
        return rule and Known(address, facts.identity if facts else None, rule.name)

    def _matched(self, facts: Facts, before: Optional[Known]) -> Optional[Known]:
        """Find the first rule that fits; a device that lost its VFIO driver keeps its rule."""
        if facts.bridge:
            return None
        for rule, match in self._matches():
            if before is not None and not facts.vfio and rule.name == before.rule:
                match = match._replace(driver=None)
            elif before is None and not facts.vfio and match.driver is None:
                continue
            if fits(match, facts):
                return Known(facts.address, facts.identity, rule.name)
        return None

    def _unseen(self, before: Known) -> Optional[Known]:
        """Judge a remembered card that is not there by its address and identity alone."""
        card = Facts(before.address, before.identity) if before.identity else None
        if card and self._excluded(card):
            return None
        rule = self.exact.get(before.address)
        if rule is not None:
            return before._replace(rule=rule.name)
        rule = self._declaration.rule(before.rule)
        if rule is None or card is None or isinstance(rule.selector, PciAddress):
            return None
        return before if fits_identity(rule.selector, card.identity) else None

    def _excluded(self, facts: Facts) -> bool:
        return any(selects(selector, facts) for selector in self._declaration.exclude)

    def _matches(self) -> Iterator[tuple[Rule, Match]]:
        for rule in self._declaration.rules:
            if not isinstance(rule.selector, PciAddress):
                yield rule, rule.selector


def _count(
    rules: Sequence[Rule], entries: Sequence[Known], devices: Mapping[PciAddress, Facts]
) -> dict[str, int]:
    """Count the cards that each rule has and that are there."""
    matched = {rule.name: 0 for rule in rules}
    for entry in entries:
        facts = devices.get(entry.address)
        if facts is not None and not is_stranger(entry, facts):
            matched[entry.rule] += 1
    return matched
