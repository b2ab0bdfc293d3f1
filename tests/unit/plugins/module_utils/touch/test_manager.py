# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service manager says of the descriptors that it keeps, if it says anything."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.manager import stored


def test_its_number_is_believed() -> None:
    assert stored(["echo", "15"]) == 15


@pytest.mark.parametrize(
    "command", [["echo", "[not set]"], ["echo"], ["sh", "-c", "echo 15; exit 1"], ["/no/such"]]
)
def test_anything_else_is_no_answer(command: list[str]) -> None:
    assert stored(command) is None
