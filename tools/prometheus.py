# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prometheus and what belongs to it: as installed, or out of Debian's packages.

The packages are only unpacked into our cache: to install them would start servers on this machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools import machine

PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "prometheus-node-exporter": "prometheus-node-exporter",
}
"""By program: the package of Debian that it is in."""


def program(name: str) -> Path:
    """Where one of them is; its package is unpacked first if need be."""
    installed = shutil.which(name)
    if installed is not None:
        return Path(installed)
    unpacked = machine.cache() / "prometheus" / name
    if not unpacked.exists():
        _unpack(PACKAGES[name], unpacked.parent)
    return unpacked


def _unpack(package: str, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to) as place:
        if not _ran(place, "apt-get", "--quiet=2", "download", package):
            # A fresh machine has no list of packages yet.
            _ran(place, *_as_root(), "apt-get", "--quiet=2", "update")
            _insist(place, "apt-get", "--quiet=2", "download", package)
        (archive,) = Path(place).glob("*.deb")
        _insist(place, "dpkg-deb", "--extract", archive.name, "content")
        for found in (Path(place) / "content/usr/bin").iterdir():
            found.replace(to / found.name)


def _as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo"]


def _ran(folder: str, *command: str) -> bool:
    return not subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


def _insist(folder: str, *command: str) -> None:
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(
            f"{' '.join(command)} failed; where Debian's packages cannot be had, install"
            f" Prometheus and its node_exporter yourself:\n{ran.stderr}"
        )
