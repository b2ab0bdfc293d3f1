# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client gets its answer, or says in time and in a sentence why there is none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Callable

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch import client as module
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.client import (
    Client,
    NoHelper,
    NotAllowed,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.errors import (
    HelperRefused,
    HelperUnreachable,
)

from ..wait.serving import Serving


class Impostor:
    """Listens, and does one thing with the first client."""

    def __init__(self, path: Path, do: Callable[[socket.socket], None]) -> None:
        self.path = str(path)
        self._do = do
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        client, _address = self._listening.accept()
        with client:
            self._do(client)

    def __enter__(self) -> Client:
        self._thread.start()
        return Client(self.path, timeout=0.2)

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listening.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


def test_without_a_socket_there_is_no_helper(path: Path) -> None:
    with pytest.raises(NoHelper) as failed:
        Client(str(path)).call("List")
    assert str(failed.value) == (
        f"The helper is not there: no socket {path}."
        " Install and start it with the role vfio.power.helper"
    )


def test_a_socket_that_nobody_serves_is_told(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    with pytest.raises(HelperUnreachable, match=r"does not listen at .*systemctl status"):
        Client(str(path)).call("List")


@pytest.fixture
def full(path: Path) -> Iterator[socket.socket]:
    """A socket whose queue has no place left."""
    with ExitStack() as opened:
        listening = opened.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(path))
        listening.listen(0)
        waiting = opened.enter_context(socket.socket(socket.AF_UNIX))
        waiting.connect(str(path))
        yield listening


def test_a_full_queue_is_waited_for(path: Path, full: socket.socket) -> None:
    def serve() -> None:
        full.accept()[0].close()
        client, _address = full.accept()
        client.recv(100)
        client.sendall(b'{"parameters": {"a": 1}}\0')
        client.close()

    serving = threading.Timer(0.2, serve)
    serving.start()
    assert Client(str(path)).call("List") == {"a": 1}
    serving.join()


def test_a_queue_that_stays_full_is_told(
    path: Path, full: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_WITHIN", 0.2)
    with pytest.raises(HelperUnreachable, match="Too many clients wait"):
        Client(str(path)).call("List")


def test_a_socket_for_root_only_is_told_to_others(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: socket.socket, _path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(NotAllowed, match=r"Only root may talk to the helper.*Become root"):
        Client(str(path)).call("List")


def test_a_helper_that_is_silent_is_given_up_in_time(path: Path) -> None:
    done = threading.Event()
    with Impostor(path, lambda _client: done.wait(10) and None) as client:
        started = time.monotonic()
        with pytest.raises(HelperUnreachable, match=r"did not answer in 0\.2 seconds"):
            client.call("List")
        assert time.monotonic() - started < 5
        done.set()


def test_a_helper_that_trickles_its_answer_is_given_up_in_time(path: Path) -> None:
    done = threading.Event()

    def trickle(client: socket.socket) -> None:
        while not done.wait(0.02):
            client.send(b" ")

    with Impostor(path, trickle) as client:
        with pytest.raises(HelperUnreachable, match="did not answer"):
            client.call("List")
        done.set()


def test_a_helper_that_dies_in_the_middle_is_told(path: Path) -> None:
    def die(client: socket.socket) -> None:
        client.recv(100)
        client.send(b'{"parameters": ')

    with Impostor(path, die) as client, pytest.raises(HelperUnreachable, match="went away"):
        client.call("List")


@pytest.mark.parametrize("answer", [b"hello\0", b"[]\0", b'{"parameters": 1}\0'])
def test_an_answer_that_makes_no_sense_is_told(path: Path, answer: bytes) -> None:
    def answer_so(client: socket.socket) -> None:
        client.recv(100)
        client.send(answer)

    with Impostor(path, answer_so) as client, pytest.raises(HelperUnreachable, match="answer"):
        client.call("List")


def test_a_stranger_on_the_socket_is_not_believed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "peer_uid", lambda _link: 4242)
    told = pytest.raises(HelperUnreachable, match="served by user 4242, not by root")
    with told, Impostor(path, lambda client: None) as client:
        client.call("List")


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    def stream(call: object) -> None:
        for number in range(3):
            call.reply({"number": number}, continues=True)  # type: ignore[attr-defined]

    methods = {
        "Echo": lambda call: call.reply(call.parameters),
        "Stream": stream,
        "Refuse": lambda call: call.error("GenerationMismatch", {"expected": 1, "actual": 2}),
    }
    with Serving(tmp_path, methods) as running:
        yield running


def test_a_refusal_has_name_sentence_and_parameters(serving: Serving) -> None:
    with pytest.raises(HelperRefused, match="generation 1 was expected, it is 2") as refused:
        serving.client.call("Refuse")
    assert refused.value.name == "GenerationMismatch"
    assert refused.value.parameters == {"expected": 1, "actual": 2}


def test_a_stream_may_be_left_in_the_middle(serving: Serving) -> None:
    stream = serving.client.stream("Stream")
    assert next(stream) == {"number": 0}
    stream.close()  # type: ignore[attr-defined]


def test_a_stream_that_falls_silent_is_given_up_in_time(serving: Serving) -> None:
    stream = serving.client.stream("Stream", timeout=0.1)
    with pytest.raises(HelperUnreachable, match=r"did not answer in 0\.1 seconds"):
        list(stream)


def test_several_threads_may_ask_at_once(serving: Serving) -> None:
    answers: list[object] = []

    def ask(number: int) -> None:
        for _turn in range(20):
            answers.append(serving.client.call("Echo", {"number": number})["number"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answers) == sorted(list(range(4)) * 20)
