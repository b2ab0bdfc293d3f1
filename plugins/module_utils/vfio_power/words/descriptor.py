# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file descriptor with exactly one owner; a closed one is forgotten."""

from __future__ import annotations

import os
from types import TracebackType


class OwnedFd:
    """Closes its descriptor once. Late use fails with EBADF, never on a stranger's file."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """Return the number, or -1 once closed."""
        return self._number

    def steal(self) -> int:
        """Hand the descriptor over to somebody else, who closes it."""
        number, self._number = self._number, -1
        return number

    def close(self) -> None:
        """Close the descriptor; closing again does nothing."""
        number = self.steal()
        if number >= 0:
            os.close(number)

    def __enter__(self) -> OwnedFd:
        """Own the descriptor for the length of a block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()
