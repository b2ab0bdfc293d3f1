# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs and the collection as the tests find them: built, installed, and only then used."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .host import Lab
from .managed import BIN, ManagedHost
from .progress import Progress

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as a user has it: installed from the tarball that was built of it."""
    given = os.environ.get("VFIO_POWER_COLLECTIONS")
    if given:
        return Path(given)
    folder = tmp_path_factory.mktemp("collections")
    galaxy = [str(BIN / "ansible-galaxy"), "collection"]
    build = [*galaxy, "build", "--output-path", str(folder), str(REPOSITORY)]
    subprocess.run(build, check=True, capture_output=True)
    (tarball,) = folder.glob("vfio-power-*.tar.gz")
    install = [*galaxy, "install", "--offline", "--collections-path", str(folder), str(tarball)]
    subprocess.run(install, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A booted lab; a test file says which one it wants by LAB = {...}."""
    attached = os.environ.get("VFIO_POWER_LAB")
    if attached:
        yield Lab.attach(attached)
        return
    wanted = getattr(request.module, "LAB", {})
    with Lab.start(progress=Progress(), **wanted) as lab:
        yield lab


@pytest.fixture(scope="module")
def host(lab: Lab, collections: Path) -> ManagedHost:
    """The lab's host, managed by the installed collection; the helper is not there yet."""
    return ManagedHost(lab, collections)
