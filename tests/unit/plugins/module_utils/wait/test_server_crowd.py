# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clients at once, greedy ones and deaf ones: each gets its share, and no more."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import connection, server
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    HelperRefused,
)

from .serving import Serving
from .talking import USER, Methods, replies, request, still_answers, wait_until


def connected(serving: Serving, count: int) -> list[socket.socket]:
    """Return so many clients that were taken in, or turned away."""
    before = len(serving.server._connections)
    clients = [serving.connect() for _turn in range(count)]
    wait_until(lambda: len(serving.server._connections) >= min(before + count, server.MAX_CLIENTS))
    return clients


def send_without_reading(client: socket.socket, data: bytes) -> None:
    """Send it again and again until nobody takes it any more."""
    client.settimeout(0)
    with suppress(BlockingIOError):
        while client.send(data):
            pass


def was_parted_from(client: socket.socket) -> bool:
    client.settimeout(0)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


def test_sixty_four_idle_clients_do_not_keep_the_next_one_out(serving: Serving) -> None:
    clients = [serving.connect() for _turn in range(server.MAX_CLIENTS)]
    wait_until(lambda: len(serving.server._connections) == server.MAX_CLIENTS)
    assert still_answers(serving)
    for client in clients:
        client.close()


def test_more_clients_than_allowed_wait_until_one_leaves(
    serving: Serving, methods: Methods
) -> None:
    clients = [serving.connect() for _turn in range(server.MAX_CLIENTS)]
    for client in clients:
        client.sendall(request("Keep"))
    wait_until(lambda: len(methods.kept) == server.MAX_CLIENTS)
    with serving.connect() as late:
        late.settimeout(0.2)
        late.sendall(request("Echo", number=1))
        with pytest.raises(socket.timeout):
            late.recv(1)
        clients.pop().close()
        late.settimeout(10)
        assert next(replies(late)) == {"parameters": {"number": 1}}
    for client in clients:
        client.close()


def test_a_client_is_let_in_when_another_one_has_its_answer(
    tmp_path: Path, methods: Methods, monkeypatch: pytest.MonkeyPatch, user: list[int]
) -> None:
    monkeypatch.setattr(server, "PAUSE", 0.05)
    with Serving(tmp_path, methods.table()) as serving:
        clients = connected(serving, server.MAX_CLIENTS)
        for client in clients:
            client.sendall(request("Keep"))
        wait_until(lambda: len(methods.kept) == server.MAX_CLIENTS)
        with serving.connect() as late:
            late.sendall(request("Echo", number=1))
            serving.do(lambda: methods.kept[0].reply({}))
            assert next(replies(late)) == {"parameters": {"number": 1}}
        for client in clients:
            client.close()


def test_one_who_is_not_root_gets_sixteen_connections(
    serving: Serving, methods: Methods, user: list[int]
) -> None:
    user.append(USER)
    clients = connected(serving, server.MAX_OF_A_USER)
    for client in clients:
        client.sendall(request("Keep"))
    wait_until(lambda: len(methods.kept) == server.MAX_OF_A_USER)
    with serving.connect() as late:
        (answer,) = replies(late)
    assert "too many connections" in answer["parameters"]["message"]
    serving.do(lambda: methods.kept[0].reply({}))
    assert still_answers(serving)  # in the place of the one that is idle now
    for client in clients:
        client.close()


def test_the_last_slot_is_kept_for_root(
    serving: Serving, methods: Methods, user: list[int]
) -> None:
    clients = connected(serving, server.MAX_CLIENTS - 1)
    user.append(USER)
    with serving.connect() as late:
        (answer,) = replies(late)
    assert "too many connections" in answer["parameters"]["message"]
    user.append(0)
    assert still_answers(serving)
    assert not any(was_parted_from(client) for client in clients)
    for client in clients:
        client.close()


def test_nobody_is_sent_away_for_a_stranger(serving: Serving, user: list[int]) -> None:
    clients = connected(serving, server.MAX_CLIENTS)
    user.append(USER + 1)
    with serving.connect() as stranger:
        (answer,) = replies(stranger)
    assert answer["error"] == "org.varlink.service.PermissionDenied"
    assert not any(was_parted_from(client) for client in clients)
    for client in clients:
        client.close()


def test_a_thousand_calls_in_one_go_delay_nobody_else(serving: Serving) -> None:
    with serving.connect() as client:
        client.sendall(request("Slow") * 1000)  # two seconds of work
        started = time.monotonic()
        assert still_answers(serving)
        assert time.monotonic() - started < 1


def test_one_who_takes_no_answer_is_parted_from_in_time(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIME_TO_READ", 0.1)
    with serving.connect() as client:
        client.sendall(request("Echo", text=["x" * 250] * 3200))  # more than the socket keeps
        wait_until(lambda: not serving.server._connections)
    assert still_answers(serving)


def test_one_who_was_refused_is_not_listened_to_any_more(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIME_TO_READ", 0.3)
    answer = request("Echo", text=["x" * 250] * 3200)  # more than the socket keeps
    with serving.connect() as client:
        client.sendall(answer)
        wait_until(lambda: [it for it in list(serving.server._connections) if it._outbox])
        client.sendall(b"hello\0")
        (talk,) = serving.server._connections
        serving.do(lambda: talk._refuse("for no reason"))
        send_without_reading(client, b"x" * 4096)
        assert len(talk._inbox) < 1000
        wait_until(lambda: not serving.server._connections)
    assert still_answers(serving)


def test_running_out_of_descriptors_pauses_and_does_not_spin(
    tmp_path: Path, methods: Methods, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PAUSE", 0.1)
    tries = 0

    class Exhausted:
        """A listening socket that finds no free descriptor, twice."""

        def __init__(self, real: socket.socket) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def accept(self) -> Any:
            nonlocal tries
            tries += 1
            if tries <= 2:
                raise OSError(24, "Too many open files")
            return self._real.accept()

    with Serving(tmp_path, methods.table()) as serving:
        real = serving.server._listening
        serving.do(lambda: setattr(serving.server, "_listening", Exhausted(real)))
        assert still_answers(serving)
    assert tries == 3


def test_strangers_are_turned_away(serving: Serving, user: list[int]) -> None:
    user.append(USER + 1)
    with pytest.raises(HelperRefused, match="root only"):
        serving.client.call("Echo")


def test_a_thousand_clients_leave_nothing_behind(serving: Serving) -> None:
    for _turn in range(1000):
        assert serving.client.call("Echo") == {}
    wait_until(lambda: not serving.server._connections)
    assert set(serving.loop._watches) == {
        serving.loop._wakened.fileno(),
        serving.server._listening.fileno(),
    }
