# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of kept descriptors: what goes in comes out, and nothing else is taken for ours."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.keepsakes import (
    COUNTERS,
    DEVICE,
    SHARED,
    Keepsake,
    parse_name,
    whole,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.address import PciAddress

NIC = PciAddress.parse("0000:41:00.0")
FAR = PciAddress.parse("10000:e1:1f.7")


@pytest.mark.parametrize("part", [DEVICE, *COUNTERS])
@pytest.mark.parametrize("address", [NIC, FAR])
@pytest.mark.parametrize("backend", ["group", "cdev"])
def test_a_name_says_what_it_is(part: str, address: PciAddress, backend: str) -> None:
    keepsake = Keepsake(part, address, backend, 15)
    assert parse_name(keepsake.name()) == keepsake
    assert parse_name(keepsake.shared.name()) == Keepsake(SHARED, None, backend, 15)


def test_a_name_is_one_that_the_manager_keeps() -> None:
    name = Keepsake("request", FAR, "group", 123456).name()
    assert name == "vfp1.request.10000-e1-1f.7.g123456"
    assert ":" not in name
    assert len(name) < 255


@pytest.mark.parametrize(
    "name",
    [
        "stored",
        "vfp1",
        "vfp2.wake.0000-41-00.0.g15",
        "vfp1.wake.0000-41-00.0",
        "vfp1.wake.0000-41-00.0.x15",
        "vfp1.other.0000-41-00.0.g15",
        "vfp1.wake.0000-41-00.0.g15.more",
        "vfp1.wake.41.0.g15",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"vfp|stored|PCI"):
        parse_name(name)


def test_a_device_is_whole_when_nothing_of_it_is_missing() -> None:
    device = Keepsake(DEVICE, NIC, "group", 15)
    parts = [device, *(device._replace(part=part) for part in COUNTERS), device.shared]
    assert whole(parts) == {device.address: device}
    for missing in parts:
        assert whole([part for part in parts if part != missing]) == {}
