# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The course of one low_power_info task: one look at the host, written down."""

from __future__ import annotations

from typing import NamedTuple, Optional

from ..think.parse import parse_selectors
from ..touch.client import Client
from ..touch.document import device_document, host_document
from ..words.declaration import Declaration
from .answer import Answer, drift_rows
from .ground import Ground


class Question(NamedTuple):
    """The options of a task, as they were given."""

    devices: list[object]
    drift_only: bool = False
    timeout: int = 10


def ask(question: Question, ground: Optional[Ground] = None) -> Answer:
    """Look, and say what was seen."""
    selectors = parse_selectors(question.devices, "devices", timeout=question.timeout)
    ground = ground or Ground(Client(timeout=question.timeout))
    ground.need_udev(Declaration(exclude=selectors))
    view = ground.look(selectors=selectors, explaining=True)
    shown = [device for device in view.devices if device.drifted or not question.drift_only]
    drift = drift_rows(None, view.drift)
    for device in view.devices:
        drift += drift_rows(device.address, device.drift)
    return Answer(
        {
            **host_document(view),
            "changed": False,
            "drift": drift,
            "devices": [device_document(it, asked=view.helper.holds_known) for it in shown],
        }
    )
