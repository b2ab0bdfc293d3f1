# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an asked question comes to, in plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Optional

from ..think.wire import drift_to_json
from ..words.address import PciAddress
from ..words.report import Drift

Document = dict[str, Any]


class Answer(NamedTuple):
    """What the task returns; with a ``failure`` it fails."""

    result: Document
    failure: str = ""
    warnings: tuple[str, ...] = ()


def drift_rows(address: Optional[PciAddress], drifts: Iterable[Drift]) -> list[Document]:
    """Return the drift of one device, or of the host where there is no address."""
    place = None if address is None else str(address)
    return [{"address": place, **drift_to_json(drift)} for drift in drifts]


def plural(count: int, noun: str) -> str:
    """Return ``1 device`` or ``2 devices``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
