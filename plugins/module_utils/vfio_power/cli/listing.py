# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``list``: every declared and every VFIO device of the host, and how it stands."""

from __future__ import annotations

from argparse import Namespace
from typing import Optional

from ..touch.document import host_document
from ..touch.view import HostView
from . import wording
from .paint import SEVERITY
from .stage import DONE, REFUSED, UNREACHABLE, Stage
from .table import table


def run(stage: Stage, options: Namespace) -> int:
    """Print the table, or the same as JSON."""
    view = stage.around.look()
    if stage.as_json:
        stage.say_json(host_document(view))
    else:
        _print(stage, view)
    return verdict(stage, view, view.drifted) if options.check else DONE


def verdict(stage: Stage, view: HostView, drifted: Optional[bool]) -> int:
    """Return the exit status of ``--check``: that all is well is said of what was seen alone."""
    if drifted:
        return REFUSED
    if drifted is False and view.helper.holds_known:
        return DONE
    stage.remark("whether anything differs from what is declared is not known")
    return UNREACHABLE


def tell_limits(stage: Stage, view: HostView) -> None:
    """Say what could not be seen, and why."""
    if view.limited:
        stage.remark("without root there is no word of declaration, helper and users of a device")
    elif view.helper.trouble:
        stage.remark(f"{view.helper.trouble}.")


def _print(stage: Stage, view: HostView) -> None:
    tell_limits(stage, view)
    if view.devices:
        for line in table(view, stage.width, stage.paint):
            stage.say(line)
        stage.say()
    elif view.limited:
        stage.say("No device is bound to a VFIO driver.")
    else:
        stage.say("No device is declared, and none is bound to a VFIO driver.")
        stage.say("To bind one: driverctl set-override ADDRESS vfio-pci")
    for drift in view.drift:
        stage.say(stage.paint(SEVERITY.get(drift.severity, ""), f"{drift.code}: {drift.message}"))
        stage.say(f"  {drift.hint}")
    stage.say(wording.summary(view))
    if any(device.drift for device in view.devices):
        stage.say("vfio-powerctl show ADDRESS says more of a device")
