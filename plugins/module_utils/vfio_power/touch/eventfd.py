# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""eventfd(2): the counter by which the kernel says that a device woke or is wanted.

Python has ``os.eventfd`` from 3.10; before, the C library is asked directly.
"""

from __future__ import annotations

import ctypes
import os
import select

from ..words.descriptor import OwnedFd

_EFD_CLOEXEC = os.O_CLOEXEC
_EFD_NONBLOCK = os.O_NONBLOCK


def eventfd() -> OwnedFd:
    """Return a new counter at zero, closed on exec and never blocking."""
    if hasattr(os, "eventfd"):  # novermin: Python 3.10
        return OwnedFd(os.eventfd(0, _EFD_CLOEXEC | _EFD_NONBLOCK))
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.eventfd(0, _EFD_CLOEXEC | _EFD_NONBLOCK)
    if number < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return OwnedFd(number)


def signalled(counter: OwnedFd) -> bool:
    """Tell whether it was signalled since it was last drained, and leave it so."""
    poll = select.poll()
    poll.register(counter.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def drain(counter: OwnedFd) -> int:
    """Return how often it was signalled since it was last drained."""
    try:
        return int.from_bytes(os.read(counter.fileno(), 8), "little")
    except BlockingIOError:
        return 0
