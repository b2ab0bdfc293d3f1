# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be made to go wrong with a call: an errno in place of its result, or a long wait.

Operations on a device: ``node`` (opening the group's or the device's node), ``status`` and
``attach`` of the group, ``iommu`` of the container, ``open``, ``probe``, ``entry``,
``entry-with-wakeup``, ``exit``, ``irqs`` (of requests), ``error-irqs`` and ``close``; writes of
``power/control`` and ``d3cold_allowed``. Without a
device: opening the nodes ``vfio`` and ``iommu`` (/dev/vfio/vfio, /dev/iommu).
"""

from __future__ import annotations

import threading
from typing import Optional

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress

_LONGEST = 60.0  # a forgotten gate must not keep a test run from ending


class Gate:
    """Where a call waits. ``reached`` is set once one does."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._opened = threading.Event()

    def open(self) -> None:
        """Let every call through, now and later."""
        self._opened.set()

    def pass_through(self) -> None:
        """Wait here."""
        self.reached.set()
        self._opened.wait(_LONGEST)


class Trouble:
    """The arranged troubles of a host."""

    def __init__(self) -> None:
        self._refusals: dict[tuple[Optional[PciAddress], str], list[Optional[int]]] = {}
        self._gates: dict[tuple[Optional[PciAddress], str], Gate] = {}

    def refuse(
        self, address: Optional[PciAddress], operation: str, number: int, times: Optional[int]
    ) -> None:
        """Arrange an errno for the next ``times`` calls, or for all; 0 ends it."""
        self._refusals[address, operation] = [number, times]

    def hold_up(self, address: Optional[PciAddress], operation: str) -> Gate:
        """Arrange a gate."""
        gate = self._gates[address, operation] = Gate()
        return gate

    def meet(self, address: Optional[PciAddress], operation: str) -> int:
        """Wait at the gate, if there is one, and return the errno to answer with, or 0."""
        gate = self._gates.get((address, operation))
        if gate is not None:
            gate.pass_through()
        number, times = self._refusals.get((address, operation), (0, None))
        if not number or times == 0:
            return 0
        if times is not None:
            self._refusals[address, operation] = [number, times - 1]
        return number
