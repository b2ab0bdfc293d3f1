# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service manager's descriptor store: it keeps copies, and hands copies over at each start."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.keepsakes import (
    Keepsake,
    parse_name,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.descriptor import OwnedFd

from .kernel import FakeKernel


class FakeFdStore:
    """Another touch.fdstore.FdStore, with the manager's side of it."""

    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel
        self._lock = threading.RLock()  # workers come side by side
        self._kept: list[tuple[str, int]] = []  # as the manager has them: newest last

    @property
    def count(self) -> int:
        """How many copies are kept."""
        return len(self._kept)

    def names(self) -> list[str]:
        """Return the names that are in use."""
        return sorted(name for name, _number in self._kept)

    def keep(self, descriptors: Mapping[str, OwnedFd]) -> None:
        """Keep copies."""
        with self._lock:
            self.forget(descriptors)
            for name, descriptor in descriptors.items():
                self._kept.append((name, self._kernel.copy(descriptor.fileno())))

    def forget(self, names: Iterable[str]) -> None:
        """Close copies."""
        names = set(names)
        with self._lock:
            going = [number for name, number in self._kept if name in names]
            self._kept = [(name, number) for name, number in self._kept if name not in names]
        for number in going:
            self._kernel.close(number)

    def lose(self, part: str) -> None:
        """Let one kind of descriptor be gone, as if a helper had died before it was kept."""
        self.forget([name for name in self.names() if f".{part}." in name])

    def hand_over(self) -> list[tuple[Keepsake, OwnedFd]]:
        """Return copies of all, in the order in which a manager gives them: the last one first."""
        copies = [(parse_name(name), self._kernel.copy(number)) for name, number in self._kept]
        return [(keepsake, OwnedFd(number)) for keepsake, number in reversed(copies)]

    def clear(self) -> None:
        """Close all, as when a unit is stopped."""
        self.forget(self.names())
