# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients may say about trust: stand back, come back, trust a device again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Callable, Optional

from ..hold.keeper import Keeper
from ..think.fields import Fields
from .answers import addresses_of, answer_when_settled, explain, refusing_bad_input
from .connection import Call

TAKE_WITHIN = 120.0  # seconds
STAND_BACK_WITHIN = 60.0


class Trust:
    """These methods by name, for the service. ``changed`` hears of a pause and of its end."""

    def __init__(self, keeper: Keeper, changed: Callable[[], None]) -> None:
        self._keeper = keeper
        self._changed = changed

    def methods(self) -> Mapping[str, Callable[[Call], None]]:
        """Return what is served."""
        return {"Clear": self.clear, "Pause": self.pause, "Resume": self.resume}

    @refusing_bad_input
    def clear(self, call: Call) -> None:
        """Let devices out of quarantine, and take those that are declared."""
        addresses = addresses_of(Fields(call.parameters, "parameters"))
        quarantine = self._keeper.bars.quarantine
        inside = quarantine.addresses() & set(addresses)

        def begin() -> None:
            self._keeper.trust(inside)

        def stored(error: Optional[Exception]) -> None:
            if error is not None:
                explain(call, error, "the quarantine")
                return
            answer_when_settled(self._keeper, call, addresses, TAKE_WITHIN, begin)

        quarantine.clear(inside, stored)

    def pause(self, call: Call) -> None:
        """Let everything go and take nothing, also after a reboot."""
        begin = self._keeper.refresh_all
        stored = partial(self._answer, call, STAND_BACK_WITHIN, begin)
        self._keeper.bars.pausing.set(paused=True, done=stored)

    def resume(self, call: Call) -> None:
        """End the pause, and take what is declared."""

        def begin() -> None:
            self._keeper.refresh_all()
            self._keeper.ask(self._keeper.table.known)

        stored = partial(self._answer, call, TAKE_WITHIN, begin)
        self._keeper.bars.pausing.set(paused=False, done=stored)

    def _answer(
        self, call: Call, within: float, begin: Callable[[], None], error: Optional[Exception]
    ) -> None:
        if error is not None:
            explain(call, error, "the pause")
            return
        self._changed()
        addresses = sorted(self._keeper.addresses())
        answer_when_settled(self._keeper, call, addresses, within, begin, besides=self._told)

    def _told(self) -> Mapping[str, Any]:
        return {"paused": self._keeper.bars.pausing.reason or None}
