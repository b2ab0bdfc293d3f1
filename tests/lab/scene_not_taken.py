# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift of devices that are not trusted, not given by the kernel, or known not to take it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from .conditions import file, report_error
from .declared import WAKEUP, main_rules, rule
from .dying import restart
from .managed import ManagedHost
from .sights import HOST, Rules, Scene, Sight, commands, declaring

QUIRKS = "/etc/vfio-power/quirks.d/90-test.json"
DROP_IN = "/run/systemd/system/vfio-powerd.service.d"


@contextmanager
def not_taken(main: ManagedHost) -> Iterator[Rules]:
    """Devices that are not trusted, not given by the kernel, or known not to take it."""
    quirks = [
        {"address": main.address(card), "quirk": kind, "reason": "it dies", "source": "the lab"}
        for card, kind in (("disk", "no-reentry"), ("rng", "no-hold"))
    ]
    taken = [
        rule(main, "nic", **WAKEUP),
        rule(main, "disk", **WAKEUP),
        rule(main, "rng", mode="entry"),
        rule(main, "warm", mode="entry"),
    ]
    refused = [rule(main, card, mode="entry") for card in ("spare", "dual0")]
    config = f"/sys/bus/pci/devices/{main.address('disk')}/config"
    try:
        with file(main, QUIRKS, json.dumps(quirks)), nodes_denied(main, "spare", "dual0"):
            main.put_back(taken)
            main.reaches("disk", "D3cold")
            restart(main)
            main.put_back([*taken, *refused])
            main.lab.ssh(f"head -c 64 {config} > /dev/null")
            main.reaches("disk", "D0")
            report_error(main, "nic")
            with few_descriptors(main, "warm"):
                yield [*taken, *refused]
    finally:
        restart(main)


@contextmanager
def nodes_denied(main: ManagedHost, lost: str, given_away: str) -> Iterator[None]:
    """Have the node of a card's group lost, and that of another one given to somebody."""
    main.put_back([it for it in main_rules(main) if it["name"] != lost])
    nodes = main.group_nodes(lost, given_away)
    main.lab.ssh(f"rm {nodes[lost]}; chown nobody {nodes[given_away]}")
    try:
        yield
    finally:
        main.unbind(lost)
        main.probe(lost)
        main.lab.ssh(f"chown root:root {nodes[given_away]}")


@contextmanager
def few_descriptors(main: ManagedHost, card: str) -> Iterator[None]:
    """Have the service manager keep few descriptors, and a card taken anew under that."""
    few = "printf '[Service]\\nFileDescriptorStoreMax=7\\n'"
    # A manager that has more already drops some of them, of any device.
    main.ctl(f"release {main.address(card)} --holder test")
    main.lab.ssh(f"mkdir {DROP_IN} && {few} > {DROP_IN}/few.conf && systemctl daemon-reload")
    main.ctl(f"reclaim {main.address(card)}")
    try:
        yield
    finally:
        main.lab.ssh(f"rm -rf {DROP_IN} && systemctl daemon-reload")


def _keep_anew(main: ManagedHost, hint: str) -> None:
    assert "is let go and taken is kept anew" in hint, hint
    main.lab.ssh(f"rm -r {DROP_IN} && systemctl daemon-reload")
    address = main.address("warm")
    main.ctl(f"release {address} --holder test && vfio-powerctl reclaim {address}")


def _bind_anew(main: ManagedHost, hint: str) -> None:
    assert "bind the device to a VFIO driver" in hint, hint
    main.unbind("spare")
    main.probe("spare")
    commands(main, hint)


def _not_held(main: ManagedHost, rules: Rules) -> list[Rules]:
    return [[*(it for it in rules if it["name"] != "rng"), rule(main, "rng", mode="none")]]


NOT_TAKEN = Scene(
    not_taken,
    _not_held,
    (
        Sight("not-kept", HOST, "the service manager keeps 7", _keep_anew),
        Sight("quarantined", "nic", "uncorrectable error", commands),
        Sight("awake-by-quirk", "disk", "it dies, says the lab", commands),
        Sight("unsupported", "rng", "it dies, says the lab", declaring("mode none")),
        Sight("kernel-refused", "spare", "ENOENT", _bind_anew),
        Sight("node-denied", "dual0", "belongs to user 65534", commands),
    ),
)
