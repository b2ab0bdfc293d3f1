# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who waits until a set of devices has settled, and what was done meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Callable, Optional

from ..words.address import PciAddress
from .surroundings import Surroundings, Timer


class Ask:
    """One request under way. ``progress`` is called for each device, ``finish`` once."""

    def __init__(
        self,
        addresses: Iterable[PciAddress],
        progress: Callable[[PciAddress, tuple[str, ...]], None],
        finish: Callable[[Ask], None],
    ) -> None:
        self.pending = set(addresses)
        self.actions: dict[PciAddress, list[str]] = {address: [] for address in self.pending}
        self.begun = False
        self.timer: Optional[Timer] = None
        self._progress = progress
        self._finish = finish

    def note(self, address: PciAddress, action: str) -> None:
        """Write down an action that this request caused."""
        if address in self.pending:
            self.actions[address].append(action)

    def settled(self, address: PciAddress) -> bool:
        """Count a device as done; return whether it was the last one."""
        if address in self.pending:
            self.pending.discard(address)
            self._progress(address, tuple(self.actions[address]))
        return not self.pending

    def finish(self) -> None:
        """Tell the one who asked; what is still pending is in ``pending``."""
        if self.timer is not None:
            self.timer.cancel()
        self._finish(self)


class Asks:
    """All requests that wait for devices."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._open: list[Ask] = []

    @contextmanager
    def beginning(self, ask: Ask, timeout: float) -> Iterator[None]:
        """Let a request wait, at most so many seconds, for what is begun in a block.

        What settles inside the block is not yet the answer.
        """
        self._open.append(ask)
        try:
            yield
        except Exception:
            self._open.remove(ask)
            raise
        ask.begun = True
        ask.timer = self._around.call_later(timeout, lambda: self._close(ask))

    def about(self, address: PciAddress) -> list[Ask]:
        """Return the requests that wait for a device."""
        return [ask for ask in self._open if address in ask.pending]

    def settled(self, address: PciAddress) -> None:
        """Tell every request that nothing is left to do for a device."""
        for ask in list(self._open):
            self.settle(ask, address)

    def settle(self, ask: Ask, address: PciAddress) -> None:
        """Tell one request so."""
        if ask.begun and ask.settled(address):
            self._close(ask)

    def close_empty(self, ask: Ask) -> None:
        """Finish a request that had nothing to wait for."""
        if not ask.pending:
            self._close(ask)

    def _close(self, ask: Ask) -> None:
        if ask in self._open:
            self._open.remove(ask)
            ask.finish()
