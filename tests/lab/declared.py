# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests declare on the standard lab host, one device of each mode."""

from __future__ import annotations

from typing import Any

from .managed import ManagedHost

DELAY = 3
"""Seconds until a woken device is entered again."""

GRACE, REBIND, QUIET = 25, 4, 2
"""Seconds: short enough for tests, long enough to look at the time before."""

WAKEUP = {"mode": "entry-with-wakeup", "reentry": {"delay": DELAY}}

HELPER = {
    "vfio_power_helper_boot_grace": GRACE,
    "vfio_power_helper_rebind_delay": REBIND,
    "vfio_power_helper_quiet_time": QUIET,
}


def rule(host: ManagedHost, card: str, **wanted: Any) -> dict[str, Any]:
    """Return a rule for a card of the lab, by its address and named after it."""
    return {"name": card, "address": host.address(card), **wanted}


def main_rules(host: ManagedHost) -> list[dict[str, Any]]:
    """Return one rule of each mode; ``warm`` and the dual card are not declared."""
    wanted: dict[str, dict[str, Any]] = {
        "nic": WAKEUP,
        "disk": {"mode": "entry"},
        "rng": {"mode": "entry"},
        "spare": {"mode": "none", "reserve": True},
    }
    cards = host.lab.devices
    return [rule(host, card, **how) for card, how in wanted.items() if card in cards]
