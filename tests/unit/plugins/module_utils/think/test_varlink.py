# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages survive the way, however they are cut; what is none is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.varlink import (
    Inbox,
    MalformedMessage,
    decode,
    encode,
)
from hypothesis import given, settings
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.dictionaries(st.text(), VALUES, max_size=4)


@settings(deadline=None, max_examples=50)
@given(MESSAGES)
def test_what_is_written_is_read_again(message: dict[str, Any]) -> None:
    assert decode(encode(message)[:-1]) == message


@settings(deadline=None, max_examples=50)
@given(st.lists(MESSAGES, max_size=4), st.integers(1, 50))
def test_messages_arrive_whole_however_they_are_cut(
    messages: list[dict[str, Any]], size: int
) -> None:
    data = b"".join(encode(message) for message in messages)
    inbox = Inbox(1 << 20)
    found = []
    for start in range(0, len(data), size):
        inbox.feed(data[start : start + size])
        while (message := inbox.next()) is not None:
            found.append(message)
    assert found == messages
    assert len(inbox) == 0


@settings(deadline=None, max_examples=50)
@given(st.binary())
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with suppress(MalformedMessage):
        assert isinstance(decode(data), dict)


@pytest.mark.parametrize("end", [b"", b"\0"])
def test_a_message_past_the_limit_is_refused_with_and_without_its_end(end: bytes) -> None:
    inbox = Inbox(10)
    inbox.feed(b"x" * 11 + end)
    with pytest.raises(MalformedMessage, match="longer than 10 bytes"):
        inbox.next()


@pytest.mark.parametrize("number", [2**63, -(2**63), 10**30])
def test_a_number_of_more_than_64_bits_is_refused(number: int) -> None:
    with pytest.raises(MalformedMessage, match="no 64-bit number"):
        decode(f'{{"x": {number}}}'.encode())


def test_infinity_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"x": float("inf")})
