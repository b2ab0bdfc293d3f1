# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients may ask of the helper: each method of the socket's interface.

Answers come from memory or after the keeper has settled; nothing here blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional

from ..hold.asks import Ask
from ..hold.keeper import Keeper
from ..hold.table import Table
from ..think.fields import Fields
from ..think.parse import parse_declaration
from ..think.parse_values import MOST_SECONDS, Problems, read_seconds
from ..think.wire import lease_to_json, report_to_json
from ..words.address import PciAddress
from ..words.errors import InputError, Problem
from ..words.version import API_REVISION, VERSION
from .answers import addresses_of, answer_when_settled, explain, refusing_bad_input
from .connection import Call
from .holding_off import HoldingOff
from .steward import Steward
from .trust import TAKE_WITHIN, Trust

RELEASE_WITHIN = 10.0  # seconds
LEAST_PATIENCE = 0.1
LONGEST_LEASE = 1e9
MOST_LEASES = 1024


class Service:
    """The methods by name, for the server."""

    def __init__(
        self,
        keeper: Keeper,
        steward: Steward,
        about: Mapping[str, Any],
        kept: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        """``changed`` hears of what concerns the helper as a whole."""
        self._keeper = keeper
        self._steward = steward
        self._about = about
        self._kept = kept
        self._changed = changed
        self._trust = Trust(keeper, changed)
        self._holding_off = HoldingOff(keeper)
        self._monitors: list[Call] = []

    def methods(self) -> Mapping[str, Callable[[Call], None]]:
        """Return what the server serves."""
        return {
            "GetStatus": self.get_status,
            "List": self.list_devices,
            "Apply": self.apply,
            "Release": self.release,
            "Reclaim": self.reclaim,
            "Rearm": self.rearm,
            "LetGo": self.let_go,
            "Monitor": self.monitor,
            **self._trust.methods(),
            **self._holding_off.methods(),
        }

    def get_status(self, call: Call) -> None:
        """Say which program answers and which declaration it goes by."""
        table = self._keeper.table
        call.reply(
            {
                "version": VERSION,
                "api_revision": API_REVISION,
                "generation": table.declaration.generation,
                "damaged": self._steward.damaged or None,
                "kept": self._kept(),
                "paused": self._keeper.bars.pausing.reason or None,
                "stuck": self._keeper.jobs.stuck,
                **self._about,
            }
        )

    def list_devices(self, call: Call) -> None:
        """Report every device from memory."""
        table = self._keeper.table
        call.reply(
            {
                "generation": table.declaration.generation,
                "damaged": self._steward.damaged or None,
                "devices": [report_to_json(report) for report in self._keeper.reports()],
            }
        )

    @refusing_bad_input
    def apply(self, call: Call) -> None:
        """Store a declaration, bring every device under it, answer when they have settled."""
        fields = Fields(call.parameters, "parameters")
        expected = fields.need("expected_generation", int)
        timeout = _seconds(fields, "timeout", LEAST_PATIENCE, MOST_SECONDS) or TAKE_WITHIN
        wanted = parse_declaration(
            {
                "generation": expected,
                "rules": fields.need("rules", list),
                "exclude": fields.need("exclude", list),
            }
        )

        def declared(table: Optional[Table], error: Optional[Exception]) -> None:
            if table is None:
                explain(call, error, "the declaration")
                return
            self._apply_table(call, table, timeout)

        self._steward.declare(wanted, expected, declared)

    @refusing_bad_input
    def release(self, call: Call) -> None:
        """Give devices to a holder; answer when the kernel has let go of their units."""
        fields = Fields(call.parameters, "parameters")
        holder = fields.holder("holder")
        ttl = _seconds(fields, "ttl", 0.0, LONGEST_LEASE)
        addresses = self._all() if fields.get("all", bool, False) else self._units(fields)
        if self._steward.lending.count + len(addresses) > MOST_LEASES:
            message = f"there would be more than {MOST_LEASES} leases; reclaim some first"
            raise InputError([Problem("parameters.addresses", message)])

        def begin() -> None:
            self._steward.lending.lend(addresses, holder, ttl)
            for address in addresses:
                self._keeper.tell(address, "leased", holder)
            self._keeper.permits.withdraw(addresses)

        answer_when_settled(self._keeper, call, addresses, RELEASE_WITHIN, begin, lent_to=holder)

    @refusing_bad_input
    def reclaim(self, call: Call) -> None:
        """End a holder's lease and take the devices back now."""
        fields = Fields(call.parameters, "parameters")
        holder = fields.holder("holder") if fields.has("holder") else None
        addresses = self._units(fields)
        lending = self._steward.lending
        leases = [lease for address in addresses for lease in lending.of(address)]
        mine = [lease for lease in leases if holder in (None, lease.holder)]
        if leases and (not mine or (holder is None and len({it.holder for it in leases}) > 1)):
            call.error("LeaseHeld", {"leases": [lease_to_json(lease) for lease in leases]})
            return

        def begin() -> None:
            for address in lending.end(addresses, holder):
                self._keeper.tell(address, "lease-ended", holder or "")
            self._keeper.rearm(addresses)
            self._keeper.ask(addresses)

        answer_when_settled(self._keeper, call, addresses, TAKE_WITHIN, begin)

    @refusing_bad_input
    def rearm(self, call: Call) -> None:
        """Enter devices once more that stay awake because of a quirk."""
        addresses = addresses_of(Fields(call.parameters, "parameters"))

        def begin() -> None:
            self._keeper.rearm(addresses)

        answer_when_settled(self._keeper, call, addresses, TAKE_WITHIN, begin)

    def let_go(self, call: Call) -> None:
        """Let every device go and take none any more: the helper is about to be stopped."""

        def gone() -> None:
            held = [str(address) for address in self._keeper.held()]
            call.reply({"held": held})

        self._steward.let_all_go(gone)

    def monitor(self, call: Call) -> None:
        """Tell everything that happens, after a picture of how things stand."""
        if not call.more:
            call.error("org.varlink.service.ExpectedMore", {})
            return
        devices = [report_to_json(report) for report in self._keeper.reports()]
        snapshot = {"event": "snapshot", "time": self._now(), "devices": devices}
        call.on_close(lambda: self._monitors.remove(call))
        self._monitors.append(call)
        call.reply(snapshot, continues=True)

    def happened(self, address: PciAddress, event: str, detail: str) -> None:
        """Pass an event on to everybody who watches."""
        if not self._monitors:
            return
        told = {
            "event": event,
            "time": self._now(),
            "address": str(address),
            "detail": detail or None,
            "device": report_to_json(self._keeper.report(address)),
        }
        for call in list(self._monitors):
            call.reply(told, continues=True)

    def _apply_table(self, call: Call, table: Table, timeout: float) -> None:
        keeper = self._keeper
        addresses = {*table.known, *keeper.held()}

        def begin() -> None:
            keeper.bars.pausing.look()
            keeper.install(table)
            self._changed()
            keeper.ask(table.known)

        def progress(address: PciAddress, actions: tuple[str, ...]) -> None:
            if call.more:
                call.reply(self._outcome(address, actions), continues=True)

        def finish(ask: Ask) -> None:
            outcomes = [self._outcome(a, tuple(ask.actions[a])) for a in sorted(addresses)]
            pending = [str(address) for address in sorted(ask.pending)]
            generation = table.declaration.generation
            call.reply({"generation": generation, "outcomes": outcomes, "pending": pending})

        keeper.wait_for(Ask(addresses, progress, finish), timeout, begin)

    def _outcome(self, address: PciAddress, actions: tuple[str, ...]) -> dict[str, Any]:
        return {
            "device": report_to_json(self._keeper.report(address)),
            "actions": list(actions),
        }

    def _all(self) -> list[PciAddress]:
        return sorted({*self._keeper.table.known, *self._keeper.held()})

    def _units(self, fields: Fields) -> list[PciAddress]:
        """Read the addresses asked for, and add what is let go and taken together with them."""
        named = addresses_of(fields)
        return sorted({member for address in named for member in self._keeper.unit(address)})

    def _now(self) -> float:
        return self._keeper.clock()


def _seconds(fields: Fields, name: str, least: float, most: float) -> Optional[float]:
    seconds = fields.number(name)
    if seconds is None:
        return None
    problems: Problems = []
    read_seconds(seconds, f"parameters.{name}", problems, least, most)
    if problems:
        raise InputError(problems)
    return seconds
