# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices go together."""

from __future__ import annotations

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.units import (
    host_drivers,
    iommu_unit,
    power_set,
    reset_set,
    unit,
)
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import (
    AUDIO,
    at,
    bus,
    card,
)

PORT, OTHER_PORT = at("00:01.0"), at("00:1c.0")


def addresses(*texts):
    """Return addresses."""
    return tuple(at(text) for text in texts)


def test_a_device_without_a_group_is_alone():
    devices = bus(card("65:00.0"), card("66:00.0"))
    assert iommu_unit(at("65:00.0"), devices) == addresses("65:00.0")


def test_a_group_goes_together_without_its_bridges():
    devices = bus(
        card("00:01.0", iommu_group=1, bridge=True, driver="pcieport"),
        card("01:00.1", iommu_group=1),
        card("01:00.0", iommu_group=1),
        card("02:00.0", iommu_group=2),
    )
    assert iommu_unit(at("01:00.1"), devices) == addresses("01:00.0", "01:00.1")


def test_a_device_that_is_gone_is_alone_in_every_set():
    for together in (unit, iommu_unit, reset_set, power_set):
        assert together(at("65:00.0"), bus(card("66:00.0"))) == addresses("65:00.0")


def test_functions_of_a_slot_that_cannot_reset_alone_are_reset_together():
    devices = bus(
        card("65:00.0", reset_methods=("bus",)),
        card("65:00.1", AUDIO),
        card("65:01.0"),
        card("66:00.0"),
    )
    assert reset_set(at("65:00.1"), devices) == addresses("65:00.0", "65:00.1")


def test_behind_one_port_the_whole_bus_is_reset_together():
    devices = bus(
        card("65:00.0", port=PORT),
        card("65:01.0", port=PORT),
        card("66:00.0", port=PORT),
        card("65:02.0", port=OTHER_PORT),
    )
    assert reset_set(at("65:00.0"), devices) == addresses("65:00.0", "65:01.0")


def test_a_function_with_a_reset_of_its_own_is_reset_alone():
    for method in ("flr", "af_flr", "pm"):
        devices = bus(
            card("65:00.0", port=PORT, reset_methods=(method, "bus")),
            card("65:00.1", port=PORT, reset_methods=("bus",)),
        )
        assert reset_set(at("65:00.0"), devices) == addresses("65:00.0")
        assert reset_set(at("65:00.1"), devices) == addresses("65:00.1")


def test_a_unit_closes_over_groups_and_reset_sets():
    devices = bus(
        card("65:00.0", iommu_group=1),
        card("65:00.1", iommu_group=2),
        card("70:00.0", iommu_group=2, reset_methods=("flr",)),
        card("71:00.0", iommu_group=3),
    )
    whole = addresses("65:00.0", "65:00.1", "70:00.0")
    for address in whole:
        assert unit(address, devices) == whole
    assert unit(at("71:00.0"), devices) == addresses("71:00.0")


def test_all_below_one_port_wake_together():
    devices = bus(
        card("65:00.0", port=PORT, root_port=PORT, reset_methods=("flr",)),
        card("65:00.1", port=PORT, root_port=PORT),
        card("66:00.0", port=OTHER_PORT, root_port=OTHER_PORT),
        card("00:02.0"),
        card("00:03.0"),
    )
    assert power_set(at("65:00.1"), devices) == addresses("65:00.0", "65:00.1")
    assert power_set(at("00:02.0"), devices) == addresses("00:02.0")


def test_a_root_port_wakes_all_below_it_beyond_the_ports_of_a_switch():
    devices = bus(
        card("01:00.0", port=PORT, root_port=PORT, bridge=True),
        card("02:00.0", port=at("01:00.0"), root_port=PORT, bridge=True),
        card("02:01.0", port=at("01:00.0"), root_port=PORT, bridge=True),
        card("03:00.0", port=at("02:00.0"), root_port=PORT),
        card("04:00.0", port=at("02:01.0"), root_port=PORT),
    )
    assert power_set(at("03:00.0"), devices) == addresses("03:00.0", "04:00.0")


def test_only_host_drivers_make_a_group_not_viable():
    devices = bus(
        card("00:01.0", iommu_group=1, bridge=True, driver="pcieport"),
        card("01:00.0", iommu_group=1),
        card("01:00.1", AUDIO, iommu_group=1, driver="snd_hda_intel"),
        card("01:00.2", iommu_group=1, driver=None),
        card("01:00.3", iommu_group=1, driver="pci-stub"),
        card("02:00.0", iommu_group=2, driver="nvidia"),
    )
    assert host_drivers(at("01:00.0"), devices) == {at("01:00.1"): "snd_hda_intel"}
