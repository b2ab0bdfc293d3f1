# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake host, and the helper at work on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import around, daemon

from ..fake.host import FakeHost
from .helper import Helper

ONE_WAY_IN = pytest.mark.parametrize("host", ["group"], indirect=True)
"""For what is decided long after a device was opened, by whichever way."""


@pytest.fixture(params=["group", "cdev"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> FakeHost:
    """A host without devices that keeps unopened ones awake; each test runs on both ways in."""
    return FakeHost(tmp_path / "host", cdev=request.param == "cdev")


@pytest.fixture
def unexpected(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Errors that nobody expected; one that is still in here after the test fails it."""
    errors: list[BaseException] = []
    for part in (around, daemon):
        monkeypatch.setattr(part, "tell_failure", errors.append)
    return errors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the helper has its folders and its socket."""
    made = tmp_path / "helper"
    made.mkdir()
    return made


@pytest.fixture
def helper(host: FakeHost, folder: Path, unexpected: list[BaseException]) -> Iterator[Helper]:
    """The helper with its usual graces, started for the second time in this boot."""
    made = Helper(host, folder)
    (made.run / "started").touch()
    made.start()
    yield made
    made.stop()
    assert not unexpected
