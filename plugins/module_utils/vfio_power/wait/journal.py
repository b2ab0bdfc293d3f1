# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines for the journal: systemd reads the priority from ``<N>`` at the start of each."""

from __future__ import annotations

import sys

ERROR = 3
WARNING = 4
NOTICE = 5
INFO = 6


def tell(priority: int, text: str) -> None:
    """Write a message, each of its lines with the priority."""
    lines = text.splitlines() or [""]
    sys.stderr.write("".join(f"<{priority}>{line}\n" for line in lines))
    sys.stderr.flush()


def tell_failure(error: BaseException) -> None:
    """Write an error that nobody expected, with the way to it."""
    import traceback  # rarely needed, and half a megabyte

    trace = traceback.format_exception(type(error), error, error.__traceback__)
    tell(ERROR, "".join(trace))
