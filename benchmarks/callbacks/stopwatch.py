# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback for ansible-playbook that writes down how long each task took, as a line of JSON."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: stopwatch
type: aggregate
short_description: Writes the seconds of each task into the file named by STOPWATCH
description:
  - For the benchmarks of this repository.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stopwatch"

    def __init__(self) -> None:
        super().__init__()
        self._began = 0.0

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._began = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        row = {
            "task": result.task_name,
            "seconds": time.monotonic() - self._began,
            "changed": result._result.get("changed", False),
        }
        with Path(os.environ["STOPWATCH"]).open("a") as file:
            file.write(json.dumps(row) + "\n")
