# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One client of the server: its calls one at a time, and the answers on their way to it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Callable, Optional

from ..think import interface
from ..think.varlink import REPLY, REQUEST, Inbox, MalformedMessage, Message, encode
from ..words.errors import InputError, VfioPowerError
from .loop import Loop, Timer

SERVICE = "org.varlink.service"
CHUNK = 1 << 16
TIME_FOR_A_MESSAGE = 5.0  # seconds from its first byte to its last
MAX_WAITING = 1 << 22  # bytes of answers that a client has not read yet


class Call:
    """One call of a client. Answer it with one ``reply`` or ``error``, now or later.

    A call with ``more`` may get any number of replies that continue before. What is said to
    a client that has left is dropped.
    """

    def __init__(self, connection: Connection, message: Message) -> None:
        self.method = str(message.get("method", ""))
        self.parameters: Mapping[str, Any] = message.get("parameters") or {}
        self.more = message.get("more") is True
        self.oneway = message.get("oneway") is True
        self.peer_uid = connection.peer_uid
        self.open = True
        self._connection = connection
        self._close_callbacks: list[Callable[[], None]] = []

    def reply(self, parameters: Mapping[str, Any], continues: bool = False) -> None:
        """Answer; one that continues is only sent where the client asked for more."""
        if not continues:
            self._finish({"parameters": dict(parameters)})
        elif self.more and self.open:
            self._connection.send({"parameters": dict(parameters), "continues": True})

    def error(self, name: str, parameters: Optional[Mapping[str, Any]] = None) -> None:
        """Refuse with an error of the interface, or a full name of another one."""
        full = name if "." in name else f"{interface.NAME}.{name}"
        self._finish({"error": full, "parameters": dict(parameters or {})})

    def refuse(self, error: VfioPowerError) -> None:
        """Refuse with an error of our own family."""
        if isinstance(error, InputError):
            self.error("InputRefused", {"problems": [each._asdict() for each in error.problems]})
        else:
            self.error("Failed", {"message": error.message, "hint": error.hint})

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call back if the client leaves before the call is answered."""
        self._close_callbacks.append(callback)

    def left(self) -> None:
        """Tell those who wanted to know that the client is gone; for its connection."""
        self.open = False
        callbacks, self._close_callbacks = self._close_callbacks, []
        for callback in callbacks:
            callback()

    def _finish(self, message: Message) -> None:
        if not self.open:
            return
        self.open = False
        self._close_callbacks.clear()
        self._connection.finish(None if self.oneway else message)


class Connection:
    """The talk with one client; ``dispatch`` gets its calls, ``left`` is told of its end."""

    def __init__(
        self,
        loop: Loop,
        client: socket.socket,
        peer_uid: int,
        dispatch: Callable[[Call], None],
        left: Callable[[Connection], None],
    ) -> None:
        self.peer_uid = peer_uid
        self._loop = loop
        self._client = client
        self._dispatch = dispatch
        self._left = left
        self._inbox = Inbox(REQUEST)
        self._outbox = bytearray()
        self._call: Optional[Call] = None
        self._impatience: Optional[Timer] = None
        self._pumping = False
        self._closing = False
        loop.watch(client, self._read)

    @property
    def idle(self) -> bool:
        """Tell whether the client neither waits for anything nor is in the middle of asking."""
        return self._call is None and not self._outbox and not len(self._inbox)

    def send(self, message: Message) -> None:
        """Put an answer on its way."""
        if self._client.fileno() < 0:
            return
        data = encode(message)
        waiting = len(self._outbox)
        if len(data) > REPLY.size or (waiting and waiting + len(data) > MAX_WAITING):
            self.close()
            return
        self._outbox += data
        self._write()

    def finish(self, message: Optional[Message]) -> None:
        """End the present call with its answer and go on to the next one."""
        self._call = None
        if message is not None:
            self.send(message)
        self._pump()

    def close(self) -> None:
        """Part from the client; doing it again does nothing."""
        if self._client.fileno() < 0:
            return
        self._loop.unwatch(self._client)
        self._client.close()
        self._be_patient()
        self._left(self)
        call, self._call = self._call, None
        if call is not None:
            call.left()

    def _read(self) -> None:
        try:
            data = self._client.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._inbox.feed(data)
        if self._call is not None and len(self._inbox) > REQUEST.size:
            self.close()  # it asks on and on without waiting for an answer
            return
        self._pump()

    def _pump(self) -> None:
        """Begin the calls that have arrived, each after the one before is answered."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._call is None and not self._closing and self._client.fileno() >= 0:
                message = self._inbox.next()
                if message is None:
                    break
                self._be_patient()
                self._begin(message)
        except MalformedMessage as malformed:
            self._refuse(str(malformed))
        finally:
            self._pumping = False
        if self._call is None and len(self._inbox) and self._client.fileno() >= 0:
            self._be_impatient()

    def _begin(self, message: Message) -> None:
        if not isinstance(message.get("method"), str):
            raise MalformedMessage("the message names no method")
        if not isinstance(message.get("parameters", {}), (dict, type(None))):
            raise MalformedMessage("the parameters are not an object")
        call = self._call = Call(self, message)
        try:
            self._dispatch(call)
        except VfioPowerError as error:
            call.refuse(error)
        except Exception:
            call.error("Failed", {"message": "The helper failed; its journal says why", "hint": ""})
            raise

    def _refuse(self, reason: str) -> None:
        """Say what was wrong and part: after half a message nothing else can be understood."""
        self._closing = True
        self.send({"error": f"{interface.NAME}.Malformed", "parameters": {"reason": reason}})
        self._write()

    def _write(self) -> None:
        try:
            sent = self._client.send(self._outbox) if self._outbox else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        del self._outbox[:sent]
        if self._outbox:
            self._loop.watch(self._client, self._read, self._write)
        elif self._closing:
            self.close()
        else:
            self._loop.watch(self._client, self._read)

    def _be_impatient(self) -> None:
        if self._impatience is None:
            when = self._loop.clock() + TIME_FOR_A_MESSAGE
            self._impatience = self._loop.call_at(when, self._too_slow)

    def _be_patient(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None

    def _too_slow(self) -> None:
        self._impatience = None
        self._refuse(f"the message was not complete after {TIME_FOR_A_MESSAGE:.0f} seconds")
