# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device layer's contract tests, taken into the lab and run there on the real kernel.

They are the ones that the unit tests run on a fake kernel, so a difference between the two shows
here: tests/unit/plugins/module_utils/contract/. What travels is the installed collection.
"""

from __future__ import annotations

import json
import shlex
import tarfile
from pathlib import Path

from .host import Lab

# Their names over there, and the lab's cards that are like that.
CARDS = {"cold": "nic", "hot": "warm", "twin": "dual0", "other twin": "dual1"}
ON_VFIO = tuple(CARDS.values())

_HOME = "/root/contract"
_COLLECTION = "ansible_collections/vfio/power"
_TESTS = f"{_COLLECTION}/tests/unit/plugins/module_utils/contract"
_PATIENCE = 900


def bring_contract(lab: Lab, collections: Path, scratch: Path) -> None:
    """Put the program and its unit tests on the lab host."""
    archive = scratch / "contract.tar"
    with tarfile.open(archive, "w") as tar:
        for part in ("plugins/module_utils", "tests/unit"):
            tar.add(collections / _COLLECTION / part, f"{_COLLECTION}/{part}")
    lab.ssh(f"rm -rf {_HOME} && mkdir {_HOME}")
    lab.put(archive, f"{_HOME}/contract.tar")
    lab.ssh(f"cd {_HOME} && tar xf contract.tar")


def run_contract(lab: Lab, backend: str, host_driver: str = "e1000e") -> None:
    """Run the tests for one way in; a failing one shows as this one failing, with all it said."""
    cards = {name: lab.devices[card] for name, card in CARDS.items()}
    ground = {"backend": backend, "host_driver": host_driver, **cards}
    command = (
        f"cd {_HOME} && PYTHONPATH=. PYTHONDONTWRITEBYTECODE=1"
        f" VFIO_POWER_GROUND={shlex.quote(json.dumps(ground))}"
        f" timeout {_PATIENCE} python3 -m pytest -q -ra --tb=short -p no:cacheprovider"
        f" --rootdir=. --confcutdir={_TESTS} {_TESTS}"
    )
    done = lab.ssh(command, check=False, timeout=_PATIENCE + 60)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout, done.stdout
    assert "skipped" not in done.stdout, done.stdout


def reload_vfio(lab: Lab, *, disable_idle_d3: bool) -> None:
    """Load vfio-pci again with another idle rule, and give it its devices back."""
    addresses = " ".join(lab.devices[card] for card in ON_VFIO)
    lab.ssh(
        "cd /sys/bus/pci\n"
        f"for it in {addresses}; do echo $it > drivers/vfio-pci/unbind; done\n"
        "modprobe -r vfio_pci\n"
        f"modprobe vfio_pci disable_idle_d3={int(disable_idle_d3)}\n"
        f"for it in {addresses}; do\n"
        "  test -e devices/$it/driver || echo $it > drivers_probe\n"
        "done\n"
        f"grep -q {'Y' if disable_idle_d3 else 'N'} "
        "/sys/module/vfio_pci/parameters/disable_idle_d3"
    )
