# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of what an installation put on a host (``installed.json``), which removal goes by.

Private to this collection. Paths are those of the host, wherever its root folder is seen from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from ansible_collections.vfio.power.plugins.module_utils._files import File, write_file

BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Manifest(NamedTuple):
    """What an installation put on the host, and whether the helper runs it."""

    paths: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    restart: str = ""
    """The boot in which a restart became due. Another boot has brought it by itself."""

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read it; an unreadable one counts as none."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                tuple(document["paths"]), tuple(document["folders"]), document.get("restart", "")
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def save(self, path: Path) -> None:
        """Store it in one step."""
        write_file(path, File(str(path), json.dumps(self._asdict(), indent=1) + "\n"))

    def listing(self) -> str:
        """Return what it names, a line for each."""
        return "".join(f"{path}\n" for path in (*self.paths, *self.folders))

    def with_all_of(self, other: Manifest) -> Manifest:
        """Return one that names what either of both names."""
        return self._replace(
            paths=tuple(dict.fromkeys((*self.paths, *other.paths))),
            folders=tuple(dict.fromkeys((*self.folders, *other.folders))),
        )


def this_boot(path: str = BOOT_ID) -> str:
    """Return what tells this boot from all others; without /proc, as in an image, a constant."""
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return "not booted"
