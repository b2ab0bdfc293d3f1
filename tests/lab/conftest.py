# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs and the collection as the tests find them: built, installed, and only then used.

A test file says which lab it wants by LAB = {...}, and by FRESH in it that nobody was there before.
Files that want the same one run one after the other in the same lab; a process of pytest never has
more than one.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from .declared import HELPER, main_rules
from .host import Lab
from .managed import BIN, ManagedHost
from .outside import VOID
from .progress import LabError, Progress
from .watching import everything

FRESH = "fresh"
FILLERS = ("test_hot_plug", "test_interface", "test_journal", "test_selectors", "test_strangers")
"""Short files of the lab that most want: together as long as what is done with many cards."""
JOURNAL = "journalctl --unit vfio-powerd --lines 40 --output short-monotonic --no-pager"
REPOSITORY = Path(__file__).parents[2]


def wanted_lab(module: Any) -> dict[str, Any]:
    """What a test file wants of its lab."""
    return getattr(module, "LAB", {})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the files of one lab together; inside a file nothing moves.

    The lab that most tests want comes late: where several processes share the files, all of them
    find some to the end. That with many cards comes when the other checks are over: its host has
    so much to do that it suffers most from others. For the other process there are the fillers.
    """
    wanted = [wanted_lab(item.module) for item in items]
    times = Counter(map(str, wanted))
    order: dict[str, tuple[int, int]] = {}
    for place, lab in enumerate(wanted):
        order.setdefault(str(lab), (times[str(lab)], place))

    def turn(item: pytest.Item) -> tuple[int, int, int]:
        lab = wanted_lab(item.module)
        last = 2 if item.path.stem in FILLERS else 1 if lab.get("shape") == "many" else 0
        return last, *order[str(lab)]

    items.sort(key=turn)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the helper wrote last where a test failed: afterwards there is nobody to ask."""
    report = yield
    host = item.funcargs.get("host")
    if report.failed and host is not None and not VOID:
        with suppress(LabError, subprocess.TimeoutExpired):
            report.sections.append(("The helper's journal", host.lab.ssh(JOURNAL).stdout))
    return report


class OneLab:
    """The lab that runs now, and the host that is managed in it."""

    def __init__(self, collections: Path) -> None:
        self._collections = collections
        self._wanted: dict[str, Any] | None = None
        self._lab: Lab | None = None
        self.host: ManagedHost | None = None
        self.converged = False
        self.as_found: set[str] = set()
        """The files of the host before anything was installed."""

    def get(self, wanted: dict[str, Any]) -> ManagedHost:
        """Return the host of a lab like that, in place of any other lab, or of one that died."""
        died = self._lab is not None and not self._lab.machine.alive()
        if self.host is None or wanted != self._wanted or died:
            self.stop()
            attached = os.environ.get("VFIO_POWER_LAB")
            if attached:
                lab = Lab.attach(attached)
            else:
                options = {name: value for name, value in wanted.items() if name != FRESH}
                lab = self._lab = Lab.start(progress=Progress(), **options)
            self._wanted, self.host = wanted, ManagedHost(lab, self._collections)
            self.converged = VOID
        return self.host

    def stop(self) -> None:
        """End the lab, unless somebody else started it."""
        if self._lab is not None:
            self._lab.stop()
        self._lab = self.host = None
        self.converged = False


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


@pytest.fixture(scope="session")
def one_lab(collections: Path) -> Iterator[OneLab]:
    """The place where the running lab is kept."""
    labs = OneLab(collections)
    yield labs
    labs.stop()


@pytest.fixture(scope="module")
def host(request: pytest.FixtureRequest, one_lab: OneLab) -> ManagedHost:
    """The host of the lab that the file wants."""
    return one_lab.get(wanted_lab(request.module))


@pytest.fixture(scope="module")
def lab(host: ManagedHost) -> Lab:
    """The lab that the file wants."""
    return host.lab


@pytest.fixture(scope="module")
def converged(host: ManagedHost, one_lab: OneLab) -> ManagedHost:
    """The host with the helper on it, and the main rules declared."""
    if not one_lab.converged:
        one_lab.as_found = everything(host)
        host.converge(vfio_power_devices=main_rules(host), **HELPER)
        one_lab.converged = True
    return host


@pytest.fixture
def main(converged: ManagedHost) -> ManagedHost:
    """The host as the first converge left it, whatever a test before this one did."""
    converged.put_back(main_rules(converged))
    for card in () if VOID else ("nic", "disk"):
        converged.reaches(card, "D3cold")
    return converged
