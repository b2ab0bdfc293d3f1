# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What should be on a host of the helper, and how that is written down.

Private to this collection. It is written down when something else is put in its place
(``previous.json``), and read to put it back.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from ansible_collections.vfio.power.plugins.module_utils._files import File, Link


class Wanted(NamedTuple):
    """What should be on a host; of ``restart_for`` are the files the helper is restarted for."""

    version: str
    program: Mapping[str, File]
    files: Sequence[File] = ()
    links: Sequence[Link] = ()
    restart_for: Collection[str] = ()

    @property
    def paths(self) -> list[str]:
        """Return where its files and links belong."""
        return [item.path for item in (*self.files, *self.links)]

    def text(self) -> str:
        """Write it down, without the reasons to restart: who reads it restarts anyway."""
        document = {
            "version": self.version,
            "program": list(self.program.values()),
            "files": list(self.files),
            "links": list(self.links),
        }
        return json.dumps(document) + "\n"

    @classmethod
    def load(cls, path: Path) -> Optional[Wanted]:
        """Read what was written down; None where there is nothing, or nothing to be understood."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            program = [File(*file) for file in document["program"]]
            return cls(
                document["version"],
                {file.path: file for file in program},
                [File(*file) for file in document["files"]],
                [Link(*link) for link in document["links"]],
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
