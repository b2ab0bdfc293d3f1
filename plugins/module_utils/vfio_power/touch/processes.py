# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a task of the kernel's trace is, asked of /proc while it is there.

The trace has pid and command name of a thread. A short process may be gone by the time it is
looked for, and then that is all that is known. Its arguments stay private.
"""

from __future__ import annotations

import re
from typing import Optional

from ..think.trace import UNNAMED, Began
from ..words.waker import Kind, Waker
from .guests import guest_of
from .procfs import printable, text_of

_WORKER = "kworker/"
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD of <linux/sched.h>
_GROUP = re.compile(r"^Tgid:\s+(\d+)$", re.MULTILINE)
_UNIT = re.compile(r"/([^/\n]+\.(?:service|scope))(?=[/\n]|$)")


def who_is(
    call: Began, helper: Optional[int] = None, proc: str = "/proc", run: str = "/run"
) -> Waker:
    """Return who makes a call; ``helper`` is the helper's pid."""
    folder = f"{proc}/{call.task}"
    group = _GROUP.search(text_of(f"{folder}/status"))
    pid = int(group[1]) if group else call.task
    # The trace may still have the name from before the last exec, and threads have their own.
    command = printable(text_of(f"{proc}/{pid}/comm").strip() or call.command)
    if call.in_interrupt:
        return Waker(Kind.INTERRUPT)
    if pid == helper:
        return Waker(Kind.OWN, command, pid)
    if call.task == 0 or command.startswith(_WORKER) or _is_kernel_thread(f"{folder}/stat"):
        return Waker(Kind.KERNEL, command, pid)
    named = None if command == UNNAMED else command
    units = _UNIT.findall(text_of(f"{folder}/cgroup"))
    unit = printable(units[-1]) if units else None
    return Waker(Kind.PROCESS, named, pid, guest_of(pid, command, proc, run), unit)


def _is_kernel_thread(stat: str) -> bool:
    # The name is in parentheses, and may have some of its own.
    fields = text_of(stat).rpartition(")")[2].split()
    return len(fields) > 6 and fields[6].isdecimal() and bool(int(fields[6]) & _KERNEL_THREAD)
