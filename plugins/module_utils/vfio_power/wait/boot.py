# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boot of the host this is, and whether a helper was started in it before."""

from __future__ import annotations

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
    """Leave a mark in the run folder, which ends with the boot; tell whether it was new.

    One that cannot be left counts as new: a grace too many is the safe side.
    """
    mark = f"{run_folder}/started"
    try:
        with open(mark, "xb"):
            return True  # empty: what it says, it says by being there, and that needs no room
    except FileExistsError:
        return False
    except OSError as error:
        reason = f"{mark}: {error.strerror}"
        tell("unwritten", f"{reason}. This start counts as the first one in this boot")
        return True
