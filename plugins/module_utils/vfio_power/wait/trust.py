# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients may say about trust: that a device is to be trusted again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

from ..hold.keeper import Keeper
from ..think.wire import Fields
from .answers import addresses_of, answer_when_settled, refusing_bad_input
from .connection import Call

TAKE_WITHIN = 120.0  # seconds


class Trust:
    """These methods by name, for the service."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def methods(self) -> Mapping[str, Callable[[Call], None]]:
        """Return what is served."""
        return {"Clear": self.clear}

    @refusing_bad_input
    def clear(self, call: Call) -> None:
        """Let devices out of quarantine, and take those that are declared."""
        addresses = addresses_of(Fields(call.parameters, "parameters"))

        def begin() -> None:
            self._keeper.trust(addresses)

        answer_when_settled(self._keeper, call, addresses, TAKE_WITHIN, begin)
