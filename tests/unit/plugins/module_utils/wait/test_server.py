# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server answers its clients, and no client can stop it from answering the others."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import connection

from .serving import Serving
from .talking import NAME, Methods, replies, request, still_answers, wait_until


def test_a_call_is_answered(serving: Serving) -> None:
    assert serving.client.call("Echo", {"text": "grüße"}) == {"text": "grüße"}


def test_it_says_who_it_is_and_what_it_speaks(serving: Serving) -> None:
    info = serving.client.call("org.varlink.service.GetInfo")
    assert info["interfaces"] == ["org.varlink.service", NAME]
    for name in info["interfaces"]:
        parameters = {"interface": name}
        answer = serving.client.call("org.varlink.service.GetInterfaceDescription", parameters)
        assert f"interface {name}\n" in answer["description"]


@pytest.mark.parametrize(
    ("method", "error"),
    [
        (f"{NAME}.Nothing", "org.varlink.service.MethodNotFound"),
        ("com.example.Thing.Do", "org.varlink.service.InterfaceNotFound"),
        ("", "org.varlink.service.InterfaceNotFound"),
    ],
)
def test_what_it_does_not_know_is_refused_by_name(
    serving: Serving, method: str, error: str
) -> None:
    with serving.connect() as client:
        client.sendall(json.dumps({"method": method}).encode() + b"\0")
        assert next(replies(client))["error"] == error


def test_calls_sent_in_one_go_are_answered_in_order(serving: Serving) -> None:
    with serving.connect() as client:
        client.sendall(b"".join(request("Echo", number=number) for number in range(100)))
        answers = replies(client)
        assert [next(answers)["parameters"]["number"] for _turn in range(100)] == list(range(100))


def test_a_call_waits_until_the_one_before_is_answered(serving: Serving, methods: Methods) -> None:
    with serving.connect() as client:
        client.sendall(request("Keep") + request("Echo", number=2))
        wait_until(lambda: methods.kept)
        serving.do(lambda: methods.kept[0].reply({"number": 1}))
        answers = replies(client)
        assert [next(answers)["parameters"]["number"] for _turn in range(2)] == [1, 2]


def test_a_message_may_arrive_byte_by_byte(serving: Serving) -> None:
    with serving.connect() as client:
        for byte in request("Echo", number=1):
            client.sendall(bytes([byte]))
        assert next(replies(client)) == {"parameters": {"number": 1}}


def test_replies_that_continue_come_when_they_were_asked_for(serving: Serving) -> None:
    numbers = [answer["number"] for answer in serving.client.stream("Count")]
    assert numbers == [0, 1, 2, 3]


def test_without_more_there_is_one_reply(serving: Serving) -> None:
    assert serving.client.call("Count") == {"number": 3}


def test_a_oneway_call_gets_no_reply(serving: Serving) -> None:
    with serving.connect() as client:
        silent = {"method": f"{NAME}.Echo", "parameters": {"number": 1}, "oneway": True}
        client.sendall(json.dumps(silent).encode() + b"\0" + request("Echo", number=2))
        assert next(replies(client)) == {"parameters": {"number": 2}}


def test_refusals_carry_name_and_parameters(serving: Serving) -> None:
    with serving.connect() as client:
        client.sendall(request("Refuse") + request("Input") + request("Sorry"))
        answers = replies(client)
        assert next(answers) == {"error": f"{NAME}.LeaseHeld", "parameters": {"leases": []}}
        assert [each["place"] for each in next(answers)["parameters"]["problems"]] == [
            "here",
            "there",
        ]
        assert next(answers)["parameters"] == {"message": "It cannot be done", "hint": "Try later"}


def test_a_broken_method_is_told_and_the_talk_goes_on(serving: Serving) -> None:
    with serving.connect() as client:
        client.sendall(request("Break"))
        answers = replies(client)
        assert next(answers)["error"] == f"{NAME}.Failed"
        client.sendall(request("Echo", number=1))
        assert next(answers) == {"parameters": {"number": 1}}
    assert [type(error) for error in serving.failures] == [ZeroDivisionError]


def test_a_client_that_leaves_is_told_to_those_who_serve_it(
    serving: Serving, methods: Methods
) -> None:
    with serving.connect() as client:
        client.sendall(request("Keep", more=True))
        assert next(replies(client)) == {"parameters": {"kept": 1}, "continues": True}
    wait_until(lambda: methods.left)
    serving.do(lambda: methods.kept[0].reply({"too": "late"}))
    assert methods.left == ["left"]
    assert still_answers(serving)


def test_an_answered_call_does_not_hear_of_its_client_leaving(
    serving: Serving, methods: Methods
) -> None:
    with serving.connect() as client:
        client.sendall(request("Keep"))
        wait_until(lambda: methods.kept)
        serving.do(lambda: methods.kept[0].reply({"number": 1}))
        assert next(replies(client)) == {"parameters": {"number": 1}}
    assert still_answers(serving)
    assert methods.left == []


MALFORMED = {
    "no JSON": b"hello\0",
    "not an object": b"[1]\0",
    "nothing": b"\0",
    "not UTF-8": b'{"method": "\xff"}\0',
    "no method": b'{"parameters": {}}\0',
    "a method that is no text": b'{"method": 7}\0',
    "parameters that are no object": b'{"method": "a.b", "parameters": [1]}\0',
    "a key twice": b'{"method": "a.b", "method": "c.d"}\0',
    "not a number": b'{"method": "a.b", "parameters": {"x": NaN}}\0',
    "an endless number": b'{"method": "a.b", "parameters": {"x": 1e999}}\0',
    "a very long number": b'{"method": "a.b", "parameters": {"x": ' + b"9" * 900_000 + b"}}\0",
    "half a surrogate pair": b'{"method": "a.b", "parameters": {"x": "\\ud800"}}\0',
    "a little too deep": b'{"method": "a.b", "x": ' + b"[" * 17 + b"1" + b"]" * 17 + b"}\0",
    "much too deep": b"[" * 900_000 + b"\0",
    "deep and never closed": b'{"x":' * 200_000 + b"\0",
    "a very long text": b'{"method": "a.b", "parameters": {"x": "' + b"x" * 257 + b'"}}\0',
    "more than anybody declares": b'{"method": "a.b", "x": [' + b"0," * 40_000 + b"0]}\0",
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_message_is_refused_and_the_client_parted_from(
    serving: Serving, message: bytes
) -> None:
    with serving.connect() as client:
        client.sendall(message)
        (answer,) = replies(client)
        assert answer["error"] == f"{NAME}.Malformed"
        assert answer["parameters"]["reason"]
    assert serving.failures == []
    assert still_answers(serving)


@pytest.mark.parametrize("end", [b"", b"\0"], ids=["without end", "with an end"])
def test_a_huge_message_is_cut_off(serving: Serving, end: bytes) -> None:
    with serving.connect() as client:
        try:
            client.sendall(b" " * 3_000_000 + end)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was cut off while we were still sending
        client.settimeout(10)
        try:
            errors = [answer["error"] for answer in replies(client)]
        except ConnectionResetError:
            errors = []
        assert errors in ([f"{NAME}.Malformed"], [])
    assert still_answers(serving)


def test_a_message_of_nearly_a_mebibyte_is_taken(serving: Serving) -> None:
    texts = ["x" * 256] * 4000
    assert serving.client.call("Echo", {"texts": texts}) == {"texts": texts}


def test_a_half_sent_message_is_not_waited_for_for_ever(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIME_FOR_A_MESSAGE", 0.1)
    with serving.connect() as client:
        client.sendall(request("Echo")[:10])
        (answer,) = replies(client)
        assert "not complete" in answer["parameters"]["reason"]
    assert still_answers(serving)


def trickle(client: socket.socket, until: float) -> None:
    while time.monotonic() < until:
        client.sendall(b" ")
        time.sleep(0.01)


def test_trickling_a_message_does_not_win_time(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIME_FOR_A_MESSAGE", 0.2)
    with serving.connect() as client:
        started = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            trickle(client, until=started + 10)
    assert time.monotonic() - started < 5


def test_a_client_may_think_between_its_calls(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIME_FOR_A_MESSAGE", 0.05)
    with serving.connect() as client:
        answers = replies(client)
        client.sendall(request("Echo", number=1))
        assert next(answers) == {"parameters": {"number": 1}}
        assert not threading.Event().wait(0.2)
        client.sendall(request("Echo", number=2))
        assert next(answers) == {"parameters": {"number": 2}}


def look_for_the_resting(serving: Serving) -> None:
    """Have the server look as it does every half minute."""
    looked = threading.Event()
    serving.loop.call_soon_threadsafe(serving.server._part_from_the_resting)
    serving.loop.call_soon_threadsafe(looked.set)
    assert looked.wait(10)


def test_a_client_that_asks_for_nothing_more_is_parted_from(serving: Serving) -> None:
    with serving.connect() as silent, serving.connect() as client:
        wait_until(lambda: len(serving.server._connections) == 2)
        assert serving.server._resting.runs
        look_for_the_resting(serving)
        answers = replies(client)
        client.sendall(request("Echo", number=1))
        assert next(answers) == {"parameters": {"number": 1}}
        look_for_the_resting(serving)
        assert silent.recv(1) == b""
        client.sendall(request("Echo", number=2))
        assert next(answers) == {"parameters": {"number": 2}}
        for _look in range(2):
            look_for_the_resting(serving)
        assert client.recv(1) == b""


def test_a_client_that_is_not_answered_yet_may_be_silent(serving: Serving) -> None:
    with serving.connect() as client:
        client.sendall(request("Keep"))
        wait_until(lambda: [it for it in serving.server._connections if not it.idle])
        for _look in range(3):
            look_for_the_resting(serving)
        assert len(serving.server._connections) == 1


def test_a_client_that_never_reads_is_parted_from_and_delays_nobody(serving: Serving) -> None:
    with serving.connect() as client:
        client.sendall(request("Flood", more=True))
        assert still_answers(serving)
        wait_until(lambda: not serving.server._connections)
    assert still_answers(serving)


def test_a_client_that_asks_on_and_on_without_reading_is_bounded(
    serving: Serving, methods: Methods
) -> None:
    with serving.connect() as client:
        client.sendall(request("Keep"))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.sendall(request("Echo", text=["x" * 256] * 256) * 200)
    wait_until(lambda: methods.left)
    assert still_answers(serving)
