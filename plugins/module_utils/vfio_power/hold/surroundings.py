# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holding needs of the world around it; wait/ provides it, tests bring their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Callable, Optional, Protocol, TypeVar

from ..words.address import PciAddress
from ..words.descriptor import OwnedFd

T = TypeVar("T")

Listener = Callable[[PciAddress, str, str], None]
"""Hears what happened to a device: which one, the event, and the detail of it."""


class Timer(Protocol):
    """Something that is going to be called."""

    def cancel(self) -> None:
        """Forget it; cancelling again does nothing."""


class Surroundings(Protocol):
    """A loop that calls back in one thread, workers beside it, two clocks and dice."""

    def clock(self) -> float:
        """Return seconds since the epoch, for people."""

    def uptime(self) -> float:
        """Return seconds since the boot, to measure with: nobody sets this clock.

        It goes on while the host sleeps.
        """

    def chance(self) -> float:
        """Return a number from 0 to 1, another one each time."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, in the loop's thread, when the host was awake for that long.

        For all that waits for somebody who stands still with the host.
        """

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back once, in the loop's thread, when ``uptime`` has come to a time.

        For what ends also while the host sleeps. It is late then, until the loop looks round.
        """

    def submit(
        self,
        key: str,
        work: Callable[[], T],
        done: Callable[[Optional[T], Optional[Exception]], None],
        begun: Optional[Callable[[], None]] = None,
    ) -> None:
        """Run ``work`` in a worker, one at a time per key; ``done`` runs in the loop's thread.

        So does ``begun``, once a worker has taken it.
        """

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back while the descriptor is readable."""

    def unwatch(self, fd: int) -> None:
        """Stop watching; to be done before the descriptor is closed."""


class DescriptorStore(Protocol):
    """Keeps copies of descriptors over our death; touch/fdstore.py."""

    @property
    def count(self) -> int:
        """How many copies are to be kept."""

    def keep(self, descriptors: Mapping[str, OwnedFd]) -> None:
        """Keep copies under these names. May block."""

    def forget(self, names: Iterable[str]) -> None:
        """Close the copies. May block."""
