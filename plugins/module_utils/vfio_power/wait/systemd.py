# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service manager and its service tell each other: sd_notify(3), sd_listen_fds(3)."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import NamedTuple

from ..think.keepsakes import FAMILY, Keepsake, parse_name
from ..touch.notify import PATIENCE, notify
from ..words.descriptor import OwnedFd

FIRST_DESCRIPTOR = 3


class Notifier:
    """Tells the service manager how it stands; without one it tells nobody."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        path = environ.pop("NOTIFY_SOCKET", "")
        self.path = "\0" + path[1:] if path.startswith("@") else path
        self.patience = _patience(environ)

    def ready(self, status: str = "") -> None:
        """The start is done: clients are served. Worth a wait: without it we are started anew."""
        self._tell({"READY": "1", "STATUS": status}, PATIENCE)

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._tell({"STATUS": text})

    def stopping(self, status: str = "") -> None:
        """The end has begun."""
        self._tell({"STOPPING": "1", "STATUS": status})

    def extend(self, seconds: float) -> None:
        """Starting or stopping goes on; ask for that much more time from now."""
        self._tell({"EXTEND_TIMEOUT_USEC": str(int(seconds * 1_000_000))})

    def alive(self) -> None:
        """The loop turns; to be said more often than every ``patience`` seconds, if that is any."""
        self._tell({"WATCHDOG": "1"})

    def _tell(self, words: Mapping[str, str], patience: float = 0.0) -> None:
        if not self.path:
            return
        try:
            notify(self.path, words, patience=patience)
        except OSError:
            return  # a manager that is not listening must not stop us


def _patience(environ: MutableMapping[str, str]) -> float:
    """Return for how many seconds the manager bears silence; 0 where it does not listen for us."""
    pid, length = environ.pop("WATCHDOG_PID", ""), environ.pop("WATCHDOG_USEC", "")
    if not length.isdecimal() or pid not in ("", str(os.getpid())):
        return 0.0
    return int(length) / 1_000_000


def inherited_descriptors(environ: MutableMapping[str, str]) -> list[tuple[str, int]]:
    """Return name and number of each descriptor that was handed over, closed on exec.

    The variables are removed: what they say is true for this process, and once.
    """
    listen_pid = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if listen_pid != str(os.getpid()) or not count.isdigit():
        return []
    numbers = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))
    names += ["unknown"] * (len(numbers) - len(names))
    for number in numbers:
        os.set_inheritable(number, False)
    return list(zip(names, numbers))


class Handed(NamedTuple):
    """What the manager handed over at the start: by its socket units, and from its store."""

    sockets: list[socket.socket]
    kept: list[tuple[Keepsake, OwnedFd]]


def handed_over(environ: MutableMapping[str, str]) -> Handed:
    """Sort what was handed over.

    Raises ValueError where a kept descriptor is none of this version's: it has to be left in the
    store, and so have all others, for a version that knows it.
    """
    handed = Handed([], [])
    for name, number in inherited_descriptors(environ):
        if name.startswith(FAMILY):
            handed.kept.append((parse_name(name), OwnedFd(number)))
        else:
            handed.sockets.append(socket.socket(fileno=number))
    return handed
