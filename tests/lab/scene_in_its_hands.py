# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift of devices that are in use, awake, or held otherwise than is declared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .conditions import attribute, end_of_read, on_driver, read_without_end
from .declared import WAKEUP, rule
from .guests import destroy, libvirt_guest
from .managed import ManagedHost
from .sights import Rules, Scene, Sight, commands, declaring, nothing

BOTH = ("dual0", "dual1")
GUEST = "web"

LONG = 80
"""Seconds of a delay in which all can look at a device that waits."""


@contextmanager
def in_its_hands(main: ManagedHost) -> Iterator[Rules]:
    """Devices that are in use, awake, or held otherwise than is declared."""
    with (
        on_driver(main, "edu", "vfio-pci", back="none"),
        libvirt_guest(main, "warm", GUEST),
    ):
        rules = [
            rule(main, "nic", **{**WAKEUP, "reentry": {"delay": LONG}}),
            rule(main, "rng", mode="entry", runtime_pm="allow"),
            *(rule(main, card, mode="entry") for card in ("disk", "spare", "warm", "edu", *BOTH)),
        ]
        main.declare(*rules, fail_on_drift=False)
        main.reaches("nic", "D3cold")
        stored = [it for it in rules if it["name"] not in BOTH]
        stored.append(rule(main, "dual0", **WAKEUP))
        with (
            attribute(main, "rng", "power/control", "on"),
            attribute(main, "disk", "d3cold_allowed", "0"),
            read_without_end(main, "spare"),
        ):
            answer = main.declare(*stored, apply=False)
            assert not answer["failed"], answer
            main.reaches("disk", "D3hot")
            main.lab.ssh(f"lspci -s {main.address('nic')}")
            yield stored


def _with_both(main: ManagedHost, rules: Rules) -> list[Rules]:
    kept = [it for it in rules if it["name"] != "edu"]
    return [rules, [*kept, rule(main, "dual1", mode="none", reserve=True)]]


def _stop_the_reader(main: ManagedHost, hint: str) -> None:
    commands(main, hint)  # which tells that the kernel counts a user
    end_of_read(main)


def _when_it_is_free(main: ManagedHost, hint: str) -> None:
    destroy(main, GUEST)
    commands(main, hint)


IN_ITS_HANDS = Scene(
    in_its_hands,
    _with_both,
    (
        Sight("waiting", "nic", "was woken; low power is entered again in", nothing),
        Sight("d3cold-blocked", "disk", "d3cold_allowed of {disk} reads 0", commands),
        Sight("host-policy", "rng", "power/control reads on, and", declaring("Converge again")),
        Sight("undeclared-hold", "dual1", "held by the helper", declaring("Converge this host")),
        Sight("busy", "warm", f"guest {GUEST}", _when_it_is_free),
        Sight("mode-mismatch", "dual0", "held with mode entry", declaring("Converge again")),
        Sight("set-incomplete", "dual0", "without {dual1}", declaring("Declare them too")),
        Sight("no-power-management", "edu", "stays in D0", declaring("remove the rule")),
        Sight("not-suspended", "spare", "in mode entry (the kernel counts", _stop_the_reader),
    ),
)
