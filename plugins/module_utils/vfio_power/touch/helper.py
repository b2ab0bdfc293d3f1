# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the helper says of itself and of the devices, all in one answer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple, Optional

from ..think.drift import ABSENT, DOWN, RUNNING, STOPPED
from ..think.fields import Fields
from ..think.wire import report_from_json
from ..words.address import PciAddress
from ..words.errors import VfioPowerError
from ..words.report import HoldReport
from ..words.version import API_REVISION
from .client import Client, NoHelper, NotAllowed
from .manager import Manager, Standing, Stopped, not_stopped
from .view import HelperView

CODE = "/usr/local/lib/vfio-power/current"
"""Where the helper's program is, if it is installed."""


class Answer(NamedTuple):
    """What the helper said. Without its answer there is a view of it, and nothing else."""

    helper: HelperView
    holds: Mapping[PciAddress, HoldReport] = {}
    damaged: str = ""


def ask(
    client: Optional[Client],
    code: str = CODE,
    manager: Optional[Manager] = None,
    *,
    may_start: bool = False,
) -> Answer:
    """Ask the helper, or say why it cannot be asked; never raises.

    ``manager`` says how its service stands (touch/manager.py). One that is stopped is not asked:
    the socket would start it, and it takes devices. ``may_start``: that is wanted.
    """
    installed = DOWN if os.path.exists(code) else ABSENT
    if client is None:
        return Answer(HelperView(installed))
    try:
        if manager is None or installed == ABSENT:
            return _answer(client)
        now = manager() if may_start else not_stopped(manager)
        return _compared(client, _answer(client), now, manager)
    except Stopped as error:
        return Answer(HelperView(STOPPED, trouble=str(error)))
    except NotAllowed as error:
        return Answer(HelperView("unknown", trouble=str(error)))
    except NoHelper as error:
        return Answer(HelperView(installed, trouble=str(error)))
    except VfioPowerError as error:
        return Answer(HelperView(DOWN, trouble=str(error)))


def _answer(client: Client) -> Answer:
    status = Fields(client.call("GetStatus"), "status")
    helper = HelperView(
        state=RUNNING,
        version=status.get("version", str, ""),
        api_revision=status.get("api_revision", int, 0),
        pid=status.optional("pid", int),
        paused=status.get("paused", str, ""),
        workers=status.get("workers", int, 0),
        stuck=status.get("stuck", int, 0),
    )
    if helper.api_revision != API_REVISION:
        return Answer(helper)  # what it says of devices may mean something else
    answer = Fields(client.call("List"), "answer")
    reports = answer.each("devices", report_from_json)
    holds = {report.address: report for report in reports}
    helper = helper._replace(
        answered=True,
        generation=answer.optional("generation", int),
        kept=status.optional("kept", int),
    )
    return Answer(helper, holds, answer.get("damaged", str, ""))


def _compared(client: Client, answer: Answer, now: Standing, manager: Manager) -> Answer:
    """Add what is stored. Both numbers move while devices are taken or let go: no word then."""
    if answer.helper.kept is None or _any_moves(answer):
        return answer
    helper = answer.helper._replace(stored=now.stored)
    if helper.fdstore_ok is False:
        helper = helper._replace(stored=manager().stored)
        again = _answer(client)
        if again.helper.kept != helper.kept or _any_moves(again):
            return answer
    return answer._replace(helper=helper)


def _any_moves(answer: Answer) -> bool:
    return any(report.running for report in answer.holds.values())
