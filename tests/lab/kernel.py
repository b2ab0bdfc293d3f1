# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small kernel with iommufd and VFIO's device nodes, which Debian's own kernels leave out.

Built from Debian's source package with iommufd-kernel.config and kept in the cache.  It has all
drivers built in, so it boots the same root file system without an initrd.  Its header is newer
than that of the machine may be.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from . import cache, packages
from .progress import LabError, Progress

SOURCE = Path("/usr/src/linux-source-6.12.tar.xz")
HEADER = "include/uapi/linux/vfio.h"
FRAGMENT = Path(__file__).with_name("iommufd-kernel.config")


def obtain(progress: Progress) -> Path:
    """The kernel image, built now (some minutes) if the cache has none of this configuration."""

    def build(folder: Path) -> None:
        packages.ensure(packages.KERNEL, progress)
        with progress.step("build the iommufd kernel (once; 5 to 10 minutes)"):
            _build(folder)

    return cache.obtain("iommufd-kernel", [SOURCE.name, FRAGMENT.read_text()], build) / "bzImage"


def header(progress: Progress) -> Path:
    """The folder to include this kernel's <linux/vfio.h> from, without building the kernel."""

    def build(folder: Path) -> None:
        packages.ensure(packages.SOURCES, progress)
        member = f"{SOURCE.name.partition('.tar')[0]}/{HEADER}"
        unpack = ["tar", "--extract", f"--file={SOURCE}", "--occurrence=1", f"--directory={folder}"]
        with progress.step("unpack the kernel's header"):
            cache.run([*unpack, "--strip-components=3", member], "unpacking")

    return cache.obtain("vfio-header", [SOURCE.name, HEADER], build)


def _build(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="source-", dir=folder) as scratch:
        cache.run(["tar", "--extract", f"--file={SOURCE}", f"--directory={scratch}"], "unpacking")
        (tree,) = Path(scratch).iterdir()
        make = ["nice", "-n", "19", "make", "--silent", f"--directory={tree}"]
        cache.run([*make, "tinyconfig"], "configuring the kernel")
        merge = ["sh", "-c", 'cd "$1" && scripts/kconfig/merge_config.sh -m .config "$2"', "sh"]
        cache.run([*merge, str(tree), str(FRAGMENT)], "configuring the kernel")
        cache.run([*make, "olddefconfig"], "configuring the kernel")
        _check((tree / ".config").read_text())
        cache.run([*make, f"--jobs={os.cpu_count()}", "bzImage"], "building the kernel")
        shutil.copy(tree / "arch/x86/boot/bzImage", folder / "bzImage")
        shutil.copy(tree / ".config", folder / "config")


def _check(config: str) -> None:
    """kconfig drops an option whose conditions are not met without a word."""
    wanted = [line for line in FRAGMENT.read_text().splitlines() if line.startswith("CONFIG_")]
    lost = sorted(set(wanted) - set(config.splitlines()))
    if lost:
        raise LabError(f"The kernel's source does not take these options: {' '.join(lost)}")
