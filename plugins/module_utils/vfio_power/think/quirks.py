# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known-bad devices: the rows that are shipped, how more are read, and what they forbid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Callable, Optional

from ..words.address import PciAddress
from ..words.declaration import Declaration, Known, Match, Rule
from ..words.errors import Problem
from ..words.facts import Facts
from ..words.mode import Mode
from ..words.quirk import Kind, Quirk
from ..words.report import Failure
from .parse_match import SELECTOR_KEYS, read_selector_of
from .parse_values import Problems, read_choice, read_keys, read_text, shown
from .resolve import is_stranger
from .select import selects

SHIPPED = (
    Quirk(
        Match(vendor=("10de",), class_=("03",)),
        Kind.NO_REENTRY,
        "NVIDIA display controllers need their guest driver to prepare each low-power entry",
        "the cover letter of the kernel's low-power features (2022-07-19, A. Sahu, NVIDIA)",
    ),
)

_KEYS = (*SELECTOR_KEYS, "quirk", "reason", "source")

_FORBIDS = {
    Kind.NO_HOLD: (Mode.ENTRY, Mode.ENTRY_WITH_WAKEUP),
    Kind.NO_REENTRY: (Mode.ENTRY,),
    Kind.NO_D3COLD: (),
}
_INSTEAD = {
    Kind.NO_HOLD: "declare mode none for it (expect: asleep verifies the kernel's own rule)",
    Kind.NO_REENTRY: "declare none with expect: asleep, or entry-with-wakeup (entered once)",
}


def quirks_of(facts: Facts, quirks: Iterable[Quirk]) -> tuple[Quirk, ...]:
    """Return what is known of a device."""
    return tuple(quirk for quirk in quirks if selects(quirk.selector, facts))


def forbidding(facts: Facts, mode: Mode, quirks: Iterable[Quirk]) -> Optional[Quirk]:
    """Return the quirk because of which a device must not be in a mode, or None."""
    return next((it for it in quirks_of(facts, quirks) if mode in _FORBIDS[it.kind]), None)


def has(facts: Facts, kind: Kind, quirks: Iterable[Quirk]) -> Optional[Quirk]:
    """Return the quirk of that kind which a device has, or None."""
    return next((it for it in quirks_of(facts, quirks) if it.kind is kind), None)


def conflicts(
    declaration: Declaration,
    known: Iterable[Known],
    devices: Mapping[PciAddress, Facts],
    quirks: Iterable[Quirk],
) -> list[Problem]:
    """Find the devices that are declared in a mode which they do not take."""
    quirks = tuple(quirks)
    problems = []
    for entry in known:
        rule, facts = declaration.rule(entry.rule), devices.get(entry.address)
        if rule is None or facts is None or is_stranger(entry, facts):
            continue
        quirk = forbidding(facts, rule.mode, quirks)
        if quirk is not None:
            problems.append(Problem(f"devices ({rule.name}).mode", _refusal(entry, rule, quirk)))
    return problems


def _refusal(entry: Known, rule: Rule, quirk: Quirk) -> str:
    return (
        f"{entry.address} must not be in {rule.mode.value} ({_because(quirk)};"
        f" {_INSTEAD[quirk.kind]}, or exclude it"
    )


def _because(quirk: Quirk) -> str:
    """Return the rest of a sentence that has opened a bracket for the kind of quirk."""
    return f"{quirk.kind.value}): {quirk.reason}, says {quirk.source}"


def in_the_way(
    facts: Facts,
    mode: Mode,
    quirks: Iterable[Quirk],
    *,
    spent: bool,
    d3cold_allowed: Callable[[], Optional[bool]],
) -> Optional[Failure]:
    """Say why a device is not held in its mode, or held and not entered, or None.

    ``spent``: it had the one entry that it takes. ``d3cold_allowed`` is asked only where it counts.
    """
    quirks, address = quirks_of(facts, quirks), facts.address
    forbids = forbidding(facts, mode, quirks)
    if forbids is not None:
        message = f"{address}: must not be in {mode.value} ({_because(forbids)}"
        return Failure("unsupported", message, _INSTEAD[forbids.kind].capitalize())
    once, warm = (has(facts, kind, quirks) for kind in (Kind.NO_REENTRY, Kind.NO_D3COLD))
    if mode is Mode.NONE:
        return None
    if warm is not None and d3cold_allowed() is not False:
        return Failure(
            "awake-by-quirk",
            f"{address}: is left awake while its d3cold_allowed does not read 0 ({_because(warm)}",
            "Declare d3cold: forbid for it, which has 0 written and kept",
        )
    if once is not None and spent:
        return Failure(
            "awake-by-quirk",
            f"{address}: had its one entry since it was opened, and stays awake ({_because(once)}",
            f"Once its guest driver has run: vfio-powerctl rearm {address}",
        )
    return None


def read_quirks(value: object, place: str, problems: Problems) -> tuple[Quirk, ...]:
    """Read a list of rows as a file or a playbook has them."""
    if not isinstance(value, (list, tuple)):
        problems.append(Problem(place, f"{shown(value)} is not a list of quirks"))
        return ()
    rows = [_read_row(row, f"{place}[{at}]", problems) for at, row in enumerate(value)]
    return tuple(row for row in rows if row is not None)


def _read_row(value: object, place: str, problems: Problems) -> Optional[Quirk]:
    given = read_keys(value, place, problems, _KEYS)
    if given is None:
        return None
    selector = read_selector_of(given, place, problems)
    kind = read_choice(given.get("quirk"), f"{place}.quirk", problems, Kind)
    reason = read_text(given.get("reason"), f"{place}.reason", problems)
    source = read_text(given.get("source"), f"{place}.source", problems)
    if isinstance(selector, Match) and selector.property:
        problems.append(Problem(f"{place}.match.property", "quirks go by what sysfs tells"))
    if selector is None or kind is None or reason is None or source is None:
        return None
    return Quirk(selector, kind, reason, source)
