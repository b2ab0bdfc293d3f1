# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``why``: what differs, keeps a device awake or stands between it and D3cold, with the next steps.

Under it the way from its root port, with all that is below the same ports.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator
from typing import Optional, Union

from ..touch.view import DeviceView, HostView
from ..words.report import Drift
from ..words.why import Node, Reason, Why
from . import wording
from .show import LABEL, run_with
from .stage import Stage

BRANCH, LAST = "├─ ", "└─ "


def run(stage: Stage, options: Namespace) -> int:
    """Print why, or all of the device as JSON."""
    return run_with(stage, options, lines)


def lines(stage: Stage, device: DeviceView, view: HostView) -> Iterator[str]:
    """Yield where it is, what differs here and on the host, the reasons, and the tree."""
    model = device.facts.model if device.facts else ""
    yield stage.paint("bold", f"{device.address}  {model}".rstrip())
    yield from _row("reached", [wording.reached(device)])
    why = device.why
    yield from _row("drift", _told(stage, _untold(device.drift, why)))
    yield from _row("host", _told(stage, view.drift))
    if why is None:
        return
    yield from _row("best", [_best(why)])
    yield from _row("awake", _told(stage, why.awake))
    yield from _row("not deeper", _told(stage, why.not_deeper))
    quirks = (f"{it.kind.value}: {it.reason}, says {it.source}" for it in device.quirks)
    yield from _row("quirk", quirks)
    yield from _row("others", map(str, device.rivals))
    yield from _row("tree", _tree(stage, why))


def _row(label: str, texts: Iterable[str]) -> Iterator[str]:
    for index, text in enumerate(texts):
        yield f"  {'' if index else label:<{LABEL}}{text}"


def _best(why: Why) -> str:
    if why.best is None:
        return "nobody can tell"
    if not why.awake and not why.not_deeper:
        return f"{why.best}; nothing is in the way"
    return why.best


def _untold(drift: Iterable[Drift], why: Optional[Why]) -> Iterator[Drift]:
    """Yield what differs and is not among the reasons why the device is awake."""
    told = {reason.code for reason in why.awake} if why else set()
    return (it for it in drift if it.code not in told)


def _told(stage: Stage, reasons: Iterable[Union[Reason, Drift]]) -> Iterator[str]:
    for reason in reasons:
        yield f"{reason.message} {stage.paint('faint', f'({reason.code})')}"
        yield f"  {reason.hint}"


def _tree(stage: Stage, why: Why) -> Iterator[str]:
    """Yield the ports from the root down, and below each of them what hangs on it."""
    device = why.device
    if device is None:
        return
    below = sorted((device, *why.siblings), key=lambda node: node.address)
    if not why.ports:
        yield _line(stage, "", device, why)
    for depth, port in enumerate(why.ports):
        yield _line(stage, "   " * (depth - 1) + LAST if depth else "", port, why)
        here = [node for node in below if node.ports[:1] == (port.address,)]
        for node in here:
            end = node is here[-1] and depth == len(why.ports) - 1
            yield _line(stage, "   " * depth + (LAST if end else BRANCH), node, why)


def _line(stage: Stage, indent: str, node: Node, why: Why) -> str:
    text = f"{indent}{node.address}  {', '.join(_facts(node, is_port=node in why.ports))}"
    return stage.paint("bold", text) if node is why.device else text


def _facts(node: Node, *, is_port: bool) -> Iterator[str]:
    power, bounds = node.power, node.bounds
    yield node.facts.driver or "no driver"
    yield f"{power.runtime_status} in {power.power_state}"
    yield f"control {power.control}"
    if bounds.d3cold_allowed is False:
        yield "d3cold_allowed 0"
    if bounds.switched:
        yield "power can be cut"
    if is_port and bounds.hotplug:
        yield "hot-plug"
    if is_port and bounds.may_sleep is False:
        yield "kept awake"
    if bounds.virtual_functions:
        yield f"{bounds.virtual_functions} virtual functions"
    yield from (f"in use by {opener}" for opener in node.opened_by)
    if node.held:
        yield "held"
