# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages survive the way, however they are cut; what is none is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.varlink import (
    REQUEST,
    Inbox,
    Limits,
    MalformedMessage,
    decode,
    encode,
)
from hypothesis import given
from hypothesis import strategies as st

from ..searching import searching
from .strategies import bytes_like

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


@searching
@given(MESSAGES)
def test_what_is_written_is_read_again(message: dict[str, Any]) -> None:
    assert decode(encode(message)[:-1]) == message


@searching
@given(st.lists(MESSAGES, max_size=4), st.integers(1, 50))
def test_messages_arrive_whole_however_they_are_cut(
    messages: list[dict[str, Any]], size: int
) -> None:
    data = b"".join(encode(message) for message in messages)
    inbox = Inbox(REQUEST)
    found = []
    for start in range(0, len(data), size):
        inbox.feed(data[start : start + size])
        while (message := inbox.next()) is not None:
            found.append(message)
    assert found == messages
    assert len(inbox) == 0


@searching
@given(bytes_like(encode({"method": "a.B", "parameters": {"x": [1, "y"]}, "more": True})))
def test_any_bytes_are_messages_or_refused(data: bytes) -> None:
    inbox = Inbox(REQUEST)
    inbox.feed(data)
    with suppress(MalformedMessage):
        while (message := inbox.next()) is not None:
            assert isinstance(message, dict)


@pytest.mark.parametrize("end", [b"", b"\0"])
def test_a_message_past_the_limit_is_refused_with_and_without_its_end(end: bytes) -> None:
    inbox = Inbox(Limits(10, REQUEST.bounds))
    inbox.feed(b"x" * 11 + end)
    with pytest.raises(MalformedMessage, match="longer than 10 bytes"):
        inbox.next()


def test_what_is_wrong_with_a_message_is_told_as_a_sentence() -> None:
    with pytest.raises(MalformedMessage, match=r"^the message names a key twice$"):
        decode(b'{"x": 1, "x": 2}')


def test_infinity_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"x": float("inf")})
