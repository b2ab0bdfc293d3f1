# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stop is told from a restart by what the service manager says of its jobs."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.cli.stop import is_stopping


@pytest.mark.parametrize(
    ("told", "stopping"),
    [
        ("1234 vfio-powerd.service stop running", True),
        ("  77 vfio-powerd.service stop running  ", True),
        ("1234 vfio-powerd.service restart running", False),
        ("1234 vfio-powerd.service start waiting", False),
        ("1234 vfio-powerd.socket stop waiting", False),
        ("", False),
    ],
)
def test_only_a_stop_is_a_stop(told: str, stopping: bool) -> None:
    assert is_stopping(["echo", told]) is stopping


@pytest.mark.parametrize("command", [["false"], ["/nonexistent"]])
def test_when_nobody_knows_it_is_taken_for_a_restart(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert is_stopping(command) is False
    assert "service manager" in capsys.readouterr().err
