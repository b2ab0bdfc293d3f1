# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal is told of. Filters and alerts go by message IDs and fields: they stay.

The catalog (``vfio-powerd.catalog`` of the role helper) explains each to ``journalctl -x``. Wakes
are not in here: there may be many.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from ..words.address import PciAddress
from ..words.declaration import Rule
from ..words.report import HoldReport

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6


class Entry(NamedTuple):
    """One kind of entry; its ID is a UUID as the journal writes it."""

    message_id: str
    priority: int
    text: str = "{detail}"


OF_DEVICES = {
    "refused": Entry("ced4ad46038e4693af3294d0ce99aa1b", WARNING),
    "stuck": Entry("3545a753f2684c12a79f2111348e20f3", WARNING),
    "quarantined": Entry(
        "b6eabced82804567b68f6808e643e707",
        WARNING,
        "{detail}; it is not taken again before it is cleared",
    ),
    "cleared": Entry("cc59344a3cb7410cb2496ff2f64dc1a9", NOTICE, "{address}: is trusted again"),
    "requested": Entry(
        "2592565f2f604621a2098ae6475a5fe3", NOTICE, "{address}: somebody else wants it"
    ),
    "breaker-open": Entry(
        "493393ac6fba49f7aae1bcaf8f9a5404", WARNING, "{address}: a storm of {detail}"
    ),
    "breaker-half-open": Entry(
        "1cd058f5ea45420da96bedd5bdde75e9",
        NOTICE,
        "{address}: tried again after a storm of {detail}",
    ),
    "breaker-closed": Entry(
        "f3976b7041914daa9eeb4fddf8eef3d6", NOTICE, "{address}: the storm of wakes is over"
    ),
}
"""By the event that a device has."""

OF_THE_HELPER = {
    "held-on": Entry("ebda814d961a4f168ed195a9b718e2c1", INFO),
    "ready": Entry("c6e77471ff1d486eb4ed30dadaf4e381", INFO),
    "standing": Entry("bbb2687206b342c89f942d9c030ebd1d", INFO),
    "host-slept": Entry("f6dcd5b800f142218bdfc160608dec16", INFO),
    "stopping": Entry("ffb0588289634091b38d9e2f639e88e7", INFO),
    "damaged": Entry("a97e345293aa4717967a6a0900dd4dfd", WARNING),
    "not-kept": Entry("36d15f3eaed94fa6a0f0bef94e2e5812", WARNING),
    "unwritten": Entry("1bf51866e9c84f5fba4154a45cda4151", ERROR),
    "unresolved": Entry("02aad0945269464ca1a3e9a1254ddf3c", ERROR),
    "unexpected": Entry("9ec374d9802e4441bd095971437d7c8c", ERROR),
}
"""By what happened to the helper as a whole."""


def fields_of(event: str, report: HoldReport, rule: Optional[Rule]) -> dict[str, str]:
    """Return what an entry says of its device besides the text, for programs."""
    fields = {"VFIO_PCI_ADDRESS": str(report.address)}
    if rule is not None:
        fields.update(VFIO_RULE=rule.name, VFIO_MODE=rule.mode.value)
    failure = report.failure if event == "refused" else None
    if failure is not None:
        fields.update(
            VFIO_CODE=failure.code, VFIO_OPERATION=failure.operation, VFIO_ERRNO=failure.errno
        )
    if event == "quarantined" and report.quarantined is not None:
        fields.update(VFIO_CODE=report.quarantined.code)
    return {name: value for name, value in fields.items() if value}


def text_of(entry: Entry, address: PciAddress, detail: str) -> str:
    """Return the line that people read."""
    return entry.text.format(address=address, detail=detail)
