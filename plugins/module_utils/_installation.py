# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed of the helper on a host: files, links, and a list of both.

Private to this collection. Comparing comes first and writes nothing, so check mode is the same
walk without its last step. The list (``installed.json``) is what removal goes by: it names what
was written and which folders had to be made for it, so nothing else is taken away.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Optional

MANIFEST = "installed.json"


class File(NamedTuple):
    """A file as it should be."""

    path: str
    content: str
    mode: int = 0o644


class Link(NamedTuple):
    """A symbolic link as it should be."""

    path: str
    target: str


class Change(NamedTuple):
    """One path that differs; both sides as text for a diff."""

    path: str
    before: str
    after: str


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


def write_file(file: File) -> None:
    """Put the file in place in one step; a reader sees the old one or the new one."""
    path = Path(file.path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(file.content)
            os.fchmod(stream.fileno(), file.mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_link(link: Link) -> None:
    """Put the link in place in one step."""
    path = Path(link.path)
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(link.target)
    os.replace(temporary, path)


def write_tree(folder: Path, tree: Mapping[str, File]) -> None:
    """Replace a folder as a whole, so that nothing of an earlier one stays in it."""
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.new."))
    old = folder.with_name(f".{folder.name}.old")
    try:
        new.chmod(0o755)
        for name, file in tree.items():
            path = new / name
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            write_file(file._replace(path=str(path)))
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


class Manifest(NamedTuple):
    """What an installation put on the host."""

    paths: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read it; an unreadable one counts as none."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return cls(tuple(document["paths"]), tuple(document["folders"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def text(self) -> str:
        """Return it as it is stored."""
        return json.dumps({"paths": self.paths, "folders": self.folders}, indent=1) + "\n"


def missing_folders(paths: Iterable[Path]) -> list[Path]:
    """Return the parent folders that have to be made, outermost first."""
    missing = {parent for path in paths for parent in path.parents if not parent.exists()}
    return sorted(missing, key=lambda folder: len(folder.parts))


class Installation:
    """The program in a folder of its version, and files and links around it."""

    def __init__(self, base: Path, root: Path = Path("/")) -> None:
        self._base = self._below(root, base)
        self._root = root

    @staticmethod
    def _below(root: Path, path: Path) -> Path:
        return root / path.relative_to("/")

    def _at(self, path: str) -> Path:
        return self._below(self._root, Path(path))

    def install(
        self,
        version: str,
        program: Mapping[str, File],
        files: Iterable[File],
        links: Iterable[Link],
        *,
        write: bool,
    ) -> list[Change]:
        """Make the host have exactly this; return what differed. Without ``write`` only look."""
        folder = self._base / version
        outside = [file._replace(path=str(self._at(file.path))) for file in files]
        all_links = [Link(str(self._base / "current"), version)]
        all_links += [Link(str(self._at(link.path)), link.target) for link in links]

        wrong_files = [file for file in outside if read_file(Path(file.path)) != file]
        wrong_links = [link for link in all_links if read_link(Path(link.path)) != link.target]
        found = read_tree(folder)
        wrong_names = [name for name in {*found, *program} if found.get(name) != program.get(name)]
        stale = self._stale(version, {*outside, *all_links})
        before, manifest = self._manifest([*outside, *all_links])

        changes = [self._file_change(file) for file in wrong_files]
        changes += [
            Change(link.path, read_link(Path(link.path)) or "", link.target) for link in wrong_links
        ]
        if wrong_names:
            after = digests(program, wrong_names) if found else f"{len(program)} files\n"
            changes.append(Change(str(folder), digests(found, wrong_names), after))
        changes += [Change(str(path), "installed\n", "") for path in stale]

        if write and (changes or before != manifest):
            for new in missing_folders(
                [self._base / MANIFEST, *map(self._path, outside + all_links)]
            ):
                new.mkdir(mode=0o755)
            write_file(File(str(self._base / MANIFEST), manifest.text()))
            if wrong_names:
                write_tree(folder, program)
            for file in wrong_files:
                write_file(file)
            for link in wrong_links:
                write_link(link)
            self._remove(stale)
        return changes

    def uninstall(self, more: Iterable[str], *, write: bool) -> list[Change]:
        """Take everything away that the manifest names, the program, and what else is said."""
        manifest = Manifest.load(self._base / MANIFEST)
        paths = [Path(path) for path in manifest.paths]
        paths += [self._base, *map(self._at, more)]
        there = [path for path in paths if path.exists() or path.is_symlink()]
        if write:
            self._remove(there)
            for folder in reversed(manifest.folders):
                try:
                    os.rmdir(folder)
                except OSError:  # somebody else has put something there since
                    continue
        return [Change(str(path), "installed\n", "") for path in there]

    @staticmethod
    def _path(item: File | Link) -> Path:
        return Path(item.path)

    def _file_change(self, file: File) -> Change:
        """Show configuration in full, and what nobody would review by its checksum."""
        found = read_file(Path(file.path))
        if Path(file.path).is_relative_to(self._root / "etc"):
            return Change(file.path, found.content if found else "", file.content)
        there = {file.path: found} if found else {}
        return Change(
            file.path, digests(there, [file.path]), digests({file.path: file}, [file.path])
        )

    def _manifest(self, items: list[File | Link]) -> tuple[Manifest, Manifest]:
        """Return the manifest that is stored and the one that should be."""
        before = Manifest.load(self._base / MANIFEST)
        paths = tuple(item.path for item in items)
        made = missing_folders([self._base / MANIFEST, *map(Path, paths)])
        new = [str(folder) for folder in made if str(folder) not in before.folders]
        return before, Manifest(paths, (*before.folders, *new))

    def _stale(self, version: str, items: set[File | Link]) -> list[Path]:
        """Return what an earlier installation left: other versions, and files no longer shipped."""
        wanted = {item.path for item in items}
        kept = {self._base / version, self._base / "current", self._base / MANIFEST}
        others = sorted(set(self._base.glob("*")) - kept) if self._base.is_dir() else []
        named = Manifest.load(self._base / MANIFEST).paths
        gone = [Path(path) for path in named if path not in wanted]
        return others + [path for path in gone if path.exists() or path.is_symlink()]

    @staticmethod
    def _remove(paths: Iterable[Path]) -> None:
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
