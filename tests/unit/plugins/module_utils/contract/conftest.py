# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ground the contract is tested on: fake ones, or the real one that is described to us."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .fake_ground import FakeGround
from .ground import ONLY, Ground
from .real_ground import VARIABLE, RealGround

FAKES = {
    "group": ("group", True),
    "cdev": ("cdev", True),
    "group, idle devices sleep": ("group", False),
    "cdev, idle devices sleep": ("cdev", False),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test on each ground there is."""
    if "ground" in metafunc.fixturenames:
        metafunc.parametrize("ground", ["real"] if VARIABLE in os.environ else FAKES, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave a test out where it is about another way in than the ground's."""
    items[:] = [item for item in items if _fits(item)]


def _fits(item: pytest.Item) -> bool:
    about = getattr(getattr(item, "function", None), ONLY, None)
    if about is None or not isinstance(item, pytest.Function):
        return True
    description = os.environ.get(VARIABLE)
    if description:
        return bool(about == json.loads(description)["backend"])
    return bool(about == FAKES[str(item.callspec.params["ground"])][0])


@pytest.fixture
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """Four devices on vfio-pci, which nobody holds."""
    if request.param == "real":
        real = RealGround(os.environ[VARIABLE])
        real.restore()
        yield real
        real.restore()
        return
    backend, disable_idle_d3 = FAKES[request.param]
    yield FakeGround(tmp_path, backend, disable_idle_d3=disable_idle_d3)
