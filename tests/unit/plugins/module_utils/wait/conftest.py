# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests of the daemon live on the same host as those of hold/; the server has its own world."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.vfio.power.plugins.module_utils.vfio_power.wait import server

from ..hold.conftest import folder, helper, host, unexpected
from .serving import Serving
from .talking import USER, Methods

__all__ = ["folder", "helper", "host", "unexpected"]


@pytest.fixture
def methods() -> Methods:
    return Methods()


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """On whose behalf the next clients connect; root's, whoever runs the tests."""
    uids = [0]
    monkeypatch.setattr(server, "peer_uid", lambda _link: uids[-1])
    return uids


@pytest.fixture
def serving(tmp_path: Path, methods: Methods, user: list[int]) -> Iterator[Serving]:
    with Serving(tmp_path, methods.table()) as running:
        running.server._uids = {0, USER}
        yield running
