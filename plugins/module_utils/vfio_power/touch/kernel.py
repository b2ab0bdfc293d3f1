# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel as the device layer asks it: open, ioctl and close. The only file that calls ioctl.

A unit test brings a kernel of its own; what the calls mean is in device.py and backends.py.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, Union

from ..words.descriptor import OwnedFd
from ..words.errors import KernelRefused
from .refusals import hint_for


class Kernel(Protocol):
    """All that is asked of a kernel; the unit tests bring one of their own."""

    def open(self, path: str) -> int:
        """Open a node for reading and writing."""

    def ioctl(self, fd: int, request: int, argument: Union[int, bytearray]) -> int:
        """Return the call's result; a bytearray is written back."""

    def close(self, fd: int) -> None:
        """Close a descriptor."""


class Linux:
    """The kernel this program runs on."""

    def open(self, path: str) -> int:
        """Open a node for reading and writing, never through a link."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)

    def ioctl(self, fd: int, request: int, argument: Union[int, bytearray]) -> int:
        """Call ioctl(2). Bytes would make Python return the buffer and lose a new descriptor."""
        return fcntl.ioctl(fd, request, argument)

    def close(self, fd: int) -> None:
        """Close a descriptor; the last one of a device resets it."""
        os.close(fd)


class Node(OwnedFd):
    """A descriptor of a VFIO node, closed by the kernel it came from."""

    def __init__(self, kernel: Kernel, number: int) -> None:
        super().__init__(number)
        self._kernel = kernel

    def close(self) -> None:
        """Close the descriptor; closing again does nothing."""
        number = self.steal()
        if number >= 0:
            self._kernel.close(number)


@contextmanager
def telling(operation: str, subject: str) -> Iterator[None]:
    """Turn the kernel's refusal into an error that names operation, device and errno."""
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        raise KernelRefused(operation, subject, number, hint_for(operation, number)) from error
