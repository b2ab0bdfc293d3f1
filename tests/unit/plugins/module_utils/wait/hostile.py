# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that no well-meaning client sends, made from a seed: none of them may be done."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, Callable

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.interface import NAME

MEBIBYTE = 1 << 20

RIGHT: dict[str, dict[str, Any]] = {
    "Apply": {"rules": [], "exclude": [], "expected_generation": 1, "timeout": 5.0},
    "Release": {"addresses": ["0000:02:00.0"], "all": False, "holder": "guest", "ttl": 5.0},
    "Reclaim": {"addresses": ["0000:02:00.0"], "holder": "guest"},
    "Rearm": {"addresses": ["0000:02:00.0"]},
    "Clear": {"addresses": ["0000:02:00.0"]},
}
"""Parameters that would be done, for each method that does anything."""

WRONG: dict[str, list[Any]] = {
    "rules": [None, 5, "x", {}, [None], [[]], ["02:00.0"], [{}] * 3000, [{"mode": 5}], [[[[[]]]]]],
    "exclude": [None, 1.5, "x", {"address": 5}, [5], [{"match": {}}], [{"x" * 4000: 1}] * 200],
    "expected_generation": [None, 1.0, "1", True, -1, 2**62, [], {}],
    "timeout": ["soon", -1, 0, 1e300, 10**12, [], True],
    "addresses": [None, 5, "0000:02:00.0", [5], ["../.."], [""], [None], ["x" * 4000] * 200, [{}]],
    "holder": [5, "", "a b", "x" * 129, "\n", "é", [], {"a": 1}, True],
    "all": [0, 1, "true", [], {}],
    "ttl": ["long", -1, 1e300, 2**62, [], True, -0.5],
}


def messages(seed: int, count: int) -> Iterator[bytes]:
    """Return so many of them, most of them whole: each is to be refused, or cut off."""
    dice = random.Random(seed)
    for _turn in range(count):
        yield dice.choice(KINDS)(dice)


def envelope(dice: random.Random) -> bytes:
    """A call with a parameter that makes no sense, or none where one is needed."""
    method = dice.choice(list(RIGHT))
    parameters = dict(RIGHT[method])
    name = dice.choice(list(parameters))
    parameters[name] = dice.choice(WRONG[name])
    return call(method, parameters)


def call(method: str, parameters: Any, **more: Any) -> bytes:
    message = {"method": f"{NAME}.{method}", "parameters": parameters, **more}
    return json.dumps(message).encode() + b"\0"


def damaged(dice: random.Random) -> bytes:
    """A good call with a piece of it replaced by noise, which JSON cannot have."""
    good = call("List", {})
    at = dice.randrange(len(good) - 1)
    return good[:at] + b"\xff" + dice.randbytes(dice.randrange(8)).replace(b"\0", b"\1") + b"\0"


def noise(dice: random.Random) -> bytes:
    return b"\xfe" + dice.randbytes(dice.randrange(200)) + b"\0"


def half(dice: random.Random) -> bytes:
    whole = envelope(dice)
    return whole[: dice.randrange(1, len(whole) - 1)]


def deep(dice: random.Random) -> bytes:
    opening = dice.choice([b"[", b'{"":', b"[{},", b'{"a":[', b'{"method":"x","parameters":['])
    size = dice.choice([20, 200, 2000, 20_000])
    return opening * size + dice.choice([b"\0", b"1" + b"]" * size + b"\0"])


def twice(dice: random.Random) -> bytes:
    key = dice.choice(["method", "parameters", "more", "x"])
    return f'{{"method":"{NAME}.LetGo","{key}":{{}},"{key}":{{}}}}'.encode() + b"\0"


def numbers(dice: random.Random) -> bytes:
    number = dice.choice(
        ["NaN", "Infinity", "-Infinity", "1e999", "9" * 30, "9" * 5000, "01", "+1"]
    )
    return f'{{"method":"{NAME}.LetGo","parameters":{{"x":{number}}}}}'.encode() + b"\0"


def text(dice: random.Random) -> bytes:
    word = dice.choice(['"\\ud800"', '"\\udfff"', f'"{"x" * 5000}"', '"\\x"', '"\t"', "'x'", '"'])
    return f'{{"method":"{NAME}.LetGo","parameters":{{"x":{word}}}}}'.encode() + b"\0"


def types(dice: random.Random) -> bytes:
    message = dice.choice(
        [
            {"method": dice.choice([None, 5, ["List"], {}, True])},
            {"method": f"{NAME}.LetGo", "parameters": dice.choice([[], "x", 5, True, 1.5])},
            {"parameters": {}},
            {},
            [],
            [{"method": f"{NAME}.LetGo"}],
            "List",
            5,
            None,
        ]
    )
    return json.dumps(message).encode() + b"\0"


def unknown(dice: random.Random) -> bytes:
    names = [
        "",
        ".",
        "..",
        NAME,
        f"{NAME}.",
        f"{NAME}.letgo",
        f"{NAME}.LetGo.",
        "x" * 4000,
        "LetGo",
    ]
    return json.dumps({"method": dice.choice(names), "parameters": {}}).encode() + b"\0"


def huge(dice: random.Random) -> bytes:
    part = dice.choice([b"x", b" ", b"1", b"[],", b"{},", b'{"":1},', b'"a",', b"9", b'"a":1,'])
    size = dice.choice([MEBIBYTE // 2, MEBIBYTE - 100, MEBIBYTE, 2 * MEBIBYTE])
    start = dice.choice([b"", b"[", b'{"method":"x","parameters":{"x":[', b'{"x":"', b'{"x":'])
    return start + part * (size // len(part)) + dice.choice([b"", b"\0"])


Kind = Callable[[random.Random], bytes]
KINDS: list[Kind] = [
    *[envelope] * 12,
    *[damaged, noise, half, deep, twice, numbers, text, types, unknown] * 4,
    huge,
]
