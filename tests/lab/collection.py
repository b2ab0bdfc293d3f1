# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it: built from this checkout and installed from the tarball."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from .managed import BIN
from .progress import LabError

REPOSITORY = Path(__file__).parents[2]


def install(place: Path) -> Path:
    """Build and install into a folder for ANSIBLE_COLLECTIONS_PATH; return the folder."""
    galaxy = [str(BIN / "ansible-galaxy"), "collection"]
    _run([*galaxy, "build", "--output-path", str(place), str(REPOSITORY)])
    (tarball,) = place.glob("vfio-power-*.tar.gz")
    _run([*galaxy, "install", "--offline", "--collections-path", str(place), str(tarball)])
    return place


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{shlex.join(command)} failed:\n{done.stdout}{done.stderr}")
