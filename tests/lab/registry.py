# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folders of running labs: made, found by name, and cleared when their lab died.

A folder has `owner`, the process that makes the lab, from its first moment, and `lab.json` as
soon as there is a QEMU.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from .machine import is_lab
from .progress import LabError


def labs_folder() -> Path:
    """Where this user's running labs are; short, because sockets' paths may have 107 bytes."""
    return Path(tempfile.gettempdir()) / f"vfio-power-lab-{os.getuid()}"


def new_folder(name: str | None) -> Path:
    labs_folder().mkdir(mode=0o700, exist_ok=True)
    if name is None:
        folder = Path(tempfile.mkdtemp(prefix="lab-", dir=labs_folder()))
    else:
        folder = labs_folder() / name
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            raise LabError(f"A lab named {name!r} is there already; stop it first.") from None
    (folder / "owner").write_text(str(os.getpid()))
    return folder


def remember(folder: Path, settings: dict[str, Any]) -> None:
    write(folder / "lab.json", json.dumps(settings, indent=2))


def recall(name: str) -> tuple[Path, dict[str, Any]]:
    """The folder and the settings of a running lab."""
    folder = labs_folder() / name
    if not _runs(folder):
        running = ", ".join(running_names()) or "none"
        raise LabError(f"No lab {name!r} is running (running: {running}).")
    settings: dict[str, Any] = json.loads((folder / "lab.json").read_text())
    return folder, settings


def running_names() -> list[str]:
    if not labs_folder().is_dir():
        return []
    return sorted(folder.name for folder in labs_folder().iterdir() if _runs(folder))


def prune() -> None:
    """Remove what is left of labs that died with their owner."""
    if not labs_folder().is_dir():
        return
    for folder in labs_folder().iterdir():
        if not _runs(folder) and not _has_owner(folder):
            shutil.rmtree(folder, ignore_errors=True)


def write(path: Path, text: str) -> None:
    """The whole new text or the old one, for whoever reads meanwhile."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def _runs(folder: Path) -> bool:
    with contextlib.suppress(OSError, ValueError, KeyError):
        return is_lab(json.loads((folder / "lab.json").read_text())["pid"], folder)
    return False


def _has_owner(folder: Path) -> bool:
    """Whether its maker lives: it may be between two QEMUs, or not yet have come to the first."""
    try:
        owner = int((folder / "owner").read_text())
    except FileNotFoundError:
        # Made this moment, or half removed.
        return folder.exists() and time.time() - folder.stat().st_mtime < 60
    except (OSError, ValueError):
        return False
    return Path(f"/proc/{owner}").exists()
