# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of the device layer on Debian's kernel: groups and containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from .contract import ON_VFIO, bring_contract, reload_vfio, run_contract
from .host import Lab

LAB = {"shape": "standard", "on_vfio": ON_VFIO}


@pytest.fixture(scope="module", autouse=True)
def contract(lab: Lab, collections: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    bring_contract(lab, collections, tmp_path_factory.mktemp("contract"))


def test_the_contract_holds_by_group_and_container(lab: Lab) -> None:
    run_contract(lab, "group")


@pytest.mark.soak  # the same contract under the other default of the kernel
def test_the_contract_holds_where_idle_devices_sleep(lab: Lab) -> None:
    reload_vfio(lab, disable_idle_d3=False)
    try:
        run_contract(lab, "group")
    finally:
        reload_vfio(lab, disable_idle_d3=True)
