# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices a selector means."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.think.select import (
    asks_udev,
    describe,
    fits,
    selects,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.declaration import (
    Declaration,
    Match,
    Rule,
)
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.words.mode import Mode
from ansible_collections.vfio.power.tests.unit.plugins.module_utils.think.cards import at, card

GPU_IN_SLOT_4 = card(
    "65:00.0",
    iommu_group=17,
    numa_node=1,
    slot="4",
    boot_vga=True,
    properties={"VFIO_POWER_LABEL": "gpu-left"},
)


@pytest.mark.parametrize(
    "asked",
    [
        {"vendor": ("1002", "10de")},
        {"device": ("2204",)},
        {"subsystem_vendor": ("1043",)},
        {"subsystem_device": ("87b5",)},
        {"class_": ("03",)},
        {"class_": ("02", "0300")},
        {"class_": ("030000",)},
        {"driver": ("vfio-pci",)},
        {"iommu_group": (17,)},
        {"numa_node": (0, 1)},
        {"slot": ("4",)},
        {"boot_vga": True},
        {"property": {"VFIO_POWER_LABEL": "gpu-*"}},
        {"vendor": ("10de",), "class_": ("03",), "slot": ("4",)},
    ],
)
def test_a_device_fits_what_it_has(asked):
    assert fits(Match(**asked), GPU_IN_SLOT_4)


@pytest.mark.parametrize(
    "asked",
    [
        {"vendor": ("1002",)},
        {"device": ("2206",)},
        {"subsystem_vendor": ("10de",)},
        {"subsystem_device": ("0000",)},
        {"class_": ("0302", "04")},
        {"driver": ("mlx5_vfio_pci",)},
        {"iommu_group": (1,)},
        {"numa_node": (-1,)},
        {"slot": ("04",)},
        {"boot_vga": False},
        {"property": {"VFIO_POWER_LABEL": "GPU-*"}},
        {"property": {"ID_PATH": "*"}},
        {"vendor": ("10de",), "class_": ("04",)},
    ],
)
def test_a_device_does_not_fit_what_it_lacks(asked):
    assert not fits(Match(**asked), GPU_IN_SLOT_4)


def test_a_device_without_slot_driver_and_group_fits_none_of_them():
    bare = card("65:00.0", driver=None)
    assert not fits(Match(driver=("vfio-pci",)), bare)
    assert not fits(Match(slot=("4",)), bare)
    assert not fits(Match(iommu_group=(0,)), bare)


def test_a_class_is_a_prefix_and_not_a_part():
    assert not fits(Match(class_=("00",)), GPU_IN_SLOT_4)


def test_an_address_selects_itself_alone():
    assert selects(at("0000:65:00.0"), GPU_IN_SLOT_4)
    assert not selects(at("0001:65:00.0"), GPU_IN_SLOT_4)


def test_udev_is_asked_only_for_what_nobody_else_knows():
    plain, labelled = Match(vendor=("10de",)), Match(property={"VFIO_POWER_LABEL": "spare"})
    without = Declaration((Rule("a", at("65:00.0"), Mode.NONE), Rule("b", plain, Mode.NONE)))
    assert not asks_udev(without, [plain, at("65:00.0")])
    assert asks_udev(without, [labelled])
    assert asks_udev(without._replace(exclude=(labelled,)))
    assert asks_udev(Declaration((Rule("c", labelled, Mode.NONE),)))


def test_a_selector_is_called_by_what_it_asks_for():
    assert describe(at("65:00.0")) == "0000:65:00.0"
    assert describe(Match(vendor=("10de",), class_=("03",))) == "vendor=10de class=03"
    assert describe(Match(vendor=("10de", "1002"), boot_vga=False, iommu_group=(7,))) == (
        "vendor=10de,1002 iommu_group=7 boot_vga=false"
    )
    assert describe(Match(slot=("4",), property={"B": "x*", "A": "y"})) == "slot=4 A=y B=x*"
