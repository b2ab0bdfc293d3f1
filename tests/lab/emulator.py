# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The QEMU that the lab runs on: this machine's, or on Debian 12 the one of its backports.

Emulated work takes QEMU 10 a fifth to a third less processor time than the 7.2 of Debian 12. It
is unpacked into the cache beside the one that is installed, whose libraries it uses; nothing on the
machine changes.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from . import cache, packages
from .progress import LabError, Progress

PROGRAM = "qemu-system-x86_64"
FAST = 10  # the major version from which on the machine's own one will do
BACKPORTS = "bookworm-backports"
PACKAGES = ("qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios")


class Qemu(NamedTuple):
    """A program, with what it has to be told of its own place."""

    command: tuple[str, ...] = (PROGRAM,)
    environment: Mapping[str, str] = {}


_found: list[Qemu] = []


def obtain(progress: Progress) -> Qemu:
    """The fastest one that can be had here, looked for once; some QEMU is installed by then."""
    if not _found:
        _found.append(_fastest(progress))
    return _found[0]


def _fastest(progress: Progress) -> Qemu:
    if _major((PROGRAM,)) >= FAST or packages.codename() != "bookworm":
        return Qemu()
    try:
        return _unpacked(cache.obtain("qemu", [BACKPORTS, PACKAGES], _Builder(progress)))
    except LabError as error:
        progress.note(f"The lab runs on the slower QEMU of this machine: {error}")
        return Qemu()


def _unpacked(folder: Path) -> Qemu:
    root = folder / "root/usr"
    data = ["-L", f"{root}/share/qemu", "-L", f"{root}/share/seabios"]
    modules = {"QEMU_MODULE_DIR": f"{root}/lib/x86_64-linux-gnu/qemu"}
    return Qemu((f"{root}/bin/{PROGRAM}", *data), modules)


def _major(command: tuple[str, ...]) -> int:
    told = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"version (\d+)\.", told.stdout)
    if version is None:
        raise LabError(f"{command[0]} tells no version: {told.stdout}{told.stderr}")
    return int(version[1])


class _Builder:
    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def __call__(self, building: Path) -> None:
        with self.progress.step(f"unpack QEMU of {BACKPORTS}"):
            for archive in packages.download(PACKAGES, BACKPORTS, building):
                extract = ["dpkg-deb", "--extract", str(archive), str(building / "root")]
                cache.run(extract, f"unpacking {archive.name}")
                archive.unlink()
            _major(_unpacked(building).command)  # it starts with the libraries that are here
