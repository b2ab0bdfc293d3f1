# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a power cut may leave of a folder whose changes were recorded, one change at a time.

A filesystem keeps names in the order of their changes, and has the right to lose the last of
them; content it may write when it likes, before or long after its name, until it is synced.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple


class Change(NamedTuple):
    """One change to the folder: ``file`` counts the files that were made in it."""

    what: str
    name: str = ""
    other: str = ""
    file: int = -1
    data: bytes = b""


class Recorder:
    """Stands in for ``os``: does what it is asked for, and writes down what changes the disk."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._files: dict[int, int] = {}  # by descriptor
        self._made = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, flags: int, *rest: Any, **where: Any) -> int:
        number = os.open(path, flags, *rest, **where)
        self._files.pop(number, None)
        if flags & os.O_CREAT:
            self._files[number] = self._made
            self.changes.append(Change("create", path, file=self._made))
            self._made += 1
        return number

    def write(self, number: int, data: bytes) -> int:
        written = os.write(number, data[: len(data) // 2 + 1])  # never all at once
        self.changes.append(Change("write", file=self._files[number], data=data[:written]))
        return written

    def fsync(self, number: int) -> None:
        file = self._files.get(number)
        self.changes.append(Change("sync folder") if file is None else Change("sync", file=file))

    def link(self, old: str, new: str, **where: Any) -> None:
        os.link(old, new, **where)
        self.changes.append(Change("link", old, new))

    def rename(self, old: str, new: str, **where: Any) -> None:
        os.rename(old, new, **where)
        self.changes.append(Change("rename", old, new))

    def unlink(self, name: str, **where: Any) -> None:
        os.unlink(name, **where)
        self.changes.append(Change("unlink", name))


class Disk:
    """A folder as it was before, with some of the changes made to it."""

    def __init__(self, before: Path) -> None:
        self._content = {-1 - at: path.read_bytes() for at, path in enumerate(before.iterdir())}
        self._synced = dict(self._content)
        self._names = {path.name: -1 - at for at, path in enumerate(before.iterdir())}

    def apply(self, change: Change) -> None:
        """Make one change."""
        names = self._names
        if change.what == "create":
            names[change.name] = change.file
            self._content[change.file] = self._synced[change.file] = b""
        elif change.what == "write":
            self._content[change.file] += change.data
        elif change.what == "sync":
            self._synced[change.file] = self._content[change.file]
        elif change.what == "link":
            names[change.other] = names[change.name]
        elif change.what == "unlink":
            del names[change.name]
        elif change.what == "rename" and names[change.name] != names.get(change.other):
            names[change.other] = names.pop(change.name)  # of two names of one file both stay

    def survivors(self) -> Iterator[dict[str, bytes]]:
        """Return each folder that may be found after a power cut right now."""
        files = sorted({*self._names.values()})
        for contents in product(*map(self._contents, files)):
            found = dict(zip(files, contents))
            yield {name: found[file] for name, file in self._names.items()}

    def _contents(self, file: int) -> set[bytes]:
        """Return what may stand in a file: all that was written, or what was synced, or between."""
        synced, written = self._synced[file], self._content[file]
        late = written[len(synced) :]
        return {synced, synced + late[: len(late) // 2], synced + bytes(len(late)), written}


def power_cuts(before: Path, changes: list[Change]) -> Iterator[dict[str, bytes]]:
    """Return every folder that a power cut may leave, names with contents, each of them once."""
    disk = Disk(before)
    seen: list[dict[str, bytes]] = []
    for change in (None, *changes):
        if change is not None:
            disk.apply(change)
        for folder in disk.survivors():
            if folder not in seen:
                seen.append(folder)
                yield folder
