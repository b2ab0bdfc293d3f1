# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others wrote is read within bounds, or refused with a reason; it never breaks the reader."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.strict_json import (
    MAX_DEPTH,
    Bounds,
    NotStrict,
    read,
)
from hypothesis import given
from hypothesis import strategies as st

from ..searching import searching
from .strategies import ANYTHING, bytes_like

BOUNDS = Bounds(values=20, text=10)

REFUSED = {
    "nothing": (b"", "is not JSON"),
    "half of it": (b'{"x": ', "is not JSON"),
    "more than one": (b"1 2", "is not JSON"),
    "not UTF-8": (b'"\xff"', "is not UTF-8"),
    "UTF-16": ('"x"'.encode("utf-16"), "is not UTF-8"),
    "a key twice": (b'{"x": 1, "x": 1}', "names a key twice"),
    "a key twice inside": (b'{"y": [{"x": 1, "x": 2}]}', "names a key twice"),
    "NaN": (b"[NaN]", "NaN"),
    "Infinity": (b"-Infinity", "Infinity"),
    "an endless float": (b"1e999", "too large a number"),
    "one more than 63 bits": (b"9223372036854775808", "no 64-bit number"),
    "one less": (b"-9223372036854775808", "no 64-bit number"),
    "a million digits": (b"9" * 1_000_000, "no 64-bit number"),
    "a million digits and a point": (b"9" * 1_000_000 + b".5", "too large a number"),
    "half a surrogate pair": (b'"\\udc00"', "surrogate"),
    "half a pair for a key": (b'{"\\ud800": 1}', "surrogate"),
    "one level too many": (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "deeper than 16"),
    "levels without an end": (b"[" * 20, "is not JSON"),
    "long text": (b'"aaaaaaaaaaa"', "text of more than 10"),
    "a long key": (b'{"aaaaaaaaaaa": 1}', "text of more than 10"),
    "many values": (b"[" + b"1," * 20 + b"1]", "more than 20 values"),
    "many empty values": (b"[" + b"{}," * 10 + b"{}]", "more than 20 values"),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_json_or_too_much_of_it_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(NotStrict, match=reason):
        read(data, BOUNDS)


@pytest.mark.parametrize("opening", [b"[", b'{"":', b"[[[{}],"])
def test_depth_is_told_and_does_not_end_the_process(opening: bytes) -> None:
    with pytest.raises(NotStrict, match="nested"):
        read(opening * 100_000)


@pytest.mark.parametrize("data", [b"0", b"-9223372036854775807", b'"aaaaaaaaaa"', b"5e-324", b"[]"])
def test_what_is_just_within_the_bounds_is_read(data: bytes) -> None:
    assert read(data, BOUNDS) == json.loads(data)


def test_a_pair_of_surrogates_is_one_letter() -> None:
    assert read(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("part", [b"{},", b"[],", b'{"":1},', b"[[[[[{}]]]]],", b'{"":{"":1}},'])
def test_a_megabyte_of_small_things_is_refused_before_they_are_built(part: bytes) -> None:
    data = b"[" + part * ((1 << 20) // len(part)) + b"1]"
    tracemalloc.start()
    with pytest.raises(NotStrict, match="values"):
        read(data, Bounds(values=1 << 15))
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@searching
@given(bytes_like(b'{"method": "a.B", "parameters": {"x": [1, 2.5, null, "y"]}, "more": true}'))
def test_any_bytes_are_a_value_that_json_can_write_again_or_refused(data: bytes) -> None:
    try:
        value = read(data)
    except NotStrict:
        return
    again = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    assert read(again) == value


@searching
@given(ANYTHING, st.booleans())
def test_a_value_that_json_has_is_read_as_it_was_written(value: object, ascii_only: bool) -> None:
    try:
        written = json.dumps(value, allow_nan=False, ensure_ascii=ascii_only).encode()
        found = read(written)
    except ValueError:  # NaN, surrogates and long numbers; NotStrict is one of them
        return
    assert found == value
