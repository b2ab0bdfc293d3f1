# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift of cards that came, went or are with somebody else, and of files that others wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .conditions import attribute, file, on_driver, plug, plugged, removed, unplug
from .declared import main_rules, rule
from .managed import ManagedHost
from .sights import HOST, Rules, Scene, Sight, commands, declaring

UDEV = "/etc/udev/rules.d/80-theirs.rules"
QUIRKS = "/etc/vfio-power/quirks.d/90-test.json"

INTEL = {"name": "intel", "match": {"vendor": ["8086"], "class": ["0200"]}, "mode": "entry"}
COUNTED = "'intel': devices found 0, expected 1; it fits {dual1} (e1000e) as well"
STRANGER = "vmxnet3"
"""The model of a card that nobody declared."""


@contextmanager
def on_the_bus(main: ManagedHost) -> Iterator[Rules]:
    """Cards that went, came, or are with somebody else, and files that others wrote."""
    theirs = f'SUBSYSTEM=="pci", KERNEL=="{main.address("disk")}", ATTR{{power/control}}="on"\n'
    with (
        plugged(main, "e1000e"),
        on_driver(main, "dual1", "e1000e"),
        on_driver(main, "warm", "e1000e"),
    ):
        rules = [
            *main_rules(main),
            rule(main, "rng", mode="none", expect="asleep"),
            rule(main, "warm", mode="entry"),
            rule(main, "dual0", mode="entry"),
            rule(main, "bay", mode="entry"),
            {**INTEL, "count": 1},
        ]
        rules = list({it["name"]: it for it in rules}.values())
        main.put_back(rules)
        main.ctl(f"release {main.address('nic')} --holder demo/web")
        unplug(main.lab)
        plug(main, STRANGER)
        with (
            file(main, UDEV, theirs),
            file(main, QUIRKS, "{"),
            attribute(main, "disk", "power/control", "on"),
            removed(main, "spare"),
        ):
            yield rules


def _as_the_bus_is(main: ManagedHost, rules: Rules) -> list[Rules]:
    kept = [it for it in rules if it["name"] not in ("spare", "bay", "rng")]
    kept.append(rule(main, "rng", mode="entry"))
    return [kept, [*kept, rule(main, "bay", mode="entry")]]


def _bind(main: ManagedHost, hint: str) -> None:
    commands(main, hint)
    main.lab.ssh(f"rm /etc/driverctl.d/*{main.address('warm')}")  # for this boot only


def _mend(main: ManagedHost, hint: str) -> None:
    assert hint.startswith("Mend or remove it"), hint
    main.lab.ssh(f"echo '[]' > {QUIRKS}")


def _take_it_out(main: ManagedHost, hint: str) -> None:
    assert hint.startswith("Take it out there"), hint
    main.lab.ssh(f"rm {UDEV}")


def _bind_the_neighbour(main: ManagedHost, hint: str) -> None:
    assert hint.startswith("Bind them to vfio-pci too"), hint
    main.bind("dual1")
    commands(main, hint)


ON_THE_BUS = Scene(
    on_the_bus,
    _as_the_bus_is,
    (
        Sight("leased", "nic", "is lent to demo/web", commands),
        Sight("runtime-pm-forbidden", "disk", "power/control reads on", commands),
        Sight("rival-policy", "disk", f"{UDEV}:1 (udev) writes on", _take_it_out),
        Sight("not-as-expected", "rng", "awake in D0, and asleep is exp", declaring("mode entry")),
        Sight("device-missing", "spare", "not on the PCI bus", declaring("state: absent")),
        Sight("identity-changed", "bay", "where 8086:10d3", declaring("declare it again")),
        Sight("not-bound", "warm", "on the driver e1000e", _bind),
        Sight("count-mismatch", HOST, COUNTED, declaring("Bind them to vfio-pci")),
        Sight("group-not-viable", "dual0", "{dual1} (e1000e)", _bind_the_neighbour),
        Sight("state-damaged", HOST, QUIRKS, _mend),
    ),
)
