# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where built things are kept: one folder per recipe, under the user's cache folder.

A folder is named after the hash of its recipe, so that another recipe is another folder.  It
appears under its name only when it is complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .packages import as_root
from .progress import LabError


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vfio-power" / "lab"


def digest(recipe: object) -> str:
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def find(kind: str, recipe: object) -> Path | None:
    """The built folder, or None."""
    folder = cache_folder() / f"{kind}-{digest(recipe)}"
    return folder if folder.is_dir() else None


def obtain(kind: str, recipe: object, build: Callable[[Path], None]) -> Path:
    """The folder of that recipe; `build` fills it if it is not there yet.

    Two who want the same thing at the same time build it once.
    """
    found = find(kind, recipe)
    if found:
        return found
    cache_folder().mkdir(parents=True, exist_ok=True)
    with _locked(cache_folder() / f"{kind}.lock"):
        found = find(kind, recipe)
        if found:
            return found
        folder = cache_folder() / f"{kind}-{digest(recipe)}"
        _remove(*cache_folder().glob(f"{kind}.building-*"))
        building = Path(tempfile.mkdtemp(prefix=f"{kind}.building-", dir=cache_folder()))
        building.chmod(0o755)
        try:
            build(building)
        except BaseException:
            _remove(building)
            raise
        os.rename(building, folder)
        # A lab that still runs on an older base keeps its files open and needs no name for them.
        _remove(*(old for old in cache_folder().glob(f"{kind}-*") if old != folder))
        return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove(*folders: Path) -> None:
    """Root owns part of a root file system that is being built."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            subprocess.run(as_root(["rm", "-rf", "--one-file-system", str(folder)]), check=False)


def run(command: list[str], what: str) -> None:
    """Run a build command, and show the end of what it said if it fails."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-40:])
        raise LabError(f"{what} failed ({command[0]} ended with {done.returncode}):\n{tail}")
