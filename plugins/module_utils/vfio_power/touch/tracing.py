# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private instance of the kernel's tracing, for as long as somebody looks, and gone afterwards.

It notes who wants which device awake. What its lines mean is in think/trace.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from ..think.trace import EVENTS, filter_of
from ..words.address import PciAddress
from ..words.descriptor import OwnedFd
from .untraceable import ELSE, LOCKDOWN, CannotTrace, explained, refusing

ROOT = "/sys/kernel/tracing"
PREFIX = "vfio-powerctl-"
CHUNK = 1 << 16
MOST = 256  # chunks in a row

SETTINGS = {
    "buffer_size_kb": "64",  # of each processor; by default it would be more than a megabyte
    "trace_clock": "mono",
    "options/context-info": "1",
    "options/irq-info": "1",
    "options/record-cmd": "1",
    "options/bin": "0",
    "options/block": "0",
    "options/fields": "0",
    "options/hex": "0",
    "options/latency-format": "0",
    "options/raw": "0",
    "options/record-tgid": "0",
    "options/verbose": "0",
}
"""An instance begins with the host's own settings, and a kernel need not have them all."""

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Trace:
    """The instance."""

    def __init__(self, folder: str) -> None:
        """Set up the instance of a folder that was just made."""
        self.folder = folder
        self._addresses: set[PciAddress] = set()
        self._rest = b""
        for event in EVENTS:
            if not os.path.isdir(self._event(event)):
                raise CannotTrace(
                    f"This kernel has no tracepoint rpm:{event}",
                    f"{ELSE}, or use a kernel that was built with CONFIG_PM and CONFIG_FTRACE",
                )
        for name, value in SETTINGS.items():
            with suppress(FileNotFoundError):
                _write(f"{folder}/{name}", value)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        self._pipe = OwnedFd(os.open(f"{folder}/trace_pipe", flags))

    def follow(self, addresses: set[PciAddress]) -> None:
        """Note what is done to these devices, besides those before."""
        if addresses <= self._addresses:
            return
        self._addresses |= addresses
        with refusing("follow the devices"):
            for event in EVENTS:
                _write(f"{self._event(event)}/filter", filter_of(self._addresses))
                _write(f"{self._event(event)}/enable", "1")

    def fileno(self) -> int:
        """Return what is readable when there is something to read."""
        return self._pipe.fileno()

    def lines(self) -> list[str]:
        """Return what was noted since; everything that happened before is in it."""
        with refusing("read the trace"), suppress(BlockingIOError):
            for _chunk in range(MOST):
                data = os.read(self._pipe.fileno(), CHUNK)
                if not data:
                    break
                self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def close(self) -> None:
        """Read no more; as long as it is open, nobody can remove the instance."""
        self._pipe.close()

    def _event(self, name: str) -> str:
        return f"{self.folder}/events/rpm/{name}"


class Tracefs:
    """The kernel's tracing, where a host has it."""

    def __init__(self, root: str = ROOT, lockdown: str = LOCKDOWN) -> None:
        self._root = root
        self._lockdown = lockdown

    @contextmanager
    def tracing(self) -> Iterator[Trace]:
        """Have an instance for the length of a block. Raises CannotTrace.

        One that a killed process left behind is removed on the way.
        """
        with ExitStack() as made:
            try:
                with _undisturbed():
                    trace = self._begin(made)
            except OSError as error:
                raise explained(error, self._root, self._lockdown) from error
            yield trace

    def make(self, folder: str) -> None:
        """Have the kernel make an instance."""
        os.mkdir(folder)

    def remove(self, folder: str) -> None:
        """Have the kernel remove an instance. It does not while somebody reads it."""
        os.rmdir(folder)

    def _begin(self, made: ExitStack) -> Trace:
        instances = f"{self._root}/instances"
        for abandoned in _abandoned(instances):
            with suppress(OSError):
                self.remove(abandoned)
        folder = f"{instances}/{PREFIX}{os.getpid()}"
        self.make(folder)
        made.callback(self._end, folder)
        trace = Trace(folder)
        made.callback(trace.close)
        return trace

    def _end(self, folder: str) -> None:
        with _undisturbed(), refusing(f"remove {folder}", "Do it later: rmdir " + folder):
            self.remove(folder)


def _abandoned(instances: str) -> Iterator[str]:
    """Yield the folders of watchers that are not there any more."""
    for name in os.listdir(instances):
        pid = name[len(PREFIX) :] if name.startswith(PREFIX) else ""
        if pid.isdecimal() and (int(pid) == os.getpid() or not os.path.exists(f"/proc/{pid}")):
            yield f"{instances}/{name}"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no signal come between making an instance and seeing to its end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _write(path: str, text: str) -> None:
    """Write at once, as the kernel wants it."""
    with OwnedFd(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)) as file:
        os.write(file.fileno(), text.encode())
