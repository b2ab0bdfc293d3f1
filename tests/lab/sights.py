# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drift code as it is seen on a lab host: in module, command and report, and then no more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Callable, NamedTuple

from plugins.module_utils.vfio_power.think.codes import CODES

from .managed import ManagedHost
from .progress import LabError

HOST = ""
"""In the place of a card, for what concerns the host as a whole."""

COMMAND = re.compile(r"\b(?:chown|driverctl|echo|systemctl|vfio-powerctl) [^,;)]+")
"""A command in the text of a hint."""

Drift = Mapping[str, Any]
Follow = Callable[[ManagedHost, str], object]
"""Does what a hint says; gets its text."""


class Sight(NamedTuple):
    """Where a code is told, a fact that its message has to name, and how its hint is followed."""

    code: str
    card: str
    fact: str
    follow: Follow

    def address(self, host: ManagedHost) -> str | None:
        """The address of its card, or None for the host."""
        return host.address(self.card) if self.card else None

    def named(self, host: ManagedHost) -> str:
        """The fact, with the addresses of the cards that it names."""
        return self.fact.format(**host.lab.devices)


Rules = list[dict[str, Any]]


class Scene(NamedTuple):
    """Conditions that do not disturb each other, each on a card of its own, and what tells them."""

    bring: Callable[[ManagedHost], AbstractContextManager[Rules]]
    """Brings them about for a block, which gets what a playbook would declare there."""
    then: Callable[[ManagedHost, Rules], list[Rules]]
    """What is declared one after the other where hints ask for that."""
    sights: tuple[Sight, ...]


def commands(host: ManagedHost, hint: str) -> None:
    """Run the very commands that a hint has, one after the other."""
    found = COMMAND.findall(hint)
    assert found, f"no command: {hint}"
    host.lab.ssh(" && ".join(found))


def declaring(words: str) -> Follow:
    """Expect a hint to ask for a declaration, which the test then makes."""

    def follow(_host: ManagedHost, hint: str) -> None:
        assert words in hint, hint

    return follow


def nothing(_host: ManagedHost, hint: str) -> None:
    """Wait, where that is all there is to do."""
    assert hint.startswith("Nothing to do"), hint


def everywhere(host: ManagedHost, *sights: Sight, **variables: Any) -> dict[Sight, Drift]:
    """See codes in module, command and report; return what the module tells."""
    told = told_by_module(host, *sights)
    told_by_command(host, told)
    told_by_report(host, told, **variables)
    return told


def told_by_module(host: ManagedHost, *sights: Sight) -> dict[Sight, Drift]:
    """See that low_power_info tells codes with severity, fact and hint; return what it tells."""
    drifts = host.info()["drift"]
    return {sight: _the_one(drifts, sight, host) for sight in sights}


def told_by_command(host: ManagedHost, told: Mapping[Sight, Drift]) -> None:
    """See the same from vfio-powerctl: from ``why``, and of the host from ``list`` as well."""
    for card in {sight.card for sight in told}:
        page = host.ctl(f"why --check {host.address(card or 'nic')}", check=False).stdout
        table = "" if card else host.ctl("list --check", check=False).stdout
        for sight, drift in told.items():
            if sight.card == card:
                for text in (f"({sight.code})", sight.named(host), drift["hint"]):
                    assert text in page, f"{text!r} is not in:\n{page}"
                for text in () if card else (f"{sight.code}: ", sight.named(host), drift["hint"]):
                    assert text in table, f"{text!r} is not in:\n{table}"


def told_by_report(host: ManagedHost, told: Mapping[Sight, Drift], **variables: Any) -> None:
    """See the same in the report of the fleet, whose texts may be cut at their ends."""
    played = host.play("vfio.power.report", **variables)
    assert played.status == 0, played.output
    file = host.lab.folder / "vfio-power-report/report.json"
    (row,) = json.loads(file.read_text(encoding="utf-8"))["hosts"]
    drifts = [{**it, "address": None} for it in row["drift"]]
    for device in row["devices"]:
        drifts += [{**it, "address": device["address"]} for it in device["drift"]]
    for sight, drift in told.items():
        reported = _the_one(drifts, sight, host)
        assert drift["hint"].startswith(reported["hint"].rstrip("…")), (drift, reported)
        for command in COMMAND.findall(drift["hint"]) if drift["severity"] == "drift" else ():
            assert command in reported["hint"], (drift, reported)


def _the_one(drifts: Iterable[Drift], sight: Sight, host: ManagedHost) -> Drift:
    address = sight.address(host)
    here = [it for it in drifts if it["address"] == address]
    found = [it for it in here if it["code"] == sight.code]
    assert len(found) == 1, f"{sight.code} of {sight.card or 'the host'}: {here}"
    assert found[0]["severity"] == CODES[sight.code], found[0]
    assert sight.named(host) in found[0]["message"], found[0]
    assert found[0]["hint"], found[0]
    return found[0]


def gone(host: ManagedHost, sights: Iterable[Sight], seconds: float) -> None:
    """Wait until none of the codes is told any more."""
    wanted = {(sight.address(host), sight.code) for sight in sights}
    left: list[Drift] = []

    def all_gone() -> bool:
        left[:] = [it for it in _told_now(host) if (it["address"], it["code"]) in wanted]
        return not left

    try:
        host.lab.wait_for(all_gone, seconds, "drift to be gone")
    except LabError as error:
        raise AssertionError(f"still told after its hint was followed: {left}") from error
    told = host.info()["drift"]
    assert not [it for it in told if (it["address"], it["code"]) in wanted], told


def _told_now(host: ManagedHost) -> list[Drift]:
    """All drift by the host's own command, which takes a fraction of what a task does."""
    told = json.loads(host.ctl("list --json", check=False).stdout)
    drifts = [{**it, "address": None} for it in told["drift"]]
    for device in told["devices"]:
        drifts += [{**it, "address": device["address"]} for it in device["drift"]]
    return drifts
