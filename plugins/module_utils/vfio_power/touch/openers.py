# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes have VFIO nodes open, found in /proc without opening any of them.

Only root sees the descriptors of others. Of a process pid, command name and the name of its guest
are told (guests.py), and nothing more.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping
from typing import Optional

from ..words.facts import Facts
from .guests import guest_of
from .procfs import printable, text_of
from .view import Opener

NODES = "/dev/vfio/"
_DETACHED = "/vfio/"
"""How the nodes begin that were opened below a /dev of whose mount namespace nobody is left.

So the kernel shows what a helper in a sandbox has from the one before it.
"""


MANAGER = 1
"""The service manager's pid: what it has open, it keeps for the helper."""


def openers(
    proc: str = "/proc", without: Container[Optional[int]] = (), run: str = "/run"
) -> dict[str, tuple[Opener, ...]]:
    """Return the openers of each VFIO node by its path, leaving out some processes."""
    found: dict[str, tuple[Opener, ...]] = {}
    for pid in _numbers(proc):
        nodes = set() if pid in without else set(_nodes(f"{proc}/{pid}/fd"))
        opener = _opener(pid, proc, run) if nodes else None
        for node in nodes:
            found[node] = (*found.get(node, ()), *filter(None, (opener,)))
    return found


def openers_of(facts: Facts, found: Mapping[str, tuple[Opener, ...]]) -> tuple[Opener, ...]:
    """Return who has the device open: by its own node, or by that of its group."""
    nodes = []
    if facts.iommu_group is not None:
        nodes.append(f"{NODES}{facts.iommu_group}")
    if facts.cdev is not None:
        nodes.append(f"{NODES}devices/{facts.cdev}")
    return tuple(sorted({opener for node in nodes for opener in found.get(node, ())}))


def _opener(pid: int, proc: str, run: str) -> Opener:
    command = _command(f"{proc}/{pid}/comm")
    return Opener(pid, command, guest_of(pid, command, proc, run))


def _numbers(folder: str) -> list[int]:
    return sorted(int(name) for name in os.listdir(folder) if name.isdecimal())


def _nodes(folder: str) -> Iterator[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return  # it ended, or is not ours to see
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:
            continue
        if target.startswith(NODES):
            yield target
        elif target.startswith(_DETACHED):
            yield NODES + target[len(_DETACHED) :]


def _command(path: str) -> str:
    return printable(text_of(path).strip()) or "unknown"
