# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boot of the host this is, and whether a helper was started in it before."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .journal import tell


def boot_id(environ: Mapping[str, str]) -> str:
    """Return what tells this boot from others; in its sandbox the helper has to be told."""
    told = environ.get("BOOT_ID", "")
    if not told:
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                told = file.read().strip()
        except OSError:
            return ""
    return told.replace("-", "")  # the kernel writes it with, the manager without


def first_start_in_this_boot(run_folder: str) -> bool:
    """Tell whether no helper came so far in this boot that it left a mark in the run folder."""
    return not os.path.exists(_mark(run_folder))


def note_start(run_folder: str) -> None:
    """Leave the mark, once the graces of this boot are written down; it ends with the boot.

    One that cannot be left lets the next start be the first one: a grace too many is the safe
    side.
    """
    try:
        with open(_mark(run_folder), "ab"):
            pass  # empty: what it says, it says by being there, and that needs no room
    except OSError as error:
        reason = f"{_mark(run_folder)}: {error.strerror}"
        tell("unwritten", f"{reason}. The next start counts as the first one in this boot")


def _mark(run_folder: str) -> str:
    return f"{run_folder}/started"
