# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed of the helper on a host: files, links, and a list of both.

Private to this collection. Comparing comes first and writes nothing, so check mode is the same
walk without its last step. The list (``installed.json``, see _manifest.py) is what removal goes
by: it names what was written and which folders had to be made for it, so nothing else is taken
away. It is written before the rest with all that is and was there, and last with what stays, so
that a run that was cut short at any moment is finished by the next one.

What the helper runs is not lost when something else is installed: until that was seen to run
(``previous.json``, see _wanted.py) it can be put back. Who looks, and when, is in _upgrade.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Optional

from ansible_collections.vfio.power.plugins.module_utils._files import (
    File,
    Link,
    digests,
    is_there,
    missing_folders,
    read_file,
    read_link,
    read_tree,
    remove,
    write_file,
    write_link,
    write_tree,
)
from ansible_collections.vfio.power.plugins.module_utils._manifest import Manifest, this_boot
from ansible_collections.vfio.power.plugins.module_utils._wanted import Wanted

MANIFEST = "installed.json"
PREVIOUS = "previous.json"
CURRENT = "current"


class Wrong(NamedTuple):
    """What of it is not so, and what is there besides."""

    files: list[File]
    links: list[Link]
    parts: list[str]
    """The names of files of the program."""

    stale: list[str]


class Change(NamedTuple):
    """One path that differs; both sides as text for a diff."""

    path: str
    before: str
    after: str


class Installed(NamedTuple):
    """What differed, and whether the helper has to be restarted to run what is installed."""

    changes: list[Change]
    restart_due: bool


class Installation:
    """The program in a folder of its version, and files and links around it.

    All paths are the host's; ``root`` is where its root folder is seen from here.
    """

    def __init__(self, base: Path, root: Path = Path("/"), boot: str = "") -> None:
        self._base = base
        self._root = root
        self._boot = boot or this_boot()
        self._manifest = self._at(base / MANIFEST)
        self._previous = self._at(base / PREVIOUS)

    @property
    def version(self) -> str:
        """Return the version that is run when the helper starts."""
        return read_link(self._at(self._base / CURRENT)) or ""

    @property
    def restart_due(self) -> bool:
        """Tell whether the helper cannot run what is installed before it is restarted."""
        return Manifest.load(self._manifest).restart == self._boot

    def previous(self) -> Optional[Wanted]:
        """Return what was there before; None once what is there now was seen to run."""
        return Wanted.load(self._previous)

    def install(self, wanted: Wanted, *, write: bool) -> Installed:
        """Make the host have exactly this. Without ``write`` only look."""
        current = Link(str(self._base / CURRENT), wanted.version)
        wanted = wanted._replace(links=[current, *wanted.links])
        before = Manifest.load(self._manifest)
        wrong = self._wrong(wanted, before)
        moved = [*(file.path for file in wrong.files), *wrong.stale]
        restart = any(path in wanted.restart_for for path in moved)
        restart = restart or bool(wrong.parts) or current in wrong.links
        goal = self._goal(before, wanted.paths, restart=restart)
        changes = self._changes(wanted, wrong)
        if not changes and before != goal:
            changes = [Change(str(self._base / MANIFEST), before.listing(), goal.listing())]
        if write and changes:
            self._make_folders([])
            if restart:
                self._keep_what_runs(before)
            goal.with_all_of(before).save(self._manifest)
            self._make_folders(wanted.paths)
            self._put_right(wanted, wrong)
            goal.save(self._manifest)
        return Installed(changes, goal.restart == self._boot)

    def put_back(self) -> None:
        """Install what was there before. The helper has to be restarted then, and seen."""
        previous = self.previous()
        if previous is not None:
            self.install(previous, write=True)

    def seen(self, *, write: bool, version: str = "") -> list[Change]:
        """Note that the helper runs what is installed; what was there before is of no use now.

        Without ``write`` tell what would be of no use beside another ``version`` than that.
        """
        before = Manifest.load(self._manifest)
        unneeded = [str(self._base / name) for name in self._others({version or self.version})]
        if write:
            if before.restart:
                before._replace(restart="").save(self._manifest)
            for path in unneeded:
                remove(self._at(path))
        due = "a restart is due\n"
        noted = [Change(str(self._base / MANIFEST), due, "")] if before.restart else []
        return noted + [Change(path, "installed\n", "") for path in unneeded]

    def is_a_note(self, path: str) -> bool:
        """Tell what is kept about an installation from the installation itself."""
        return path in (str(self._base / MANIFEST), str(self._base / PREVIOUS))

    def uninstall(self, more: Iterable[str], *, write: bool) -> list[Change]:
        """Take everything away that the manifest names, what else is said, and the program."""
        manifest = Manifest.load(self._manifest)
        paths = dict.fromkeys([*manifest.paths, *more, str(self._base)])
        there = [path for path in paths if is_there(self._at(path))]
        if write:
            for path in there:
                remove(self._at(path))
            for folder in reversed(manifest.folders):
                try:
                    os.rmdir(self._at(folder))
                except OSError:  # somebody else has put something there since
                    continue
        return [Change(path, "installed\n", "") for path in there]

    def _at(self, path: str | Path) -> Path:
        return self._root / Path(path).relative_to("/")

    def _wrong(self, wanted: Wanted, before: Manifest) -> Wrong:
        found = read_tree(self._at(self._base / wanted.version))
        names = sorted({*found, *wanted.program})
        return Wrong(
            [file for file in wanted.files if self._found(file) != file],
            [link for link in wanted.links if read_link(self._at(link.path)) != link.target],
            [name for name in names if found.get(name) != wanted.program.get(name)],
            self._stale(wanted, before),
        )

    def _found(self, file: File) -> Optional[File]:
        found = read_file(self._at(file.path))
        return found and found._replace(path=file.path)

    def _stale(self, wanted: Wanted, before: Manifest) -> list[str]:
        """Return what an earlier installation left: other versions, and files no longer shipped.

        The version that the helper runs now is needed until another one was seen to run.
        """
        kept = {PREVIOUS, wanted.version, self._running_version(before)}
        gone = [path for path in before.paths if path not in wanted.paths]
        return [
            *(str(self._base / name) for name in self._others(kept)),
            *(path for path in gone if is_there(self._at(path))),
        ]

    def _others(self, kept: set[str]) -> list[str]:
        """Return the names of what is in the program's folder besides what is always there."""
        names = {path.name for path in self._at(self._base).glob("*")}
        return sorted(names - kept - {CURRENT, MANIFEST})

    def _running_version(self, before: Manifest) -> str:
        """Return the version that the helper runs, as far as that is known."""
        previous = self.previous()
        if previous is not None:
            return previous.version
        return "" if before.restart == self._boot else self.version

    def _keep_what_runs(self, before: Manifest) -> None:
        """Write down what the helper runs, unless that was done before, or it runs nothing."""
        version = self._running_version(before)
        program = read_tree(self._at(self._base / version)) if version else {}
        if not program or self.previous() is not None:
            return
        paths = [path for path in before.paths if path != str(self._base / CURRENT)]
        files = [file for path in paths if (file := self._found(File(path, "")))]
        links = [Link(path, target) for path in paths if (target := read_link(self._at(path)))]
        runs = Wanted(version, program, files, links)
        write_file(self._previous, File(str(self._base / PREVIOUS), runs.text()))

    def _goal(self, before: Manifest, paths: list[str], *, restart: bool) -> Manifest:
        """Return the manifest that should be; a restart that was due before is so still."""
        made = [it for it in self._missing_folders(paths) if self._root in it.parents]
        folders = ["/" + folder.relative_to(self._root).as_posix() for folder in made]
        new = [folder for folder in folders if folder not in before.folders]
        due = self._boot if restart else before.restart
        return Manifest(tuple(paths), (*before.folders, *new), due)

    def _missing_folders(self, paths: Iterable[str]) -> list[Path]:
        """Return the folders of a host that have to be made, outermost first."""
        return missing_folders([self._manifest, *map(self._at, paths)])

    def _make_folders(self, paths: Iterable[str]) -> None:
        """Make the folders of these paths, and of the list, which has to name all others first."""
        for folder in self._missing_folders(paths):
            folder.mkdir(mode=0o755)

    def _put_right(self, wanted: Wanted, wrong: Wrong) -> None:
        if wrong.parts:
            write_tree(self._at(self._base / wanted.version), wanted.program)
        for file in wrong.files:
            write_file(self._at(file.path), file)
        for link in wrong.links:
            write_link(self._at(link.path), link.target)
        for path in wrong.stale:
            remove(self._at(path))

    def _changes(self, wanted: Wanted, wrong: Wrong) -> list[Change]:
        changes = [self._file_change(file) for file in wrong.files]
        for link in wrong.links:
            changes.append(Change(link.path, read_link(self._at(link.path)) or "", link.target))
        if wrong.parts:
            folder = self._base / wanted.version
            found = read_tree(self._at(folder))
            every = f"{len(wanted.program)} files\n"
            after = digests(wanted.program, wrong.parts) if found else every
            changes.append(Change(str(folder), digests(found, wrong.parts), after))
        return changes + [Change(path, "installed\n", "") for path in wrong.stale]

    def _file_change(self, file: File) -> Change:
        """Show configuration in full, and what nobody would review by its checksum."""
        found = self._found(file)
        if Path(file.path).is_relative_to("/etc"):
            return Change(file.path, found.content if found else "", file.content)
        there = {file.path: found} if found else {}
        return Change(
            file.path, digests(there, [file.path]), digests({file.path: file}, [file.path])
        )
