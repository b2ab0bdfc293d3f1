# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pause`` and ``resume``: have the helper stand back from all devices, and come back."""

from __future__ import annotations

from argparse import Namespace

from ..think.fields import Fields
from ..think.paused import way_out
from ..think.wire import report_from_json, report_to_json
from ..words.report import HoldReport
from .lend import tell_not_taken
from .stage import DONE, REFUSED, Stage

PAUSE_WITHIN = 70.0  # seconds; the helper answers or says what hangs after 60
RESUME_WITHIN = 150.0


def pause(stage: Stage, _options: Namespace) -> int:
    """Let everything go, and take nothing until ``resume``."""
    answer = Fields(stage.around.client.call("Pause", timeout=PAUSE_WITHIN), "answer")
    _print(
        stage, answer, "paused: nothing is held, and nothing is taken before: vfio-powerctl resume"
    )
    return DONE


def resume(stage: Stage, _options: Namespace) -> int:
    """Take what is declared; refused where the host's own switch is still off."""
    answer = Fields(stage.around.client.call("Resume", timeout=RESUME_WITHIN), "answer")
    reports = answer.each("devices", report_from_json)
    held = sum(report.held for report in reports)
    reason = answer.optional("paused", str)
    _print(stage, answer, "still paused" if reason else f"resumed: {held} held")
    if reason:
        stage.remark(f"the helper is switched off on this host: {reason}. {way_out(reason)}")
        return REFUSED
    return tell_not_taken(stage, [report for report in reports if not _awake_by_quirk(report)])


def _awake_by_quirk(report: HoldReport) -> bool:
    """Tell whether a device is held and not to be had asleep: nobody asked for it by name."""
    return report.held and report.failure is not None and report.failure.code == "awake-by-quirk"


def _print(stage: Stage, answer: Fields, sentence: str) -> None:
    if not stage.as_json:
        stage.say(sentence)
        return
    reports = answer.each("devices", report_from_json)
    paused = answer.optional("paused", str)
    stage.say_json({"paused": paused, "devices": [report_to_json(it) for it in reports]})
