# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What udev rules write to a device, judged by the rules alone.

A line counts unless one of its conditions surely fails, for any of the events in a device's life.
What a condition asks for may not be known, such as the result of a program: then the line counts,
and a jump does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Callable, NamedTuple, Optional

from ..words.facts import Facts
from ..words.rival import D3COLD_ALLOWED, POWER_CONTROL

ACTIONS = ("add", "bind", "change")
_KNOBS = (POWER_CONTROL, D3COLD_ALLOWED)
_TOKEN = re.compile(
    r"(?P<key>[A-Z_]+)(?:\{(?P<attribute>[^}]*)\})?\s*(?P<operator>==|!=|\+=|-=|:=|=)"
    r'\s*[ei]?"(?P<value>(?:[^"\\]|\\.)*)"'
)
_ECHO = re.compile(r"echo\s+(?:-n\s+)?[\"']?(\w+)")


class Token(NamedTuple):
    """One condition or assignment: ``ATTR{power/control}="on"``."""

    key: str
    attribute: str
    operator: str
    value: str


class Line(NamedTuple):
    """One rule, and where it begins."""

    number: int
    tokens: tuple[Token, ...]

    def of(self, key: str) -> Optional[str]:
        """Return what is assigned to a key, or None."""
        return next((it.value for it in self.tokens if it.key == key and it.operator == "="), None)


class Card(NamedTuple):
    """A device as rules see it: with udev's properties, and the ports above it."""

    facts: Facts
    properties: Mapping[str, str]
    above: tuple[Facts, ...] = ()  # the nearest first; needed where asks_above() says so


Write = tuple[int, str, str]  # line, attribute, value


def asks_above(text: str) -> bool:
    """Tell whether a file of rules has conditions on what is above a device."""
    return any(f"{key}S" in text for key in _OF_ONE)


def writes(text: str, card: Card) -> list[Write]:
    """Return what a file of rules writes to a device's power policy."""
    lines = list(_lines(text))
    found = {it for action in ACTIONS for it in _written(lines, card, action)}
    return sorted(found)


def _lines(text: str) -> Iterator[Line]:
    begun, whole = 0, ""
    for number, part in enumerate(text.splitlines(), 1):
        if not whole and part.lstrip().startswith("#"):
            continue
        begun = begun if whole else number
        whole += part.rstrip()
        if whole.endswith("\\"):
            whole = whole[:-1] + " "
            continue
        tokens = tuple(
            Token(it["key"], it["attribute"] or "", it["operator"], it["value"])
            for it in _TOKEN.finditer(whole)
        )
        if tokens:
            yield Line(begun, tokens)
        whole = ""


def _written(lines: list[Line], card: Card, action: str) -> Iterator[Write]:
    ahead: Optional[str] = None
    for line in lines:
        if ahead is not None and line.of("LABEL") != ahead:
            continue
        ahead = None
        verdicts = [_fits(token, card, action) for token in line.tokens]
        if False in verdicts:
            continue
        yield from _assigned(line)
        if None not in verdicts:
            ahead = line.of("GOTO")


def _assigned(line: Line) -> Iterator[Write]:
    for token in line.tokens:
        if token.key == "ATTR" and token.operator in ("=", ":=") and token.attribute in _KNOBS:
            yield line.number, token.attribute, token.value
        if token.key == "RUN" and token.operator in ("=", ":=", "+="):
            said = _ECHO.search(token.value)
            for knob in _KNOBS:
                if knob in token.value:
                    yield line.number, knob, said[1] if said else ""


def _fits(token: Token, card: Card, action: str) -> Optional[bool]:
    """Tell whether a condition holds; None where that is not known. Assignments always do."""
    if token.operator not in ("==", "!="):
        return True
    seen = _seen(token, card, action)
    if seen is None:
        return None
    patterns = token.value.split("|")
    met = (any(fnmatchcase(value, pattern) for pattern in patterns) for value in seen)
    return (token.operator == "==") in met


def _seen(token: Token, card: Card, action: str) -> Optional[tuple[str, ...]]:
    """Return the values that a condition is compared with; one of them has to fit."""
    if token.key == "ACTION":
        return (action,)
    if token.key == "ENV":
        if token.attribute in _KERNELS_OWN:
            return None
        return (card.properties.get(token.attribute, ""),)
    one = _OF_ONE.get(token.key.removesuffix("S"))
    if one is None:
        return None
    # SUBSYSTEMS, KERNELS and so on ask the device and all above it.
    line = (card.facts, *card.above) if token.key.endswith("S") else (card.facts,)
    values = [one(facts, token.attribute) for facts in line]
    if token.key == "KERNELS":
        top = line[-1].address
        values.append(f"pci{top.domain:04x}:{top.bus:02x}")
    known = tuple(value for value in values if value is not None)
    return known or None


def _attribute(facts: Facts, name: str) -> Optional[str]:
    value = facts.identity._asdict().get("class_code" if name == "class" else name)
    return None if value is None else f"0x{value}"


_OF_ONE: Mapping[str, Callable[[Facts, str], Optional[str]]] = {
    "ATTR": _attribute,
    "SUBSYSTEM": lambda _facts, _name: "pci",
    "KERNEL": lambda facts, _name: str(facts.address),
    "DRIVER": lambda facts, _name: facts.driver or "",
}
_KERNELS_OWN = ("DEVPATH", "MODALIAS", "DRIVER", "PCI_CLASS", "PCI_ID", "PCI_SUBSYS_ID", "SEQNUM")
"""Properties that come with each event and are in no database."""
