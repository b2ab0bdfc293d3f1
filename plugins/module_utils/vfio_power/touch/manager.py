# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service manager says of the helper's service. For its clients: it runs a command."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Optional

UNIT = "vfio-powerd.service"
SHOW_STORED = ("systemctl", "show", "--value", "--property=NFileDescriptorStore", UNIT)
ANSWERS_WITHIN = 10.0  # seconds


def stored(command: Sequence[str] = SHOW_STORED) -> Optional[int]:
    """Return how many descriptors it keeps for the helper; None where it does not say."""
    try:
        return int(told_by(command))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


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
