# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What switches the helper off on a host, as it is told, and how to end that."""

from __future__ import annotations

BY_KERNEL = "vfio_power=off is on the kernel command line"
BY_FILE = "there is a file "


def way_out(reason: str) -> str:
    """Say what to do for the helper to take devices again."""
    if reason == BY_KERNEL:
        return "To end that: boot without it"
    if reason.startswith(BY_FILE):
        return f"To end that: rm {reason[len(BY_FILE) :]} && vfio-powerctl resume"
    return "When that is over: vfio-powerctl resume"
