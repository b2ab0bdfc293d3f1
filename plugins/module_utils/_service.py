# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The helper's service on a running host: by its manager's word and by its own.

Private to this collection.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.drift import DOWN
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.client import Client
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.helper import Answer, ask
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.sysfs import Sysfs
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.view import HelperView
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress

UNIT, SOCKET = "vfio-powerd.service", "vfio-powerd.socket"
LINES = 12
"""How much of the journal is shown: a traceback, and what came before it."""

Run = Callable[[Sequence[str]], Any]


class Look(NamedTuple):
    """The helper and its devices at one moment."""

    answer: Answer
    kept: int = 0
    """How many descriptors the service manager keeps for it."""

    on_vfio: frozenset[PciAddress] = frozenset()
    """The devices that could be held: those that are bound to a VFIO driver."""


class NotStarted(Exception):
    """The service manager could not start it, and says why."""


class Service:
    """Asked and restarted. ``run`` runs a command; it returns status, output and complaint."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._began = time.time()

    @property
    def active(self) -> bool:
        """Tell whether it serves, as far as its manager knows."""
        status, _output, _complaint = self._run(["systemctl", "is-active", "--quiet", UNIT])
        return status == 0

    def look(self) -> Look:
        """Ask the helper what it is and holds. None of its devices notices."""
        # One that does not serve is not asked: a client would start it, and wait in vain.
        answer = ask(Client()) if self.active else Answer(HelperView(DOWN))
        show = ["systemctl", "show", "--value", "--property", "NFileDescriptorStore", UNIT]
        _status, output, _complaint = self._run(show)
        kept = int(output) if output.strip().isdecimal() else 0
        devices = Sysfs().devices()
        return Look(answer, kept, frozenset(it for it in devices if devices[it].vfio))

    def restart(self) -> None:
        """Have it run what is installed, by units as they are written. May raise NotStarted."""
        self._began = time.time()
        # With the socket it is one job: the service is down for as long as that takes, and what is
        # kept for it stays, as with any restart.
        units = [SOCKET, UNIT] if self._socket_differs() else [UNIT]
        self._run(["systemctl", "daemon-reload"])
        # Starts that failed do not count against this one.
        self._run(["systemctl", "reset-failed", UNIT])
        status, _output, complaint = self._run(["systemctl", "restart", *units])
        if status:
            said = complaint.strip() or f"systemctl ended with status {status}"
            raise NotStarted(said.splitlines()[0])

    def _socket_differs(self) -> bool:
        """Tell whether the socket's unit was written since the service manager read it."""
        show = ["systemctl", "show", "--value", "--property", "NeedDaemonReload", SOCKET]
        _status, output, _complaint = self._run(show)
        return bool(output.strip() == "yes")

    def journal(self) -> list[str]:
        """Return the last lines that the helper wrote since it was told to restart."""
        self._run(["journalctl", "--sync"])
        which = [f"_SYSTEMD_UNIT={UNIT}", f"--since=@{int(self._began)}", f"--lines={LINES}"]
        _status, output, _complaint = self._run(
            ["journalctl", "--quiet", "--no-pager", "--output=cat", *which]
        )
        return output.splitlines()
