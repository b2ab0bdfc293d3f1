# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of the source tree at the place where ansible-test wants it.

ansible-test and ansible-galaxy only work below ``ansible_collections/vfio/power``, and a symbolic
link does not count. The copy holds what git tracks and what it would track: no caches, no secrets.
It stays between runs, so the environments that ansible-test makes in it stay too.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.machine import ROOT, cache

COLLECTION = Path("ansible_collections/vfio/power")
# What tools make inside the copy; it is not in the source and stays.
KEPT = Path("tests/output")


@contextmanager
def work_copy(name: str) -> Iterator[Path]:
    """The up-to-date copy called name of this checkout, ours alone until the block ends.

    A second user of the same copy waits for its turn.
    """
    place = cache() / "work" / f"{_fingerprint(ROOT)}-{name}"
    collection = place / COLLECTION
    collection.mkdir(parents=True, exist_ok=True)
    (place / "checkout").write_text(str(ROOT))
    _prune(place.parent)
    with (place / "lock").open("w") as lock:
        _wait_for(lock.fileno(), place)
        synchronise(ROOT, collection)
        yield collection


def _prune(places: Path) -> None:
    """Remove the copies of checkouts that are gone."""
    for note in places.glob("*/checkout"):
        if not Path(note.read_text()).exists():
            shutil.rmtree(note.parent, ignore_errors=True)


def _fingerprint(checkout: Path) -> str:
    return hashlib.sha256(os.fsencode(checkout)).hexdigest()[:12]


def _wait_for(lock: int, place: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write(f"Another check works in {place}; this one goes on when it is done.\n")
        fcntl.flock(lock, fcntl.LOCK_EX)


def synchronise(source: Path, target: Path) -> None:
    """Make target hold the source files of source, touching only what differs."""
    wanted = source_files(source)
    for path in _present(target):
        if path not in wanted:
            (target / path).unlink()
    for path in sorted(wanted):
        _copy_if_changed(source / path, target / path)
    _drop_empty_folders(target)


def source_files(checkout: Path) -> set[Path]:
    """Files that are tracked or not ignored, as far as they still exist."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=checkout, stdout=subprocess.PIPE, check=True).stdout
    names = [Path(os.fsdecode(name)) for name in listing.split(b"\0") if name]
    return {name for name in names if os.path.lexists(checkout / name)}


def _present(target: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(target):
        here = Path(folder).relative_to(target)
        folders[:] = [name for name in folders if here / name != KEPT]
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        yield from (here / name for name in [*files, *links])


def _copy_if_changed(source: Path, target: Path) -> None:
    if os.path.lexists(target) and _look(source) == _look(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def _look(path: Path) -> tuple[int, int, int]:
    status = path.lstat()
    return status.st_mode, status.st_size, status.st_mtime_ns


def _drop_empty_folders(target: Path) -> None:
    for folder, _folders, _files in os.walk(target, topdown=False):
        path = Path(folder)
        if KEPT not in (path.relative_to(target), *path.relative_to(target).parents):
            _remove_if_empty(path)


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()
