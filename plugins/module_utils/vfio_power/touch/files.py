# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files that survive a power cut: at any moment the old content is there, or the new one.

What the bytes mean is for store.py and leases.py; this file only keeps them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Callable, Optional

from ..words.descriptor import OwnedFd

PREVIOUS = ".previous"
DAMAGED = ".damaged"
_NEW = ".new"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """A folder that only its owner reads, with one writer at a time.

    Every name is used relative to the folder's descriptor, and no link is followed.
    """

    def __init__(self, path: str, *, synced: bool = True) -> None:
        """``synced`` false is for folders that do not outlive the boot."""
        self.path = path
        self._synced = synced

    def read(self, name: str) -> Optional[bytes]:
        """Return a file's content, or None where there is none."""
        try:
            with OwnedFd(os.open(f"{self.path}/{name}", _READ)) as file:
                return _content(file)
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        """Return the names of all files; none where there is no folder."""
        try:
            return sorted(os.listdir(self.path))
        except FileNotFoundError:
            return []

    @contextmanager
    def writing(self, *, locked: bool = True) -> Iterator[Writer]:
        """Lock the folder, made if needed, against other writers for the length of a block.

        Not ``locked`` is for files of which each has one writer: they need not wait for each other.
        Every OSError in it names a path, and the whole of it.
        """
        with self._naming(), ExitStack() as opened:
            self._make()
            folder = opened.enter_context(OwnedFd(os.open(self.path, _FOLDER)))
            if locked:
                fcntl.flock(folder.fileno(), fcntl.LOCK_EX)  # ends with the descriptor
            yield Writer(folder, synced=self._synced)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # a full disk is met in a write, which knows no name
            name = error.filename
            error.filename = os.path.join(self.path, name) if name else self.path
            raise

    def _make(self) -> None:
        try:
            os.mkdir(self.path, 0o700)
        except FileExistsError:
            return
        if self._synced:
            with OwnedFd(os.open(os.path.dirname(self.path) or ".", _FOLDER)) as parent:
                os.fsync(parent.fileno())


class Writer:
    """Replaces files of a locked folder."""

    def __init__(self, folder: OwnedFd, *, synced: bool) -> None:
        self._folder = folder
        self._synced = synced

    def replace(self, name: str, content: bytes, sound: Callable[[bytes], bool]) -> bool:
        """Put new content in the place of the old; tell whether it differed.

        The old content stays beside it under another name: as the previous generation if it is
        ``sound``, as evidence of the damage if not. Readers see the old or the new content.
        """
        before = self._read(name)
        if before == content:
            return False
        self._write(name + _NEW, content)
        if before is not None:
            self._keep(name, name + (PREVIOUS if sound(before) else DAMAGED))
        self._rename(name + _NEW, name)
        self._sync(self._folder)
        return True

    def remove(self, name: str) -> None:
        """Remove a file for good; none is fine as well."""
        self._remove(name)
        self._sync(self._folder)

    def _read(self, name: str) -> Optional[bytes]:
        try:
            with OwnedFd(os.open(name, _READ, dir_fd=self._folder.fileno())) as file:
                return _content(file)
        except FileNotFoundError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        self._remove(name)  # left by a writer that died
        with OwnedFd(os.open(name, _CREATE, 0o600, dir_fd=self._folder.fileno())) as file:
            write_all(file, content)
            self._sync(file)

    def _keep(self, name: str, aside: str) -> None:
        """Give the content a second name; it must never be without its first one."""
        folder = self._folder.fileno()
        self._remove(aside + _NEW)
        os.link(name, aside + _NEW, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        self._rename(aside + _NEW, aside)
        self._remove(aside + _NEW)  # still there if both were one file: then rename does nothing

    def _rename(self, old: str, new: str) -> None:
        folder = self._folder.fileno()
        os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._folder.fileno())
        except FileNotFoundError:
            return

    def _sync(self, file: OwnedFd) -> None:
        if self._synced:
            os.fsync(file.fileno())


def write_all(file: OwnedFd, content: bytes) -> None:
    """Write all of it, however little the kernel takes at once. Raises OSError."""
    while content:
        content = content[os.write(file.fileno(), content) :]


def _content(file: OwnedFd) -> bytes:
    return b"".join(iter(lambda: os.read(file.fileno(), 65536), b""))
