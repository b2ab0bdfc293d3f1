# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each line for the journal carries its priority."""

from __future__ import annotations

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait.journal import (
    NOTICE,
    tell,
    tell_failure,
)


def test_every_line_has_the_priority(capsys: pytest.CaptureFixture[str]) -> None:
    tell(NOTICE, "first\nsecond")
    assert capsys.readouterr().err == "<5>first\n<5>second\n"


def test_an_unexpected_error_is_told_with_its_way(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise RuntimeError("oh no")
    except RuntimeError as error:
        tell_failure(error)
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("<3>") for line in lines)
    assert lines[-1] == "<3>RuntimeError: oh no"
    assert any("test_journal.py" in line for line in lines)
