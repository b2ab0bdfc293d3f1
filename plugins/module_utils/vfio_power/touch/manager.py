# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service manager says of the helper's service. For its clients: it runs a command."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Callable, NamedTuple, Optional

from ..words.errors import HelperUnreachable

UNIT = "vfio-powerd.service"
SHOW = ("systemctl", "show", "--property=ActiveState,NFileDescriptorStore", UNIT)
ANSWERS_WITHIN = 10.0  # seconds


class Standing(NamedTuple):
    """How the service stands at one moment."""

    active: str = ""  # systemd's own word; empty: not known
    stored: Optional[int] = None  # descriptors that are kept for it; None: not known

    @property
    def stopped(self) -> bool:
        """Tell whether it is down, and not about to come up by itself."""
        return self.active in ("inactive", "failed")


Manager = Callable[[], Standing]


class Stopped(HelperUnreachable):
    """The service is stopped. Its socket may listen all the same, and starts whoever is asked."""

    def __init__(self) -> None:
        super().__init__("The helper is stopped", f"Start it with: systemctl start {UNIT}")


def standing(command: Sequence[str] = SHOW) -> Standing:
    """Return how the service stands, as far as its manager says."""
    try:
        told = dict(line.split("=", 1) for line in told_by(command).splitlines())
    except (OSError, subprocess.SubprocessError, ValueError):
        return Standing()
    kept = told.get("NFileDescriptorStore", "")
    return Standing(told.get("ActiveState", ""), int(kept) if kept.isdecimal() else None)


def not_stopped(manager: Manager) -> Standing:
    """Return how the service stands, for those who would start it by asking. Raises Stopped."""
    now = manager()
    if now.stopped:
        raise Stopped
    return now


def told_by(command: Sequence[str]) -> str:
    """Return what a command prints. Raises OSError, SubprocessError, or UnicodeError."""
    # Rule off: an AnsibleModule, which could run it, is not there where the host runs this.
    return subprocess.run(  # pylint: disable=ansible-bad-function
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=ANSWERS_WITHIN,
        check=True,
        encoding="ascii",
    ).stdout
