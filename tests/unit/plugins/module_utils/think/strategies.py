# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategies for hypothesis: values that are right, documents that are wrong, and bytes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.chronicle import (
    MOST,
    Chronicle,
    Counted,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.reentry import (
    BREAKER,
    BUCKET,
    Breaker,
    Memory,
    Span,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.select import describe
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.allowance import (
    Allowance,
    HostPolicy,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Declaration,
    Known,
    Match,
    Reentry,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.facts import Identity
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.history import (
    FOREIGN,
    OWN,
    History,
    Incident,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import (
    Mode,
    default_expectation,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.report import (
    Lease,
    Wakes,
)
from hypothesis import strategies as st

# Right values

ADDRESSES = st.builds(
    PciAddress,
    st.integers(0, 2**32 - 1),
    st.integers(0, 255),
    st.integers(0, 31),
    st.integers(0, 7),
)
NAMES = st.text(min_size=1, max_size=12).filter(lambda it: it == it.strip() and it.isprintable())
HOLDERS = st.from_regex(r"[A-Za-z0-9._:/@-]{1,8}", fullmatch=True)
TIMES = st.floats(0, 4e9)
COUNTS = st.integers(0, 2**60)


def digits(width: int) -> st.SearchStrategy[str]:
    return st.integers(0, 16**width - 1).map(lambda number: f"{number:0{width}x}")


def some(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Nothing, or a tuple of a few different ones."""
    few = st.lists(items, min_size=1, max_size=3, unique=True).map(tuple)
    return st.none() | few


MATCHES = st.builds(
    Match,
    vendor=some(digits(4)),
    device=some(digits(4)),
    subsystem_vendor=some(digits(4)),
    subsystem_device=some(digits(4)),
    class_=some(digits(2) | digits(6)),
    driver=some(NAMES),
    iommu_group=some(st.integers(0, 500)),
    numa_node=some(st.integers(-1, 7)),
    slot=some(NAMES),
    boot_vga=st.none() | st.booleans(),
    property=st.none() | st.dictionaries(NAMES, NAMES, min_size=1, max_size=2),
).filter(lambda match: match != Match())
IDENTITIES = st.builds(Identity, digits(4), digits(4), digits(4), digits(4), digits(6))
KNOWN = st.builds(Known, ADDRESSES, st.none() | IDENTITIES, NAMES)


POLICIES = st.builds(HostPolicy, *[st.sampled_from([None, *Allowance])] * len(HostPolicy._fields))


def rule(
    name: str, selector: Any, mode: Mode, reserve: bool, reentry: Reentry, policy: HostPolicy
) -> Rule:
    """Return a rule without contradictions in it."""
    reserve = reserve and mode is Mode.NONE
    if mode is not Mode.NONE and policy.runtime_pm is Allowance.FORBID:
        policy = policy._replace(runtime_pm=None)
    made = Rule(name, selector, mode, reserve, default_expectation(mode, reserve), policy=policy)
    return made._replace(reentry=reentry) if mode is Mode.ENTRY_WITH_WAKEUP else made


RULES = st.builds(
    rule,
    NAMES,
    ADDRESSES | MATCHES,
    st.sampled_from(Mode),
    st.booleans(),
    st.builds(Reentry, st.floats(0.1, 86400.0), st.integers(1, 36000), st.integers(1, 36000)),
    POLICIES,
)


DECLARATIONS = st.builds(
    Declaration,
    st.lists(
        RULES, max_size=4, unique_by=(lambda it: it.name, lambda it: describe(it.selector))
    ).map(tuple),
    st.lists(MATCHES, max_size=1).map(tuple),
    COUNTS,
)
SPANS = st.builds(Span, TIMES, TIMES)
MEMORIES = st.builds(
    Memory,
    spent=TIMES,
    counted=TIMES,
    asleep_since=st.none() | TIMES,
    due=st.none() | TIMES,
    put_off_by=st.sampled_from([None, BUCKET, BREAKER]),
    suppressed=COUNTS,
    own=st.booleans(),
    breaker=st.sampled_from(Breaker),
    sleeps=st.lists(SPANS, max_size=8).map(tuple),
    good=COUNTS,
    storm_wakes=COUNTS,
    storm=SPANS,
)
WAKES = st.builds(Wakes, COUNTS, COUNTS, st.none() | TIMES)
HISTORIES = st.builds(
    History,
    TIMES,
    COUNTS,
    COUNTS,
    COUNTS,
    st.lists(
        st.builds(Incident, TIMES, st.sampled_from([OWN, FOREIGN]), COUNTS), max_size=MOST
    ).map(tuple),
    TIMES,
    TIMES,
)
CHRONICLES = st.builds(
    Chronicle,
    ADDRESSES,
    st.none() | IDENTITIES,
    HISTORIES,
    st.builds(Counted, digits(32), COUNTS, COUNTS),
    WAKES,
)
LEASES = st.lists(
    st.builds(Lease, ADDRESSES, HOLDERS, TIMES, st.none() | TIMES, st.none() | TIMES),
    max_size=4,
    unique_by=lambda lease: (lease.address, lease.holder),
)

# Wrong ones

HARD = [
    *(None, True, -1, 2**63, -(2**63), 10**400, 1e308, 5e-324, float("nan"), float("inf")),
    *("", "\ud800", "\0", "a" * 5000, "0000:02:00.0", "entry", [], {}, [[]], {"": {}}),
]
ANYTHING = st.sampled_from(HARD) | st.recursive(
    st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def like(document: Any) -> st.SearchStrategy[Any]:
    """The document with anything in the place of a few of its parts, or one part more."""
    change = st.tuples(st.sampled_from(list(_places(document))), ANYTHING)
    return st.lists(change, max_size=3).map(lambda changes: _changed(document, changes))


def _places(part: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(part, dict):
        yield (*at, "more")
    keys = range(len(part)) if isinstance(part, list) else part if isinstance(part, dict) else ()
    for key in keys:
        yield from _places(part[key], (*at, key))


def _changed(document: Any, changes: list[tuple[tuple[Any, ...], Any]]) -> Any:
    whole = [copy.deepcopy(document)]
    for at, value in changes:
        *way, last = (0, *at)
        part: Any = whole
        for key in way:
            part = part[key] if _has(part, key) else None
        # A change before this one may have put an object in the place of a list.
        if (isinstance(part, dict) and isinstance(last, str)) or _has(part, last):
            part[last] = copy.deepcopy(value)
    return whole[0]


def _has(part: Any, key: Any) -> bool:
    if isinstance(part, dict):
        return key in part
    return isinstance(part, list) and isinstance(key, int) and key < len(part)


def bytes_like(content: bytes) -> st.SearchStrategy[bytes]:
    """The bytes of a document with a piece of them replaced, or any others."""
    place = st.integers(0, len(content))
    damaged = st.builds(
        lambda at, length, piece: content[:at] + piece + content[at + length :],
        place,
        st.integers(0, 20),
        st.binary(max_size=8) | st.sampled_from([b"[" * 2000, b'{"":' * 500, b"NaN", b"1e999"]),
    )
    return damaged | st.binary(max_size=64) | ANYTHING.map(_as_json)


def _as_json(value: Any) -> bytes:
    return json.dumps(value).encode()
