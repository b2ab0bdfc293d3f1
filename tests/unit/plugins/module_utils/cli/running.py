# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the command in a scene and keeps what it printed."""

from __future__ import annotations

import io
import json
from typing import Any, NamedTuple

from ansible_collections.vfio.power.plugins.module_utils.vfio_power.cli.main import run

from ..touch.scene import Scene


class Ran(NamedTuple):
    """The exit status, and both outputs."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return what was printed as JSON."""
        return json.loads(self.out)


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def ctl(
    scene: Scene, *words: str, terminal: bool = False, root: bool = True, **environ: str
) -> Ran:
    """Run ``vfio-powerctl`` with these words."""
    out, err = Terminal() if terminal else io.StringIO(), io.StringIO()
    status = run(list(words), scene.surroundings(root=root), out, err, environ)
    return Ran(status, out.getvalue(), err.getvalue())
