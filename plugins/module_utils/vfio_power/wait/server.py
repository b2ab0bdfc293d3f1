# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Varlink server over the loop: takes clients in and hands their calls to methods.

Bounded in clients, message size, depth, time to send a message, and what waits for a client
that does not read. The talk with one client is in connection.py.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Callable

from ..think import interface
from ..think.varlink import Message, encode
from ..touch.peer import peer_uid
from ..words.version import VERSION
from .connection import SERVICE, Call, Connection
from .loop import Loop
from .patience import Patience

MAX_CLIENTS = 64
KEPT_FOR_ROOT = 1  # of them
MAX_OF_A_USER = 16  # who is not root
TIME_TO_ASK = 30.0  # seconds between two calls at least, and twice as many at most
PAUSE = 1.0  # seconds without accepting when clients or descriptors are too many

Method = Callable[[Call], None]


class Server:
    """Answers on a listening socket. ``methods`` are those of our interface, by name.

    A method may answer later, from the loop's thread; a client's next call waits for that.
    """

    def __init__(self, loop: Loop, listening: socket.socket, methods: Mapping[str, Method]) -> None:
        self._loop = loop
        self._listening = listening
        self._methods: dict[str, Method] = {
            f"{SERVICE}.GetInfo": _get_info,
            f"{SERVICE}.GetInterfaceDescription": _get_interface_description,
        }
        for name, method in methods.items():
            full = name if "." in name else f"{interface.NAME}.{name}"
            self._methods[full] = method
        self._connections: dict[Connection, None] = {}  # ordered: the longest connected first
        self._uids = {0, os.getuid()}
        self._pause = Patience(loop, PAUSE, self._listen)
        self._resting = Patience(loop, TIME_TO_ASK, self._part_from_the_resting)
        listening.settimeout(0)
        loop.watch(listening, self._accept)

    def close(self) -> None:
        """Take no more clients in, and part from those there are."""
        for patience in (self._pause, self._resting):
            patience.end()
        self._loop.unwatch(self._listening)
        self._listening.close()
        for connection in list(self._connections):
            connection.close()

    def _accept(self) -> None:
        if len(self._connections) >= MAX_CLIENTS and not any(it.idle for it in self._connections):
            self._let_them_wait()
            return
        try:
            client, _address = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            self._let_them_wait()  # no descriptor is left
            return
        self._take_in(client)

    def _let_them_wait(self) -> None:
        """Accept nobody for a while: to be told of who waits, again and again, would spin."""
        self._loop.watch(self._listening, None)
        self._pause.begin()

    def _take_in(self, client: socket.socket) -> None:
        client.settimeout(0)
        uid = peer_uid(client)
        if uid not in self._uids:
            _turn_away(client, {"error": f"{SERVICE}.PermissionDenied", "parameters": {}})
        elif self._makes_room(uid):
            connection = Connection(self._loop, client, uid, self._dispatch, self._left)
            self._connections[connection] = None
            self._resting.begin()
        else:
            reason = {"message": f"User {uid} has too many connections", "hint": "Close some"}
            _turn_away(client, {"error": f"{interface.NAME}.Failed", "parameters": reason})

    def _makes_room(self, uid: int) -> bool:
        """Tell whether there is room for one more; who has been idle for longest may have to go.

        One who is not root sends none but himself away.
        """
        everybody = list(self._connections)
        if uid == 0:
            return len(everybody) < MAX_CLIENTS or _part_from_an_idle_one(everybody)
        own = [connection for connection in everybody if connection.peer_uid == uid]
        if len(own) < MAX_OF_A_USER and len(everybody) < MAX_CLIENTS - KEPT_FOR_ROOT:
            return True
        return _part_from_an_idle_one(own)

    def _part_from_the_resting(self) -> None:
        """Part from those who asked for nothing since the look before, one timer for all."""
        for connection in list(self._connections):
            if connection.rested:
                connection.close()
            connection.rested = connection.idle
        if self._connections:
            self._resting.begin()

    def _left(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        self._listen()

    def _listen(self) -> None:
        if self._listening.fileno() >= 0:
            self._pause.end()
            self._loop.watch(self._listening, self._accept)

    def _dispatch(self, call: Call) -> None:
        method = self._methods.get(call.method)
        if method is not None:
            method(call)
            return
        known, _dot, _method = call.method.rpartition(".")
        if known in (interface.NAME, SERVICE):
            call.error(f"{SERVICE}.MethodNotFound", {"method": call.method})
        else:
            call.error(f"{SERVICE}.InterfaceNotFound", {"interface": known})


def _part_from_an_idle_one(connections: list[Connection]) -> bool:
    idle = next((connection for connection in connections if connection.idle), None)
    if idle is not None:
        idle.close()
    return idle is not None


def _turn_away(client: socket.socket, why: Message) -> None:
    try:
        client.send(encode(why))
    except OSError:
        pass  # it has gone already
    client.close()


def _get_info(call: Call) -> None:
    call.reply(
        {
            "vendor": "vfio.power",
            "product": "vfio-powerd",
            "version": VERSION,
            "url": "https://github.com/ansible-collections/vfio.power",
            "interfaces": [SERVICE, interface.NAME],
        }
    )


def _get_interface_description(call: Call) -> None:
    name = call.parameters.get("interface")
    if name == interface.NAME:
        call.reply({"description": interface.TEXT})
    elif name == SERVICE:
        call.reply({"description": interface.SERVICE_TEXT})
    else:
        call.error(f"{SERVICE}.InterfaceNotFound", {"interface": str(name)})
