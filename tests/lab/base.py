# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab host's root file system, made of Debian packages and the files under guest/.

Kept in the cache: `root.img` (a sparse ext4 disk that labs put an overlay on), `root.tar.zst`
(the same as an archive, for image builds), `vmlinuz` and `initrd`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from . import cache, packages
from .progress import Progress

RELEASES = {"12": "bookworm", "13": "trixie"}
GUEST = Path(__file__).parent / "guest"
DISK_SIZE = "8G"

PACKAGES = (
    "systemd",
    "systemd-sysv",
    "udev",
    "dbus",
    "openssh-server",
    "python3",
    "python3-apt",
    "python3-pyudev",
    "python3-pytest",
    "linux-image-amd64",
    "initramfs-tools",
    "zstd",
    "pciutils",
    "kmod",
    "iproute2",
    "procps",
    "driverctl",
    "strace",
    "qemu-system-x86",
    "libvirt-daemon-system",
    "libvirt-clients",
)

# A third of the packages' files are of no use in a host that is only ever reached by ssh, and
# the kernel's drivers for hardware that QEMU does not have make every depmod slow.
LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/i18n/*",
    "/usr/share/bug/*",
    "/usr/share/lintian/*",
    "*/lib/modules/*/kernel/sound/*",
    "*/lib/modules/*/kernel/drivers/media/*",
    "*/lib/modules/*/kernel/drivers/gpu/*",
    "*/lib/modules/*/kernel/drivers/infiniband/*",
    "*/lib/modules/*/kernel/drivers/iio/*",
    "*/lib/modules/*/kernel/drivers/staging/*",
    "*/lib/modules/*/kernel/drivers/isdn/*",
    "*/lib/modules/*/kernel/drivers/usb/*",
    "*/lib/modules/*/kernel/drivers/net/wireless/*",
    "*/lib/modules/*/kernel/drivers/net/ethernet/mellanox/*",
    "*/lib/modules/*/kernel/drivers/scsi/*",
    "*/lib/modules/*/kernel/net/bluetooth/*",
    "*/lib/modules/*/kernel/net/wireless/*",
)


class Base(NamedTuple):
    """What a lab boots from."""

    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "root.img"

    @property
    def archive(self) -> Path:
        return self.folder / "root.tar.zst"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"


def obtain(debian: str, progress: Progress) -> Base:
    """The base of that Debian release, built now if the cache has none of this recipe."""
    release = RELEASES[debian]
    return Base(cache.obtain(f"debian-{debian}", _recipe(release), _Builder(release, progress)))


def _recipe(release: str) -> object:
    files = {
        str(path.relative_to(GUEST)): path.read_text()
        for path in sorted(GUEST.rglob("*"))
        if path.is_file()
    }
    return [release, PACKAGES, LEFT_OUT, DISK_SIZE, files]


class _Builder:
    def __init__(self, release: str, progress: Progress) -> None:
        self.release = release
        self.progress = progress

    def __call__(self, building: Path) -> None:
        packages.ensure_keys(self.release, self.progress)
        base = Base(building)
        with self.progress.step(f"unpack Debian {self.release} ({len(PACKAGES)} packages asked)"):
            cache.run(self._mmdebstrap(base.archive), "building the root file system")
        scratch = Path(tempfile.mkdtemp(prefix="root-", dir=building))
        root = scratch / "root"
        unpack(base.archive, root)
        with self.progress.step("make the disk"):
            make_disk(root, base.disk)
        _take_kernel(root, base)
        cache.run(packages.as_root(["rm", "-rf", str(scratch)]), "removing the unpacked root")

    def _mmdebstrap(self, archive: Path) -> list[str]:
        command = [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--mode=auto",
            "--format=auto",
            f"--include={','.join(PACKAGES)}",
            "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
            '--aptopt=APT::Install-Recommends "false"',
            "--dpkgopt=force-unsafe-io",
            f'--essential-hook=cp -r "{GUEST}/root/." "$1/"',
            f'--customize-hook="{GUEST}/customize" "$1"',
        ]
        command += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
        command += [f"--aptopt={option}" for option in packages.proxy_options()]
        return packages.as_root([*command, self.release, str(archive)]) + packages.mirrors(
            self.release
        )


def unpack(archive: Path, folder: Path) -> None:
    """The root file system as a folder, owners and all; needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    tar = ["tar", "--extract", "--numeric-owner", "--xattrs", "--xattrs-include=*"]
    cache.run(
        packages.as_root([*tar, f"--file={archive}", f"--directory={folder}"]),
        "unpacking the root file system",
    )


def make_disk(root: Path, disk: Path) -> None:
    """A root folder as a sparse disk with one ext4 file system and no partition table."""
    disk.unlink(missing_ok=True)
    mke2fs = ["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-L", "lab"]
    mke2fs += ["-O", "^metadata_csum", "-E", "lazy_itable_init=1,lazy_journal_init=1"]
    mke2fs += ["-d", str(root), str(disk)]
    cache.run(packages.as_root([*mke2fs, DISK_SIZE]), "making the disk")
    cache.run(packages.as_root(["chmod", "a+r", str(disk)]), "making the disk readable")


def _take_kernel(root: Path, base: Base) -> None:
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    (initrd,) = (root / "boot").glob("initrd.img-*")
    shutil.copy(kernel, base.kernel)
    shutil.copy(initrd, base.initrd)
