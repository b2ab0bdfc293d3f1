# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, links and folders of an installation: read as they are, put in place in one step.

Private to this collection. Which of them belong on a host is for _installation.py. Every OSError
names a path, also where the kernel does not: a full disk is met in a write, which knows none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Optional


class File(NamedTuple):
    """A file as it should be."""

    path: str
    content: str
    mode: int = 0o644


class Link(NamedTuple):
    """A symbolic link as it should be."""

    path: str
    target: str


def is_there(path: Path) -> bool:
    """Tell whether anything has that path, a link to nowhere included."""
    return path.exists() or path.is_symlink()


def read_file(path: Path) -> Optional[File]:
    """Return the regular file at that path, or None."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return None
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    return File(str(path), text, stat.S_IMODE(status.st_mode))


def read_link(path: Path) -> Optional[str]:
    """Return where the link at that path points, or None when there is no link."""
    return os.readlink(path) if path.is_symlink() else None


def read_tree(folder: Path) -> dict[str, File]:
    """Return every regular file below a folder by its relative path; compiled ones do not count."""
    found = {}
    for path in sorted(folder.rglob("*")):
        file = None if path.parent.name == "__pycache__" else read_file(path)
        if file is not None:
            relative = path.relative_to(folder).as_posix()
            found[relative] = file._replace(path=relative)
    return found


def digests(tree: Mapping[str, File], names: Iterable[str]) -> str:
    """Return a line for each named file that the tree has: enough to see which one differs."""
    lines = [
        f"{hashlib.sha256(tree[name].content.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
        f" {tree[name].mode:04o} {name}\n"
        for name in sorted(names)
        if name in tree
    ]
    return "".join(lines)


def write_file(path: Path, file: File, *, synced: bool = True) -> None:
    """Put the file in place in one step; a reader sees the old one or the new one.

    So does who comes after a power cut, unless it is not ``synced``.
    """
    with _naming(path):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(file.content)
                os.fchmod(stream.fileno(), file.mode)
                stream.flush()
                if synced:
                    os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        if synced:
            _sync(path.parent)


def write_link(path: Path, target: str) -> None:
    """Put the link in place in one step."""
    with _naming(path):
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        os.replace(temporary, path)
        _sync(path.parent)


def write_tree(folder: Path, tree: Mapping[str, File]) -> None:
    """Replace a folder as a whole, so that nothing of an earlier one stays in it."""
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.new."))
    old = folder.with_name(f".{folder.name}.old")
    try:
        new.chmod(0o755)
        for name, file in tree.items():
            path = new / name
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            write_file(path, file, synced=False)
        sync_tree(new)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def sync_tree(folder: Path) -> None:
    """Have a folder on the disk with all files that are below it.

    Not the whole host: that may wait for a disk of a guest, or a server that is gone.
    """
    for path in (*folder.rglob("*"), folder):
        if not path.is_symlink():
            _sync(path)


def remove(path: Path) -> None:
    """Take away a file, a link, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def missing_folders(paths: Iterable[Path]) -> list[Path]:
    """Return the parent folders that have to be made, outermost first."""
    missing = {parent for path in paths for parent in path.parents if not parent.exists()}
    return sorted(missing, key=lambda folder: len(folder.parts))


def _sync(path: Path) -> None:
    """Have a file on the disk, or the names that are in a folder."""
    with _naming(path):
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(number)
        finally:
            os.close(number)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have every OSError of a block name this path, and not a temporary one or none."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise
