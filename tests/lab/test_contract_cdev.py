# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of the device layer on a kernel with iommufd: the devices' own nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .contract import ON_VFIO, bring_contract, run_contract
from .host import Lab

LAB = {"shape": "standard", "kernel": "iommufd", "on_vfio": ON_VFIO}
# The small kernel has no driver for network cards, but one that takes whatever it is told to.
HOST_DRIVER = "pci-pf-stub"


@pytest.fixture(scope="module", autouse=True)
def contract(lab: Lab, collections: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    bring_contract(lab, collections, tmp_path_factory.mktemp("contract"))


def test_the_contract_holds_by_cdev_and_iommufd(lab: Lab) -> None:
    run_contract(lab, "cdev", HOST_DRIVER)


@pytest.mark.soak
def test_the_contract_holds_by_group_on_the_same_kernel(lab: Lab) -> None:
    run_contract(lab, "group", HOST_DRIVER)
