# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rearm``: let devices sleep once more that stay awake because of a quirk."""

from __future__ import annotations

from argparse import Namespace

from ..think.fields import Fields
from ..think.wire import report_from_json, report_to_json
from ..words.mode import Mode
from ..words.report import HoldReport
from .lend import not_taken
from .stage import DONE, REFUSED, Stage

WITHIN = 150.0  # seconds; the helper answers after 120


def run(stage: Stage, options: Namespace) -> int:
    """Ask for it, and name the devices that are awake all the same."""
    parameters = {"addresses": [str(address) for address in options.addresses]}
    answer = stage.around.client.call("Rearm", parameters, WITHIN)
    reports = Fields(answer, "answer").each("devices", report_from_json)
    if stage.as_json:
        stage.say_json({"devices": [report_to_json(report) for report in reports]})
    for report in reports if not stage.as_json else ():
        stage.say(f"{report.address}  {_stands(report)}")
    for failure in filter(None, map(not_taken, reports)):
        stage.remark_failure(failure)
    return DONE if all(report.engaged is not Mode.NONE for report in reports) else REFUSED


def _stands(report: HoldReport) -> str:
    if report.engaged is not Mode.NONE:
        return f"{report.engaged} engaged"
    if report.waiting_until is not None:
        return "woken, and entered again by itself"
    if report.held:
        return "held, and stays awake"
    return f"not held: vfio-powerctl show {report.address} says why"
