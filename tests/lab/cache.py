# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where built things are kept: one folder per recipe, under the user's cache folder.

A folder is named after the hash of its recipe, so that another recipe is another folder.  It
appears under its name only when it is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .packages import as_root
from .progress import LabError


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vfio-power" / "lab"


def digest(recipe: object) -> str:
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def find(kind: str, recipe: object) -> Path | None:
    """The built folder, or None; whoever asks for it is taken to use it."""
    folder = cache_folder() / f"{kind}-{digest(recipe)}"
    if not folder.is_dir():
        return None
    os.utime(folder)
    return folder


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
        _remove(*_long_unused(kind))
        return folder


def _long_unused(kind: str) -> list[Path]:
    """Other recipes' folders, but for those that a lab may still be running on."""
    yesterday = time.time() - 86400
    folders = cache_folder().glob(f"{kind}-*")
    return [folder for folder in folders if folder.stat().st_mtime < yesterday]


@contextlib.contextmanager
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
    """Run a build command, and show the end of what it said if it fails.

    If we are interrupted, its children end with it.
    """
    # sudo asks on the terminal, so it stays in the terminal's group and hears of ctrl-C itself.
    apart = command[0] != "sudo"
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=apart)
        try:
            status = process.wait()
        except BaseException:
            _end(process, apart)
            raise
        if status:
            said.seek(0)
            tail = "".join(said.readlines()[-40:])
            raise LabError(f"{what} failed ({command[0]} ended with {status}):\n{tail}")


def _end(process: subprocess.Popen[bytes], apart: bool) -> None:
    """mmdebstrap unmounts what it mounted when it is asked to end, so ask first."""
    target = -process.pid if apart else process.pid
    with contextlib.suppress(ProcessLookupError):
        os.kill(target, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.kill(target, signal.SIGKILL)
        process.wait()
