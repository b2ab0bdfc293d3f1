# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the helper's errors mean, as sentences with a next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ..words.errors import HelperRefused

Parameters = Mapping[str, Any]


def refusal(name: str, parameters: Parameters) -> HelperRefused:
    """Turn an error of the socket's interface into one of ours."""
    short = name.rpartition(".")[2]
    explain = _EXPLANATIONS.get(short, _unknown)
    message, hint = explain(parameters)
    return HelperRefused(short, message or f"The helper refused: {name}", hint, parameters)


def _generation(parameters: Parameters) -> tuple[str, str]:
    expected, actual = parameters.get("expected"), parameters.get("actual")
    return (
        f"Somebody else changed the declaration meanwhile: generation {expected} was expected,"
        f" it is {actual}",
        "Run it again",
    )


def _input(parameters: Parameters) -> tuple[str, str]:
    problems = [f"{each.get('place')}: {each.get('message')}" for each in _rows(parameters)]
    return "; ".join(problems), ""


def _lease(parameters: Parameters) -> tuple[str, str]:
    held = [f"{each.get('address')} by {each.get('holder')}" for each in _rows(parameters)]
    return (
        f"A lease is held of {', '.join(held)}",
        "Reclaim it with its holder's name, once that one is done",
    )


def _timeout(parameters: Parameters) -> tuple[str, str]:
    rows, holder = _rows(parameters), parameters.get("holder")
    told = [_unfinished(row) for row in rows] or ["its work"]
    message = f"The kernel did not come back in time from {', '.join(told)}"
    hint = "Look at the kernel log of these devices; the call goes on"
    if holder is not None:
        addresses = " ".join(str(it.get("address")) for it in rows) or "ADDRESS"
        hint += (
            f", and the lease of {holder} stays. To end it:"
            f" vfio-powerctl reclaim {addresses} --holder {holder}"
        )
    return message, hint


def _unfinished(pending: Parameters) -> str:
    address, call = pending.get("address"), pending.get("call")
    if pending.get("seconds") is None:
        return f"what {address} waits behind with its {call}"
    return f"{address} in {call}"


def _failed(parameters: Parameters) -> tuple[str, str]:
    return str(parameters.get("message", "")), str(parameters.get("hint", ""))


def _malformed(parameters: Parameters) -> tuple[str, str]:
    return f"The helper cannot read the request: {parameters.get('reason')}", ""


def _method(parameters: Parameters) -> tuple[str, str]:
    return (
        f"The helper does not know the method {parameters.get('method')}",
        "Helper and collection are of different versions: run the role vfio.power.helper",
    )


def _permission(_parameters: Parameters) -> tuple[str, str]:
    return "The helper listens to root only", "Become root"


def _unknown(_parameters: Parameters) -> tuple[str, str]:
    return "", ""


def _rows(parameters: Parameters) -> list[Parameters]:
    """Return the objects of the one list that the error carries."""
    lists = [value for value in parameters.values() if isinstance(value, list)]
    return [row for rows in lists for row in rows if isinstance(row, Mapping)]


_EXPLANATIONS: Mapping[str, Callable[[Parameters], tuple[str, str]]] = {
    "GenerationMismatch": _generation,
    "InputRefused": _input,
    "LeaseHeld": _lease,
    "Timeout": _timeout,
    "Failed": _failed,
    "Malformed": _malformed,
    "MethodNotFound": _method,
    "PermissionDenied": _permission,
}
