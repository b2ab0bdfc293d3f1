# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values as people and YAML write them, read strictly.

Each reader returns the value, or None after it added a Problem. What the values
mean together is for parse_match.py and parse_rule.py, addresses and hexadecimal
digits are read in parse_digits.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Optional, TypeVar

from ..words.errors import Problem

Problems = list[Problem]
Choice = TypeVar("Choice", bound=Enum)

MOST_SECONDS = 86400.0
"""Longer than anything here takes, and short enough for every clock of the system."""

MOST_LETTERS = 256
"""Of a name, a reason or a property: enough for whoever writes one by hand."""

_WHOLE = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?", re.ASCII)
_SPOKEN = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def shown(value: object) -> str:
    """Return a value as it goes into a message: short, text in quotes, YAML's true and null."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(str(value) if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(words: Iterable[object], joint: str = "or") -> str:
    """Return ``a, b or c``."""
    texts = [str(word) for word in words]
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} {joint} {texts[-1]}"


def nearest(text: object, words: Sequence[str]) -> str:
    """Return `` (perhaps 'word')`` for a slip of the pen, or nothing."""
    from difflib import get_close_matches  # of use to a refusal only

    close = get_close_matches(str(text), words, n=1)
    return f" (perhaps {close[0]!r})" if close else ""


def is_number(value: object) -> bool:
    """Tell numbers from all else; true and false are no numbers here."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def unquoted(value: object, what: str, guesses: Sequence[str] = ()) -> str:
    """Return what to say of a number that stands where text belongs."""
    perhaps = f" (perhaps {listed(map(repr, guesses))})" if guesses else ""
    return (
        f"YAML read {shown(value)} as a number, as it has no quotes;"
        f" put quotes around the {what}{perhaps}"
    )


def read_text(value: object, place: str, problems: Problems) -> Optional[str]:
    """Read a piece of text: something to see, and nothing invisible in it."""
    if is_number(value):
        problems.append(Problem(place, unquoted(value, "text")))
    elif not isinstance(value, str):
        problems.append(Problem(place, f"{shown(value)} is not text; put quotes around text"))
    elif not value or value != value.strip() or not value.isprintable():
        problems.append(
            Problem(place, f"{shown(value)} is empty, or has blanks at an end or invisible letters")
        )
    elif len(value) > MOST_LETTERS:
        problem = f"{shown(value)} has {len(value)} letters; {MOST_LETTERS} are the most"
        problems.append(Problem(place, problem))
    else:
        return str(value)
    return None


def read_whole(value: object, place: str, problems: Problems, least: int) -> Optional[int]:
    """Read a whole number, as a number or as digits."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return int(value)
    problems.append(Problem(place, f"{shown(value)} is not a whole number of at least {least}"))
    return None


def read_seconds(
    value: object, place: str, problems: Problems, least: float, most: float
) -> Optional[float]:
    """Read a length of time in seconds, as a number or as digits."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    if isinstance(value, (int, float)) and is_number(value) and least <= value <= most:
        return float(value)
    problems.append(
        Problem(place, f"{shown(value)} is not a number of seconds from {least:g} to {most:g}")
    )
    return None


def read_flag(value: object, place: str, problems: Problems) -> Optional[bool]:
    """Read true or false, also as a template leaves them behind: ``'True'``."""
    if isinstance(value, bool):
        return value
    spoken = _SPOKEN.get(value.lower()) if isinstance(value, str) else None
    if spoken is None:
        problems.append(Problem(place, f"{shown(value)} is neither true nor false"))
    return spoken


def read_choice(
    value: object, place: str, problems: Problems, choices: type[Choice]
) -> Optional[Choice]:
    """Read one of the words of an enum."""
    words = [str(choice.value) for choice in choices]
    if isinstance(value, str) and value in words:
        return choices(value)
    problems.append(
        Problem(place, f"{shown(value)} is not one of {listed(words)}{nearest(value, words)}")
    )
    return None


def read_keys(
    value: object, place: str, problems: Problems, known: Sequence[str]
) -> Optional[dict[str, object]]:
    """Read a mapping with known keys; null means not given, as module options have it."""
    if not isinstance(value, Mapping):
        problems.append(
            Problem(place, f"{shown(value)} is not a mapping with keys out of {listed(known)}")
        )
        return None
    for key in value:
        if key not in known:
            near = nearest(key, known)
            message = f"unknown key {shown(key)}{near}; known keys: {listed(known, 'and')}"
            problems.append(Problem(place, message))
    return {key: value[key] for key in known if value.get(key) is not None}
