# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's messages about PCI devices, as touch/udev.py's Uevents reads them."""

from __future__ import annotations

import os

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.eventfd import (
    drain,
    eventfd,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.udev import (
    Uevent,
    UeventsLost,
)


class FakeUevents:
    """Readable while something was told and not read."""

    def __init__(self) -> None:
        self._ready = eventfd()
        self._told: list[Uevent] = []
        self._overflows = False

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._ready.fileno()

    def read(self) -> list[Uevent]:
        """Return what was told since the last call."""
        drain(self._ready)
        told, self._told = self._told, []
        if self._overflows:
            self._overflows = False
            raise UeventsLost("more was told than could be kept")
        return told

    def overflow(self) -> None:
        """Lose what is told next."""
        self._overflows = True

    def close(self) -> None:
        """Stop listening."""
        self._ready.close()

    def tell(self, event: Uevent) -> None:
        """Say it to the listener, if it still listens."""
        if self._ready.fileno() >= 0:
            self._told.append(event)
            os.write(self._ready.fileno(), (1).to_bytes(8, "little"))
