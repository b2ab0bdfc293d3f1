# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service tells its manager: sd_notify(3), with and without descriptors."""

from __future__ import annotations

import os
import select
import socket
from array import array
from collections.abc import Iterable, Mapping

from ..words.descriptor import OwnedFd

Message = tuple[Mapping[str, str], Iterable[OwnedFd]]
"""Assignments by name, and the descriptors that go with them."""

PATIENCE = 5.0
"""Seconds that a busy manager gets to read what we say, where we wait for it at all."""

_KIND = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC


def notify(
    path: str,
    words: Mapping[str, str],
    descriptors: Iterable[OwnedFd] = (),
    patience: float = 0.0,
) -> None:
    """Send one message. Raises OSError where the manager does not take it in time."""
    notify_all(path, [(words, descriptors)], patience)


def notify_all(path: str, messages: Iterable[Message], patience: float) -> None:
    """Send messages in their order. Raises OSError where the manager does not take one in time."""
    with socket.socket(socket.AF_UNIX, _KIND) as manager:
        manager.settimeout(patience)
        for words, descriptors in messages:
            message = "\n".join(f"{name}={word}" for name, word in words.items() if word)
            numbers = array("i", [descriptor.fileno() for descriptor in descriptors])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)] if numbers else []
            manager.sendmsg([message.encode()], rights, 0, path)


def barrier(path: str, patience: float = PATIENCE) -> None:
    """Wait until the manager has read all that was said before. Raises OSError if it has not."""
    reading, writing = (OwnedFd(number) for number in os.pipe2(os.O_CLOEXEC))
    with reading:
        with writing:
            notify(path, {"BARRIER": "1"}, [writing], patience)
        poll = select.poll()
        poll.register(reading.fileno(), 0)  # a hang-up is told unasked: the manager closed its end
        if not poll.poll(patience * 1000):
            raise TimeoutError(f"the service manager did not answer within {patience:.0f} s")
