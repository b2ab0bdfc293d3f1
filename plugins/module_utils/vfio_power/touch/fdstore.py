# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service manager's descriptor store: what it keeps for us over a crash or a restart.

The protocol has no reply. What should be kept is counted here; what is kept, the manager tells
those who ask it (manager.py), and the helper itself asks nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Set
from itertools import starmap
from typing import Callable

from ..words.descriptor import OwnedFd
from .notify import PATIENCE, Message, barrier, notify_all


class FdStore:
    """Gives descriptors to the manager and takes them back. May block: for workers."""

    def __init__(self, path: str, failed: Callable[[OSError], None]) -> None:
        """``path`` is that of the manager's socket, empty where there is none.

        ``failed`` hears of messages that did not arrive. The device is held all the same, and
        moves only if we die.
        """
        self._path = path
        self._failed = failed
        self._names: set[str] = set()
        self._there: set[str] = set()  # what the manager may have: it did not hear of every end
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many descriptors the manager should have from us."""
        with self._lock:
            return len(self._names)

    def kept_before(self, names: Iterable[str]) -> None:
        """Count what the manager kept while we were away; it has them still."""
        self._count_in(set(names))

    def keep(self, descriptors: Mapping[str, OwnedFd]) -> None:
        """Have copies kept, each under its name, until they are forgotten."""
        # Another one of that name would be kept beside ours, not be replaced by it.
        before = self._count_in(descriptors.keys())
        keeping = starmap(_keeping, descriptors.items())
        self._tell([*map(_forgetting, before), *keeping], PATIENCE)

    def forget(self, names: Iterable[str]) -> None:
        """Have the copies closed. Managers of some versions do it a moment after this returned."""
        names = list(names)
        # Somebody waits for the device, and cannot have it before all copies are closed.
        heard = self._tell(map(_forgetting, names), 2 * PATIENCE)
        with self._lock:
            self._names.difference_update(names)
            if heard:
                self._there.difference_update(names)

    def _count_in(self, names: Set[str]) -> Set[str]:
        """Count names as kept; return which of them the manager may have already."""
        with self._lock:
            before = names & self._there
            self._names |= names
            self._there |= names
        return before

    def _tell(self, messages: Iterable[Message], patience: float) -> bool:
        """Say it, and tell whether the manager has heard all of it."""
        if not self._path:
            return True
        try:
            notify_all(self._path, messages, patience)
            barrier(self._path, patience)
        except OSError as error:
            self._failed(error)
            return False
        return True


def _forgetting(name: str) -> Message:
    return {"FDSTOREREMOVE": "1", "FDNAME": name}, []


def _keeping(name: str, descriptor: OwnedFd) -> Message:
    # Not watched by the manager: it must drop none of them on its own.
    return {"FDSTORE": "1", "FDNAME": name, "FDPOLL": "0"}, [descriptor]
