# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this machine offers to the checks: its Pythons, the ansible-cores they can run, our cache.

The sessions themselves are in noxfile.py, the copy of the tree they work on is made in tree.py.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

Version = tuple[int, int]

ROOT = Path(__file__).resolve().parent.parent
FLOOR: Version = (3, 9)


class Core(NamedTuple):
    """A release of ansible-core and the Pythons its controller side runs on."""

    release: str
    oldest_python: Version
    newest_python: Version


# The oldest one is what meta/runtime.yml promises. A new release is a new last line.
CORES = [
    Core("2.16", (3, 10), (3, 12)),
    Core("2.17", (3, 10), (3, 12)),
    Core("2.19", (3, 11), (3, 13)),
    Core("2.21", (3, 12), (3, 14)),
]


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vfio-power"


def search_path() -> list[str]:
    """PATH without pyenv's shims: a shim exists for Pythons that it then refuses to run."""
    return [part for part in os.environ.get("PATH", "").split(os.pathsep) if not _is_shims(part)]


def _is_shims(directory: str) -> bool:
    return Path(directory).name == "shims"


def pythons() -> dict[Version, Path]:
    """The Pythons from the floor up that run and can make virtual environments, oldest first."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    places = [Path(part) for part in search_path()]
    places += sorted(pyenv.glob("versions/*/bin"), reverse=True)
    found: dict[Version, Path] = {}
    for place in places:
        for candidate in place.glob("python3.*"):
            version = _version(candidate.name)
            if version and version >= FLOOR and version not in found and _works(candidate):
                found[version] = candidate
    return dict(sorted(found.items()))


def _version(name: str) -> Version | None:
    match = re.fullmatch(r"python3\.(\d+)", name)
    return (3, int(match[1])) if match else None


def _works(python: Path) -> bool:
    probe = subprocess.run(
        [python, "-I", "-c", "import ensurepip, venv"], capture_output=True, check=False
    )
    return probe.returncode == 0


def python_for(core: Core, available: dict[Version, Path]) -> Path | None:
    """The newest Python here that this ansible-core runs on."""
    fitting = [v for v in available if core.oldest_python <= v <= core.newest_python]
    return available[max(fitting)] if fitting else None


def newest_core(python: Version) -> str | None:
    """The newest of these ansible-cores whose controller side runs on that Python."""
    fitting = [it.release for it in CORES if it.oldest_python <= python <= it.newest_python]
    return fitting[-1] if fitting else None


def cores(available: dict[Version, Path]) -> dict[str, Path]:
    """The oldest supported ansible-core and the newest one that runs here, with their Pythons."""
    runnable = {core.release: python for core in CORES if (python := python_for(core, available))}
    releases = list(runnable)
    ends = dict.fromkeys(releases[:1] + releases[-1:])
    return {release: runnable[release] for release in ends}
