# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the unit runs before its service is stopped: have all devices let go, side by side.

A restart looks the same to a service, and must move no device. Only the service manager knows
which of the two it is. When it cannot be asked nothing is done: it lets go of what it keeps
itself, one after the other.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from ..touch.client import Client
from ..touch.manager import UNIT, told_by
from ..words.errors import VfioPowerError

LIST_JOBS = ("systemctl", "list-jobs", "--no-legend", "--plain", UNIT)
LET_GO_WITHIN = 90.0  # seconds


def main(command: Sequence[str] = LIST_JOBS) -> int:
    """Do it; return the exit status."""
    try:
        if not is_stopping(command):
            return 0
        left = Client(timeout=LET_GO_WITHIN).call("LetGo").get("held", [])
    except VfioPowerError as error:
        sys.stderr.write(f"{error}.\n")
        return 1
    if left:
        sys.stderr.write(f"still held, for the service manager to close: {', '.join(left)}\n")
    return 0


def is_stopping(command: Sequence[str] = LIST_JOBS) -> bool:
    """Tell whether the service is to be down afterwards."""
    try:
        told = told_by(command)
    except (OSError, subprocess.SubprocessError, UnicodeError) as error:
        sys.stderr.write(f"the service manager does not say why: {error}\n")
        return False
    # A line has the number of the job, its unit, type and state.
    return any(line.split()[1:3] == [UNIT, "stop"] for line in told.splitlines())
