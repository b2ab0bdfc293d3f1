# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``watch``: what happens to the devices, as it happens."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Optional

from ..think.wire import report_from_json
from ..think.witness import WOKEN
from ..touch.view import DeviceView
from ..words.errors import HelperUnreachable
from ..words.mode import Mode
from ..words.report import HoldReport
from . import wording
from .stage import DONE, Stage
from .who import witnessed

_COLOURS = {
    "woken-foreign": "yellow",
    "waiting": "yellow",
    "breaker-open": "red",
    "refused": "red",
    "entered": "green",
    "quarantined": "red",
    WOKEN: "yellow",
}


def run(stage: Stage, options: Namespace) -> int:
    """Print a line per device, then one per event, until Ctrl-C or the helper's end."""
    client = stage.around.running()
    try:
        told = witnessed(client, stage.around) if options.who else client.stream("Monitor")
        with closing(told):
            for each in told:
                _print(stage, each)
    except KeyboardInterrupt:
        return DONE
    raise HelperUnreachable("The helper has ended the report", "It may be restarting: try again")


def _print(stage: Stage, told: Mapping[str, Any]) -> None:
    if stage.as_json:
        stage.say_json(told, indent=None)
    elif told.get("event") == "snapshot":
        _print_snapshot(stage, told)
    else:
        _print_event(stage, told)


def _print_snapshot(stage: Stage, told: Mapping[str, Any]) -> None:
    reports = [report_from_json(document) for document in told.get("devices", ())]
    for report in reports:
        _print_line(stage, told, report, _standing(stage, report), "faint")
    if not reports:
        stage.say(f"{_time(told)}  no device is declared yet")


def _standing(stage: Stage, report: HoldReport) -> str:
    sysfs = stage.around.sysfs
    facts, power = sysfs.facts(report.address), sysfs.power(report.address)
    reached = wording.reached(DeviceView(report.address, facts, power))
    if report.engaged is not Mode.NONE:
        return f"{report.engaged} engaged, {reached}"
    word = wording.standing(report)
    return reached if word == wording.NOTHING else f"{word}, {reached}"


def _print_event(stage: Stage, told: Mapping[str, Any]) -> None:
    report = report_from_json(told.get("device"))
    sentence: Optional[str] = wording.event(told, report)
    if sentence is not None:
        _print_line(stage, told, report, sentence, _COLOURS.get(str(told.get("event")), ""))


def _print_line(
    stage: Stage, told: Mapping[str, Any], report: HoldReport, text: str, colour: str
) -> None:
    stage.say(f"{_time(told)}  {report.address}  {stage.paint(colour, text)}")


def _time(told: Mapping[str, Any]) -> str:
    return wording.clock(float(told.get("time", 0)))
