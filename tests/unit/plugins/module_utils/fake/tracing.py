# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracefs with a kernel's manners: folders that come filled, and go although they are."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Optional

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.trace import (
    EVENTS,
    filter_of,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.tracing import Tracefs
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress


class FakeTracefs(Tracefs):
    """``events`` are the tracepoints that the kernel has."""

    def __init__(self, folder: Path, events: tuple[str, ...] = EVENTS) -> None:
        super().__init__(str(folder), str(folder / "lockdown"))
        self.instances = folder / "instances"
        self.instances.mkdir(parents=True)
        self._events = events
        self._writing: dict[Path, int] = {}

    def make(self, folder: str) -> None:
        super().make(folder)
        instance = Path(folder)
        for event in self._events:
            (instance / "events" / "rpm" / event).mkdir(parents=True)
            for name in ("filter", "enable"):
                (instance / "events" / "rpm" / event / name).touch()
        for name in ("buffer_size_kb", "trace_clock"):
            (instance / name).touch()
        os.mkfifo(instance / "trace_pipe")
        self._writing[instance] = os.open(instance / "trace_pipe", os.O_RDWR)

    def remove(self, folder: str) -> None:
        if self.is_read(folder):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), folder)
        if Path(folder) in self._writing:
            os.close(self._writing.pop(Path(folder)))
        shutil.rmtree(folder)

    def names(self) -> list[str]:
        """Which instances there are."""
        return sorted(path.name for path in self.instances.iterdir())

    def follows(self, *cards: str) -> bool:
        """Tell whether what is done to these devices is noted."""
        (instance,) = list(self._writing)
        wanted = filter_of({PciAddress.parse(card) for card in cards})
        places = [instance / "events" / "rpm" / event for event in EVENTS]
        return all(
            (it / "enable").read_text() == "1" and (it / "filter").read_text() == wanted
            for it in places
        )

    def note(self, text: str) -> None:
        """Let the kernel note something."""
        (writing,) = list(self._writing.values())
        os.write(writing, text.encode())

    def is_read(self, folder: str) -> bool:
        """Tell whether somebody has an instance's pipe open, besides the kernel."""
        pipe = os.path.join(folder, "trace_pipe")
        return [_target(fd) for fd in os.listdir("/proc/self/fd")].count(pipe) > 1


def _target(descriptor: str) -> Optional[str]:
    """What a descriptor leads to; another thread may close it at any moment."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:
        return None
