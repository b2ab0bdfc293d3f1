# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long each call into the kernel may take before it counts as stuck, in seconds.

Nothing is broken off then: the kernel cannot be asked to. It is only told.
"""

from __future__ import annotations

from .policy import Action

DEADLINES = {
    # A reset; 70 s were seen of a virtual function whose parent is dead.
    Action.TAKE.value: 90.0,
    # The end of low power and a reset, each of which waits a minute at most.
    Action.LET_GO.value: 130.0,
    # Each resumes the device first, which waits a minute for its link at most.
    Action.ENTER.value: 75.0,
    Action.ENTER_WITH_WAKEUP.value: 75.0,
    Action.EXIT.value: 75.0,
}
_OTHERS = 90.0  # of a helper that knows more calls


def deadline_of(call: str) -> float:
    """Return how long a call may take."""
    return DEADLINES.get(call, _OTHERS)
