# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the template of the page is given, besides the data of its tables: that is in tables.py."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .codes import DRIFT, UNKNOWN
from .values import Document

PLACES = 8  # that are named of each code before the table has to be asked
BAR = 1.5  # per cent of a bar, which even a single one of many thousand gets
ADDRESS = re.compile(r"\b[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b")


class Segment(NamedTuple):
    """A part of a bar, in per cent of its length."""

    name: str
    number: int
    start: float
    length: float


def segments_of(numbers: Mapping[str, int], names: Iterable[str]) -> list[Segment]:
    """Return a bar of these numbers, in which nothing that is there is too thin to be seen."""
    present = [(name, numbers[name]) for name in names if numbers[name]]
    total = sum(number for _name, number in present)
    widths = [max(BAR, 100 * number / total) for _name, number in present]
    scale = 100 / sum(widths) if widths else 0
    segments, start = [], 0.0
    for (name, number), width in zip(present, widths):
        segments.append(Segment(name, number, round(start, 3), round(width * scale, 3)))
        start += width * scale
    return segments


def verdict(hosts: Mapping[str, int]) -> str:
    """Return the whole page in one sentence."""
    total, drift, unknown = (hosts[name] for name in ("total", "drift", "unknown"))
    if not total:
        return "No host was looked at"
    if not drift and not unknown:
        return "The host is as declared" if total == 1 else f"All {total:,} hosts are as declared"
    parts = []
    if drift:
        parts.append(f"{drift:,} of {counted(total, 'host')} {_are(drift)} not as declared")
    if unknown and drift:
        parts.append(f"{unknown:,} {_are(unknown)} unknown")
    elif unknown:
        parts.append(f"{unknown:,} of {counted(total, 'host')} {_are(unknown)} unknown")
    return ", ".join(parts)


def counted(number: int, noun: str) -> str:
    """Return ``1 host`` or ``1,200 hosts``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


class Group:
    """All that has one code: the first places, and the next step that most of them have."""

    def __init__(self, numbers: Document) -> None:
        self.code, self.severity = numbers["code"], numbers["severity"]
        self.title, self.hosts = numbers["title"], numbers["hosts"]
        self.devices = numbers["devices"]
        self.number = 0
        self.places: list[Document] = []
        self._hints: Counter[str] = Counter()

    def add(self, host: str, drift: Document) -> None:
        """Note one more place."""
        self.number += 1
        hint = ADDRESS.sub("ADDRESS", drift["hint"])
        if len(self.places) < PLACES:
            place = {"host": host, "message": drift["message"], "hint": drift["hint"]}
            self.places.append({**place, "usual": hint})
        if hint in self._hints or len(self._hints) < PLACES:
            self._hints[hint] += 1

    @property
    def more(self) -> int:
        """Return how many places are not named."""
        return self.number - len(self.places)

    @property
    def usual(self) -> str:
        """Return the next step that most places have, with ADDRESS where theirs is."""
        ((hint, number),) = self._hints.most_common(1)
        return hint if number * 2 > self.number else ""

    @property
    def hint(self) -> str:
        """Return the next step as it is shown for all of them."""
        return self.places[0]["hint"] if self.number == 1 else self.usual

    @property
    def extent(self) -> str:
        """Return how much it is about."""
        hosts = counted(self.hosts, "host")
        return f"{counted(self.devices, 'device')} on {hosts}" if self.devices else hosts


def groups(report: Document) -> list[Group]:
    """Return what is wrong, by code, the gravest first."""
    found = {(each["severity"], each["code"]): Group(each) for each in report["codes"]}
    for host in report["hosts"]:
        for owner in (host, *host["devices"]):
            for drift in owner["drift"]:
                found[drift["severity"], drift["code"]].add(host["name"], drift)
    return list(found.values())


def grave(group: Group) -> bool:
    """Tell whether somebody has to do something about it."""
    return group.severity in (DRIFT, UNKNOWN)
