# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``release``, ``reclaim`` and ``clear``: give devices away, take them back, trust them again."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Sequence
from typing import Optional

from ..think.fields import Fields
from ..think.paused import way_out
from ..think.wire import report_from_json, report_to_json
from ..words.address import PciAddress
from ..words.errors import VfioPowerError
from ..words.mode import Mode
from ..words.report import Failure, HoldReport
from . import wording
from .stage import DONE, REFUSED, Stage

WHOEVER_ASKS_FOR_ALL = "admin"
"""The holder of all devices where none is named: no guest takes all of them."""

RELEASE_WITHIN = 15.0  # seconds; the helper answers or says what hangs after 10
RECLAIM_WITHIN = 150.0

Reports = Sequence[HoldReport]


def release(stage: Stage, options: Namespace) -> int:
    """Give devices, each with its unit, to a holder; done when the kernel has let go."""
    parameters = {
        "addresses": [str(address) for address in options.addresses],
        "all": options.all,
        "holder": options.holder,
        "ttl": options.ttl,
    }
    reports = _devices(stage.around.client.call("Release", parameters, RELEASE_WITHIN))
    _print(stage, reports, [_given(report, options.holder) for report in reports])
    return _tell_failures(stage, [_not_fit(report) for report in reports])


def reclaim(stage: Stage, options: Namespace) -> int:
    """End a lease and take the devices back; those that cannot be taken are named."""
    holder = options.holder or _only_holder(stage, options.addresses)
    parameters = {
        "addresses": [str(address) for address in options.addresses],
        "holder": holder,
    }
    reports = _devices(stage.around.client.call("Reclaim", parameters, RECLAIM_WITHIN))
    return _taken_back(stage, reports, [_taken(report) for report in reports])


def clear(stage: Stage, options: Namespace) -> int:
    """Trust devices again, and take those that are declared."""
    parameters = {"addresses": [str(address) for address in options.addresses]}
    reports = _devices(stage.around.client.call("Clear", parameters, RECLAIM_WITHIN))
    return _taken_back(stage, reports, [_cleared(report) for report in reports])


def tell_not_taken(stage: Stage, reports: Reports) -> int:
    """Name the devices that could not be taken and why; return the exit status."""
    return _tell_failures(stage, [not_taken(report) for report in reports])


def _taken_back(stage: Stage, reports: Reports, sentences: Sequence[str]) -> int:
    """Print what became of devices, and what those wait for that are not held."""
    _print(stage, reports, sentences)
    ended = tell_not_taken(stage, reports)
    now = Fields(stage.around.client.call("GetStatus"), "status")
    paused = now.optional("paused", str)
    if not paused or all(report.held or report.rule is None for report in reports):
        return ended
    why = f"the helper is paused, it takes nothing ({paused})"
    stage.remark(f"{why}. {way_out(paused)}")
    return REFUSED


def _only_holder(stage: Stage, addresses: Sequence[PciAddress]) -> Optional[str]:
    """Return the one who holds a lease of these devices; which of several is not ours to say."""
    reports = _devices(stage.around.client.call("List"))
    holders = sorted(
        {lease.holder for it in reports if it.address in addresses for lease in it.leases}
    )
    if len(holders) > 1:
        raise VfioPowerError(
            f"Several leases are held, by {' and '.join(holders)}",
            "Say whose is to end: --holder NAME",
        )
    return holders[0] if holders else None


def _devices(answer: dict[str, object]) -> Reports:
    return Fields(answer, "answer").each("devices", report_from_json)


def _print(stage: Stage, reports: Reports, sentences: Sequence[str]) -> None:
    if stage.as_json:
        stage.say_json({"devices": [report_to_json(report) for report in reports]})
        return
    for report, sentence in zip(reports, sentences):
        stage.say(f"{report.address}  {sentence}")


def _tell_failures(stage: Stage, failures: Iterable[Optional[Failure]]) -> int:
    told = [failure for failure in failures if failure is not None]
    for failure in told:
        stage.remark_failure(failure)
    return REFUSED if told else DONE


def _not_fit(report: HoldReport) -> Optional[Failure]:
    """Say why a device is of no use to whoever gets it next."""
    failure = report.failure
    return failure if failure is not None and failure.of_letting_go else None


def not_taken(report: HoldReport) -> Optional[Failure]:
    """Say why a device is not held as it is declared."""
    why = report.quarantined
    if why is None:
        return report.failure
    if report.rule is None:
        return None  # nobody wants it taken
    hint = f"To trust it again: vfio-powerctl clear {report.address}"
    return Failure(why.code, why.message, hint)


def _given(report: HoldReport, holder: str) -> str:
    until = next((lease.until for lease in report.leases if lease.holder == holder), None)
    end = "the next boot" if until is None else wording.when(until)
    if _not_fit(report):
        return f"not fit for use; lent to {holder} until {end}"
    return f"given to {holder} until {end}"


def _cleared(report: HoldReport) -> str:
    if report.quarantined is not None:
        return "in quarantine again"
    return f"trusted, {_taken(report)}"


def _taken(report: HoldReport) -> str:
    if report.leases:
        return f"still given to {' and '.join(lease.holder for lease in report.leases)}"
    if not report.held:
        barred = report.failure or report.quarantined or report.rule is None
        return "not held" if barred else "free"
    if report.engaged is not Mode.NONE:
        return f"held again, {report.engaged} engaged"
    return "held again"
