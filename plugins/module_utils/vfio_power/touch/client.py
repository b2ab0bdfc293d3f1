# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the helper over its socket: one connection a call, and never without a bound of time.

What goes wrong on the way is HelperUnreachable, what the helper refuses is HelperRefused;
both say the next step.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Optional

from ..think.interface import NAME, SOCKET
from ..think.refusal import refusal
from ..think.varlink import REPLY, Inbox, MalformedMessage, Message, encode
from ..words.errors import HelperUnreachable
from .peer import peer_uid

CONNECT_WITHIN = 5.0  # seconds
ANOTHER_TRY = 0.05
CHUNK = 1 << 16

_LOOK = "See 'systemctl status vfio-powerd.socket vfio-powerd.service'"


class NoHelper(HelperUnreachable):
    """There is no socket: the helper is not installed, or was never started."""


class NotAllowed(HelperUnreachable):
    """The socket is there and not for us."""


class Client:
    """The helper's client. ``timeout`` bounds the wait for each reply, in seconds."""

    def __init__(self, path: str = SOCKET, timeout: float = 10.0) -> None:
        self.path = path
        self.timeout = timeout

    def call(
        self,
        method: str,
        parameters: Optional[Mapping[str, Any]] = None,
        timeout: Optional[float] = None,
    ) -> dict[str, Any]:
        """Ask once and return the answer's parameters."""
        patience = self.timeout if timeout is None else timeout
        with self._connected() as connection:
            connection.send(_request(method, parameters, more=False), patience)
            return connection.receive(patience)[0]

    def stream(
        self,
        method: str,
        parameters: Optional[Mapping[str, Any]] = None,
        timeout: Optional[float] = None,
    ) -> Generator[dict[str, Any], None, None]:
        """Ask for more, and return each reply's parameters as it comes.

        ``timeout`` bounds the silence between two of them; None waits for as long as it takes.
        """
        with self._connected() as connection:
            connection.send(_request(method, parameters, more=True), self.timeout)
            continues = True
            while continues:
                answer, continues = connection.receive(timeout)
                yield answer

    @contextmanager
    def listening(self, method: str) -> Iterator[Connection]:
        """Ask for more, for the length of a block, and wait for other things besides."""
        with self._connected() as connection:
            connection.send(_request(method, None, more=True), self.timeout)
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(CONNECT_WITHIN)
            try:
                self._connect(link)
            except OSError as error:
                raise self._explained(error) from error
            _check_owner(link, self.path)
            yield Connection(link)

    def _connect(self, link: socket.socket) -> None:
        """Wait for a place in the queue too: where that is full, connect(2) refuses at once."""
        deadline = time.monotonic() + CONNECT_WITHIN
        while True:
            try:
                link.connect(self.path)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(ANOTHER_TRY)

    def _explained(self, error: OSError) -> HelperUnreachable:
        if isinstance(error, FileNotFoundError):
            return NoHelper(
                f"The helper is not there: no socket {self.path}",
                "Install and start it with the role vfio.power.helper",
            )
        if isinstance(error, PermissionError):
            return NotAllowed(f"Only root may talk to the helper at {self.path}", "Become root")
        if isinstance(error, ConnectionRefusedError):
            return HelperUnreachable(f"The helper does not listen at {self.path}", _LOOK)
        if isinstance(error, BlockingIOError):
            return HelperUnreachable(f"Too many clients wait for the helper at {self.path}", _LOOK)
        return HelperUnreachable(f"Cannot connect to the helper at {self.path}: {error}", _LOOK)


class Connection:
    """One talk over a connected socket."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._inbox = Inbox(REPLY)

    def send(self, data: bytes, timeout: float) -> None:
        self._link.settimeout(timeout)
        with _explaining(timeout), suppress(BrokenPipeError):
            self._link.sendall(data)  # one who does not listen may have said why: receive tells

    def receive(self, timeout: Optional[float]) -> tuple[dict[str, Any], bool]:
        """Return the next reply's parameters, and whether more replies follow."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with _explaining(timeout):
            return _answer(self._next(deadline))

    def fileno(self) -> int:
        """Return what is readable when something has arrived."""
        return self._link.fileno()

    def arrived(self) -> list[dict[str, Any]]:
        """Return the parameters of each reply that has arrived, when something has."""
        replies = []
        with _explaining(self._link.gettimeout()):
            self._take()
            while (message := self._inbox.next()) is not None:
                replies.append(_answer(message)[0])
        return replies

    def _next(self, deadline: Optional[float]) -> Message:
        while (message := self._inbox.next()) is None:
            if deadline is not None:
                # settimeout(0) would mean not to wait rather than to be late.
                self._link.settimeout(max(deadline - time.monotonic(), 0.001))
            else:
                self._link.settimeout(None)
            self._take()
        return message

    def _take(self) -> None:
        data = self._link.recv(CHUNK)
        if not data:
            raise HelperUnreachable("The helper went away before it had answered", _LOOK)
        self._inbox.feed(data)


def _answer(message: Message) -> tuple[dict[str, Any], bool]:
    """Return a reply's parameters, and whether more replies follow."""
    parameters = message.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise HelperUnreachable("The helper's answer has no parameters", _LOOK)
    if "error" in message:
        raise refusal(str(message["error"]), parameters)
    return parameters, message.get("continues") is True


@contextmanager
def _explaining(timeout: Optional[float]) -> Iterator[None]:
    try:
        yield
    except socket.timeout:  # TimeoutError is another class before Python 3.10
        raise HelperUnreachable(
            f"The helper did not answer in {timeout:g} seconds", _LOOK
        ) from None
    except OSError as error:
        raise HelperUnreachable(f"The talk with the helper broke off: {error}", _LOOK) from error
    except MalformedMessage as error:
        raise HelperUnreachable(f"The helper's answer cannot be read: {error}", _LOOK) from error


def _check_owner(link: socket.socket, path: str) -> None:
    """Believe only root, or ourselves: whoever else listens there is not the helper."""
    uid = peer_uid(link)
    if uid not in (0, os.geteuid()):
        raise HelperUnreachable(
            f"The socket {path} is served by user {uid}, not by root: it is not the helper's",
            "Find out who made it, and remove it",
        )


def _request(method: str, parameters: Optional[Mapping[str, Any]], *, more: bool) -> bytes:
    full = method if "." in method else f"{NAME}.{method}"
    message: Message = {"method": full, "parameters": dict(parameters or {})}
    if more:
        message["more"] = True
    return encode(message)
