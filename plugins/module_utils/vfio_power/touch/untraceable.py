# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the kernel cannot be traced, or lets nobody do it, and the next step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..words.errors import VfioPowerError
from .procfs import text_of

LOCKDOWN = "/sys/kernel/security/lockdown"
ELSE = "Watch without --who"


class CannotTrace(VfioPowerError):
    """The kernel does not let us look, or cannot."""


@contextmanager
def refusing(operation: str, hint: str = ELSE) -> Iterator[None]:
    """Turn what the kernel refuses in the middle into an error that names the operation."""
    try:
        yield
    except OSError as error:
        raise CannotTrace(f"Cannot {operation}: {error.strerror}", hint) from error


def explained(error: OSError, root: str, lockdown: str) -> CannotTrace:
    """Say what an error means; the same errno has several reasons."""
    if "[confidentiality]" in text_of(lockdown):
        return CannotTrace(
            "The kernel is locked down (confidentiality) and cannot be traced",
            f"{ELSE}, or boot without lockdown=confidentiality",
        )
    if isinstance(error, PermissionError) and os.geteuid() != 0:
        return CannotTrace("Only root may trace the kernel", f"Become root, or {ELSE.lower()}")
    if not os.path.isdir(root):
        return CannotTrace(
            f"This kernel cannot be traced: there is no {root}",
            f"{ELSE}, or use a kernel that was built with CONFIG_FTRACE",
        )
    if not os.path.isdir(f"{root}/instances"):
        return CannotTrace(
            f"tracefs is not mounted at {root}",
            f"Mount it: mount -t tracefs tracefs {root}",
        )
    return CannotTrace(
        f"The kernel gives no tracing instance: {error.filename or root}: {error.strerror}",
        f"{ELSE}, or see whether the kernel's log says more: dmesg",
    )
