# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tasks answer, against the return values that the modules document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ...modules.documented import returned_by
from .conftest import Place

NIC, DISK = "0000:02:00.0", "0000:03:00.0"
GONE, OTHER = "0000:99:00.0", "0000:98:00.0"
ANSIBLES_OWN = {"changed", "diff"}


def differences(answer: dict[str, Any], values: dict[str, Any], place: str = "") -> Iterator[str]:
    """Yield where an answer has what is not documented, or lacks what is always returned."""
    for name in answer.keys() - values.keys() - ANSIBLES_OWN:
        yield f"{place}{name} is not documented"
    for name, value in values.items():
        if name not in answer:
            if value["returned"] == "always":
                yield f"{place}{name} is not returned"
            continue
        inner = answer[name] if isinstance(answer[name], list) else [answer[name]]
        for element in inner if "contains" in value else []:
            if element is not None:
                yield from differences(element, value["contains"], f"{place}{name}.")


@pytest.fixture
def declared(place: Place) -> dict[str, Any]:
    """What a task answers that finds a device, misses one, passes one over, and leaves a rule."""
    place.host.add(NIC)
    place.host.add(DISK, driver="e1000e")
    place.start_helper()
    place.low_power({"address": OTHER, "mode": "entry", "name": "other"})
    every = {"name": "all", "match": {"vendor": ["8086"]}, "mode": "entry"}
    return place.low_power({"address": GONE, "mode": "entry"}, every).result


def test_low_power_returns_what_it_documents(declared: dict[str, Any]) -> None:
    assert list(differences(declared, returned_by("low_power"))) == []
    for name in ("devices", "drift", "rules", "passed_over", "unlisted"):
        assert declared[name], "nothing is compared"


def test_low_power_info_returns_what_it_documents(place: Place, declared: dict[str, Any]) -> None:
    assert declared
    said = place.low_power_info()
    assert list(differences(said, returned_by("low_power_info"))) == []
    for name in ("devices", "drift"):
        assert said[name], "nothing is compared"
