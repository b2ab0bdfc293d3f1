# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of the list of devices: a rule, or the wish that it be gone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Callable, NamedTuple, Optional, Union

from ..words.allowance import KNOBS, Allowance, HostPolicy
from ..words.declaration import Reentry, Rule, Selector
from ..words.errors import Problem
from ..words.mode import Expect, Mode, default_expectation
from .parse_match import read_selector_of
from .parse_reentry import read_reentry
from .parse_values import (
    MOST_LETTERS,
    Problems,
    listed,
    read_choice,
    read_flag,
    read_keys,
    read_text,
    read_whole,
)
from .select import describe

RULE_KEYS = (
    "name",
    "address",
    "match",
    "mode",
    "reserve",
    "expect",
    *(knob.option for knob in KNOBS),
    "reentry",
    "count",
)
ENTRY_KEYS = (*RULE_KEYS, "state")


class Presence(str, Enum):
    """Whether an entry is to be declared."""

    PRESENT = "present"
    ABSENT = "absent"


class Absent(NamedTuple):
    """An entry that is to be declared no longer."""

    name: str
    selector: Selector


Entry = Union[Rule, Absent]


class _Wish(NamedTuple):
    """What the keys of an entry say, each for itself; None for not said, or said wrongly."""

    state: Optional[Presence] = None
    mode: Optional[Mode] = None
    reserve: Optional[bool] = None
    expect: Optional[Expect] = None
    policy: HostPolicy = HostPolicy()
    reentry: Optional[Reentry] = None
    found: Optional[int] = None


def read_entry(
    value: object, place: str, problems: Problems, keys: tuple[str, ...] = ENTRY_KEYS
) -> Optional[Entry]:
    """Read one entry; ``keys`` are those that may occur in it."""
    told = len(problems)
    given = read_keys(value, place, problems, keys)
    if given is None:
        return None
    name = read_text(given["name"], f"{place}.name", problems) if "name" in given else None
    place = f"{place} ({name})" if name else place
    selector = read_selector_of(given, place, problems)
    wish = _read_wish(given, place, problems)
    if wish.state is not Presence.ABSENT:
        _refuse_contradictions(wish, given, place, problems)
    if selector is None or len(problems) > told:
        return None
    name = name or describe(selector)
    if len(name) > MOST_LETTERS:
        problem = f"the match is the rule's name, and {len(name)} letters long; give it a name"
        problems.append(Problem(place, f"{problem} of at most {MOST_LETTERS}"))
        return None
    return _entry(name, selector, wish)


def _read_wish(given: Mapping[str, object], place: str, problems: Problems) -> _Wish:
    wish = _Wish()
    if "state" in given:
        wish = wish._replace(
            state=read_choice(given["state"], f"{place}.state", problems, Presence)
        )
    if "mode" in given:
        wish = wish._replace(mode=read_choice(given["mode"], f"{place}.mode", problems, Mode))
    if "reserve" in given:
        wish = wish._replace(reserve=read_flag(given["reserve"], f"{place}.reserve", problems))
    if "expect" in given:
        wish = wish._replace(
            expect=read_choice(given["expect"], f"{place}.expect", problems, Expect)
        )
    wish = wish._replace(policy=read_policy(given, place, problems))
    if "reentry" in given:
        wish = wish._replace(reentry=read_reentry(given["reentry"], f"{place}.reentry", problems))
    if "count" in given:
        wish = wish._replace(found=read_whole(given["count"], f"{place}.count", problems, 0))
    return wish


def read_policy(given: Mapping[str, object], place: str, problems: Problems) -> HostPolicy:
    """Read what is said of the host's policy; what is not said is left alone."""
    said = {
        knob.option: read_choice(given[knob.option], f"{place}.{knob.option}", problems, Allowance)
        for knob in KNOBS
        if knob.option in given
    }
    return HostPolicy(**said)


def _refuse_contradictions(
    wish: _Wish, given: Mapping[str, object], place: str, problems: Problems
) -> None:
    """Refuse what makes no sense together; a value that was refused already is not judged."""

    def refuse(key: str, message: str) -> None:
        problems.append(Problem(f"{place}.{key}", message))

    if "mode" not in given:
        refuse("mode", f"is missing; say one of {listed(Mode)}")
    if wish.mode is None:
        return
    if wish.reserve and wish.mode is not Mode.NONE:
        refuse("reserve", f"goes with mode none only; mode {wish.mode} keeps the device anyway")
    if wish.expect is Expect.AWAKE and wish.mode is not Mode.NONE:
        refuse("expect", f"awake contradicts mode {wish.mode}, which lets the device sleep")
    if wish.expect in (Expect.ASLEEP, Expect.D3COLD) and wish.reserve:
        refuse("expect", f"{wish.expect} contradicts reserve, which keeps the device awake")
    _refuse_policy(wish, refuse)
    if "reentry" in given and wish.mode is not Mode.ENTRY_WITH_WAKEUP:
        refuse("reentry", f"goes with mode entry-with-wakeup only, not with mode {wish.mode}")


def _refuse_policy(wish: _Wish, refuse: Callable[[str, str], None]) -> None:
    """Refuse a policy under which the device could not do what else is said of it."""
    if wish.policy.runtime_pm is Allowance.FORBID:
        if wish.mode is not Mode.NONE:
            refuse("runtime_pm", f"forbid contradicts mode {wish.mode}: it could never sleep")
        elif wish.expect in (Expect.ASLEEP, Expect.D3COLD):
            refuse("runtime_pm", f"forbid contradicts expect {wish.expect}: it could never sleep")
    if wish.policy.d3cold is Allowance.FORBID and wish.expect is Expect.D3COLD:
        refuse("d3cold", "forbid contradicts expect d3cold; asleep is what D3hot is as well")


def _entry(name: str, selector: Selector, wish: _Wish) -> Entry:
    if wish.state is Presence.ABSENT or wish.mode is None:
        return Absent(name, selector)
    rule = Rule(name, selector, wish.mode, wish.reserve or False, count=wish.found)
    rule = rule._replace(policy=wish.policy)
    if wish.reentry is not None:
        rule = rule._replace(reentry=wish.reentry)
    return rule._replace(expect=wish.expect or default_expectation(rule.mode, rule.reserve))
