# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the methods of the socket read what is asked, refuse it, and answer when it is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import wraps
from typing import Any, Callable, Optional, TypeVar

from ..hold.asks import Ask
from ..hold.keeper import Keeper
from ..think.fields import Fields
from ..think.wire import report_to_json
from ..words.address import PciAddress
from ..words.errors import GenerationMismatch, InputError, Problem, VfioPowerError
from .connection import Call

S = TypeVar("S")


def refusing_bad_input(method: Callable[[S, Call], None]) -> Callable[[S, Call], None]:
    """Answer bad parameters with every problem in them, before anything is done."""

    @wraps(method)
    def guarded(self: S, call: Call) -> None:
        try:
            method(self, call)
        except InputError as error:
            explain(call, error)

    return guarded


def explain(call: Call, error: Optional[Exception], what: str = "it") -> None:
    """Answer with the error that fits; none of them may end the helper."""
    if isinstance(error, GenerationMismatch):
        call.error("GenerationMismatch", {"expected": error.expected, "actual": error.actual})
    elif isinstance(error, VfioPowerError):
        call.refuse(error)
    elif isinstance(error, OSError):
        reason = f"{error.filename}: {error.strerror}"
        hint = "Make room there, or make it writable, and repeat the change"
        call.error("Failed", {"message": f"{what} was not stored: {reason}", "hint": hint})
    else:
        hint = "The helper's journal says more: journalctl -u vfio-powerd"
        call.error("Failed", {"message": f"{what} was not stored: {error}", "hint": hint})


def addresses_of(fields: Fields) -> list[PciAddress]:
    """Read the addresses that are asked for."""
    try:
        return [PciAddress.parse(str(text)) for text in fields.need("addresses", list)]
    except ValueError as error:
        raise InputError([Problem("parameters.addresses", str(error))]) from None


def answer_when_settled(
    keeper: Keeper,
    call: Call,
    addresses: Iterable[PciAddress],
    within: float,
    begin: Callable[[], None],
    *,
    lent_to: Optional[str] = None,
    besides: Callable[[], Mapping[str, Any]] = dict,
) -> None:
    """Begin something, and answer with the devices once nothing is left to do for them."""
    shown = list(addresses)

    def finish(ask: Ask) -> None:
        reports = [keeper.report(address) for address in shown]
        if not ask.pending:
            devices = [report_to_json(report) for report in reports]
            call.reply({"devices": devices, **besides()})
            return
        hanging = [
            {"address": str(it.address), **it.running._asdict()} for it in reports if it.running
        ]
        call.error("Timeout", {"pending": hanging, "holder": lent_to})

    keeper.wait_for(Ask(shown, lambda *_done: None, finish), within, begin)
