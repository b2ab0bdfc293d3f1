# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A card that is pulled out is let go when the kernel asks, and held again when it is back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .conditions import plug, unplug
from .declared import REBIND, main_rules, rule
from .managed import ManagedHost

LAB = {"shape": "standard"}

LET_GO_WITHIN = 1.0
"""Seconds from the kernel's request until nobody has the device open."""

TRIES = 3
"""Other labs beside it may take the processor away for longer than that."""

PATIENCE = 30
_SCRIPT = Path(__file__).parent / "scripts" / "let_go.py"


@contextmanager
def asked_for(main: ManagedHost, card: str) -> Iterator[list[float]]:
    """Have the kernel ask for a device in the block; then know the seconds until it was let go."""
    node = main.group_nodes(card)[card]
    words = f"python3 -I -u - {main.address(card)} {node} {PATIENCE}"
    with (
        _SCRIPT.open(encoding="utf-8") as script,
        subprocess.Popen(
            [*main.lab.ssh_command(), words], stdin=script, stdout=subprocess.PIPE, text=True
        ) as watching,
    ):
        assert watching.stdout is not None
        assert watching.stdout.readline() == "ready\n"
        took: list[float] = []
        yield took
        took.append(float(watching.communicate(timeout=PATIENCE + 10)[0]))


def test_an_unplugged_card_is_let_go_at_once_and_held_again_when_it_is_back(main):
    address = plug(main)
    main.put_back([*main_rules(main), rule(main, "bay", mode="entry")])
    took: list[float] = []
    while not took or took[-1] >= LET_GO_WITHIN:
        assert len(took) < TRIES, f"let go after {took} s"
        main.reaches("bay", "D3hot", seconds=REBIND + 30)
        assert main.held("bay")
        with asked_for(main, "bay") as seconds:
            unplug(main.lab)
        took += seconds
        assert plug(main) == address
        assert main.openable("bay"), "a guest gets its chance first"
    main.reaches("bay", "D3hot", seconds=REBIND + 30)
    assert main.held("bay")
    unplug(main.lab)
