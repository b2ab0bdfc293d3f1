# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations and devices as JSON documents: what is stored and what travels.

Rules look as in a task, with every default spelled out, so that a default that
changes in a later version does not change what was declared under this one.
"""

from __future__ import annotations

from typing import Optional

from ..words.address import PciAddress
from ..words.allowance import KNOBS, HostPolicy
from ..words.declaration import Declaration, Known, Match, Rule, Selector
from ..words.errors import InputError
from ..words.facts import Identity
from ..words.mode import Mode
from .parse_digits import read_address, read_hex
from .parse_values import Problems, read_keys, read_text

KNOWN_KEYS = ("address", "identity", "rule")
_WIDTHS = {field: 6 if field == "class_code" else 4 for field in Identity._fields}


def declaration_document(declaration: Declaration) -> dict[str, object]:
    """Return the declaration as JSON has it; parse_declaration reads it back."""
    return {
        "generation": declaration.generation,
        "rules": [rule_document(rule) for rule in declaration.rules],
        "exclude": [selector_document(selector) for selector in declaration.exclude],
    }


def rule_document(rule: Rule) -> dict[str, object]:
    """Return one rule as a task spells it."""
    document: dict[str, object] = {"name": rule.name, **selector_document(rule.selector)}
    document.update(mode=rule.mode.value, reserve=rule.reserve, expect=rule.expect.value)
    document.update(policy_document(rule.policy))
    if rule.mode is Mode.ENTRY_WITH_WAKEUP:
        document["reentry"] = dict(rule.reentry._asdict())
    if rule.count is not None:
        document["count"] = rule.count
    return document


def policy_document(policy: HostPolicy) -> dict[str, object]:
    """Return what a policy says, and nothing of what it leaves alone."""
    said = {knob.option: knob.said(policy) for knob in KNOBS}
    return {option: word for option, word in said.items() if word}


def selector_document(selector: Selector) -> dict[str, object]:
    """Return a selector as a task spells it."""
    if isinstance(selector, PciAddress):
        return {"address": str(selector)}
    return {"match": _match_document(selector)}


def _match_document(match: Match) -> dict[str, object]:
    return {
        key.rstrip("_"): list(asked) if isinstance(asked, tuple) else asked
        for key, asked in match._asdict().items()
        if asked is not None
    }


def known_document(known: Known) -> dict[str, object]:
    """Return one device as JSON has it; parse_known reads it back."""
    identity = identity_document(known.identity)
    return {"address": str(known.address), "identity": identity, "rule": known.rule}


def identity_document(identity: Optional[Identity]) -> Optional[dict[str, str]]:
    """Return an identity as JSON has it; parse_identity reads it back."""
    return identity._asdict() if identity else None


def parse_identity(value: object, place: str) -> Optional[Identity]:
    """Read an identity, or None where it was not known."""
    problems: Problems = []
    identity = None if value is None else _read_identity(value, place, problems)
    if problems:
        raise InputError(problems)
    return identity


def parse_known(document: object) -> Known:
    """Read one device that the declaration came to mean."""
    problems: Problems = []
    given = read_keys(document, "device", problems, KNOWN_KEYS) or {}
    address = read_address(given.get("address"), "device.address", problems)
    rule = read_text(given.get("rule"), "device.rule", problems)
    identity = None
    if "identity" in given:
        identity = _read_identity(given["identity"], "device.identity", problems)
    if address is None or rule is None or problems:
        raise InputError(problems)
    return Known(address, identity, rule)


def _read_identity(value: object, place: str, problems: Problems) -> Optional[Identity]:
    given = read_keys(value, place, problems, Identity._fields)
    if given is None:
        return None
    digits = [
        read_hex(given.get(field), f"{place}.{field}", problems, (width,))
        for field, width in _WIDTHS.items()
    ]
    return Identity(*(text or "" for text in digits))
