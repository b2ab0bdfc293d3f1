# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a client keeps devices awake while it writes below /sys: for as long as it is connected."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Callable

from ..hold.asks import Ask
from ..hold.keeper import Keeper
from ..think.fields import Fields
from ..think.wire import report_to_json
from ..words.address import PciAddress
from .answers import addresses_of, refusing_bad_input
from .connection import Call

AWAKE_WITHIN = 60.0  # seconds


class HoldingOff:
    """The method by its name, for the service."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def methods(self) -> Mapping[str, Callable[[Call], None]]:
        """Return what is served."""
        return {"HoldOff": self.hold_off}

    @refusing_bad_input
    def hold_off(self, call: Call) -> None:
        """End low power, enter and take nothing until the client leaves; say when that is so."""
        addresses = addresses_of(Fields(call.parameters, "parameters"))
        if not call.more:
            call.error("org.varlink.service.ExpectedMore", {})
            return
        keeper = self._keeper

        def finish(ask: Ask) -> None:
            devices = [report_to_json(keeper.report(address)) for address in addresses]
            pending = [str(address) for address in sorted(ask.pending)]
            call.reply({"devices": devices, "pending": pending}, continues=True)

        call.on_close(partial(self._end, addresses))

        def begin() -> None:
            keeper.held_off.begin(addresses)
            # After a call that failed it is not known what is in force: that is ended as well.
            keeper.retry(set(addresses) & set(keeper.held()))

        keeper.wait_for(Ask(addresses, lambda *_one: None, finish), AWAKE_WITHIN, begin)

    def _end(self, addresses: list[PciAddress]) -> None:
        self._keeper.held_off.end(addresses)
        for address in addresses:
            self._keeper.refresh(address)
