# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service manager says of the helper's service, if it says anything."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.touch.manager import (
    Standing,
    standing,
)


def saying(text: str) -> list[str]:
    return ["printf", text]


def test_its_word_and_its_number_are_believed() -> None:
    told = standing(saying("ActiveState=active\nNFileDescriptorStore=15\n"))
    assert told == Standing("active", 15)
    assert standing(saying("NFileDescriptorStore=[not set]\nActiveState=failed\n")).stored is None


@pytest.mark.parametrize(
    "command", [["echo"], ["echo", "15"], ["sh", "-c", "echo ActiveState=failed; exit 1"], ["/no"]]
)
def test_anything_else_is_no_answer(command: list[str]) -> None:
    assert standing(command) == Standing()


@pytest.mark.parametrize(
    ("word", "stopped"),
    [("inactive", True), ("failed", True), ("active", False), ("activating", False), ("", False)],
)
def test_one_that_comes_up_by_itself_is_not_stopped(word: str, stopped: bool) -> None:
    assert Standing(word).stopped is stopped
