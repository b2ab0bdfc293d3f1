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
from .loop import Loop
from .patience import Patience

SERVICE = "org.varlink.service"
CHUNK = 1 << 16
TIME_FOR_A_MESSAGE = 5.0  # seconds from its first byte to its last
TIME_TO_READ = 30.0  # seconds without a byte taken of the answers that wait
MAX_WAITING = 1 << 20  # bytes of a stream that a client has not read yet


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
    """The talk with one client; ``dispatch`` gets its calls, ``left`` is told of its end.

    One call at a time, and the next one not before the answer is read: what a client can make
    us keep is one request and one answer. Each call gets a turn of the loop, so that a thousand
    calls sent in one go delay nobody else.
    """

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
        self._writing = Patience(loop, TIME_FOR_A_MESSAGE, self._too_slow)
        self._reading = Patience(loop, TIME_TO_READ, self.close)
        self._turn = Patience(loop, 0, self._take_turn)
        self._closing = False
        self.rested = False
        """Whether it has asked for nothing since the server looked."""
        self._watch()

    @property
    def idle(self) -> bool:
        """Tell whether the client neither waits for anything nor is in the middle of asking."""
        return not self._occupied and not len(self._inbox)

    @property
    def _occupied(self) -> bool:
        return self._call is not None or bool(self._outbox)

    @property
    def _closed(self) -> bool:
        return self._client.fileno() < 0

    def send(self, message: Message) -> None:
        """Put an answer on its way."""
        if self._closed:
            return
        data = encode(message)
        waiting = len(self._outbox)
        if len(data) > REPLY.size or (waiting and waiting + len(data) > MAX_WAITING):
            self.close()
            return
        self._outbox += data
        self._write()

    def finish(self, message: Optional[Message]) -> None:
        """End the present call with its answer; the next one has its turn then."""
        self._call = None
        if message is not None:
            self.send(message)
        self._go_on()

    def close(self) -> None:
        """Part from the client; doing it again does nothing."""
        if self._closed:
            return
        self._loop.unwatch(self._client)
        self._client.close()
        for patience in (self._writing, self._reading, self._turn):
            patience.end()
        self._left(self)
        call, self._call = self._call, None
        if call is not None:
            call.left()

    def _watch(self) -> None:
        """Wait for what may come next: nothing is read that is not wanted yet."""
        reads = None if self._closing or self._turn.runs else self._read
        self._loop.watch(self._client, reads, self._write if self._outbox else None)

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
        self.rested = False
        self._inbox.feed(data)
        if self._occupied and len(self._inbox) > REQUEST.size:
            self.close()  # it asks on and on without waiting for an answer
            return
        self._begin_next()

    def _go_on(self) -> None:
        """Give the client its next turn, once the answer before is read."""
        if len(self._inbox) and not (self._occupied or self._closing or self._closed):
            self._turn.begin()
            self._watch()

    def _take_turn(self) -> None:
        try:
            self._begin_next()
        finally:
            if not self._closed:
                self._watch()

    def _begin_next(self) -> None:
        """Begin the next call if it has arrived; the time for one that has not is running."""
        if self._occupied:
            return
        try:
            message = self._inbox.next()
            if message is not None:
                self._writing.end()
                self._begin(message)
            elif len(self._inbox):
                self._writing.begin()
        except MalformedMessage as malformed:
            self._refuse(str(malformed))

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

    def _write(self) -> None:
        try:
            sent = self._client.send(self._outbox) if self._outbox else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        del self._outbox[:sent]
        if sent or not self._outbox:
            self._reading.end()
        if self._outbox:
            self._reading.begin()
        elif self._closing:
            self.close()
            return
        self._watch()
        self._go_on()

    def _too_slow(self) -> None:
        self._refuse(f"the message was not complete after {TIME_FOR_A_MESSAGE:.0f} seconds")
