# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image built in a folder, without devices and without systemd running, and its first boot.

The image's root file system is entered by an sshd that runs inside it, as image pipelines do
with a chroot; what it boots into afterwards is a lab of its own.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from . import host as labs
from . import packages
from .conftest import OneLab
from .connection import free_port
from .declared import GRACE, HELPER, WAKEUP
from .managed import ManagedHost
from .progress import Progress

RULES = [
    {"name": "disks", "match": {"class": ["0108"]}, "mode": "entry"},
    {"name": "nics", "match": {"vendor": ["8086"], "class": ["02"]}, **WAKEUP},
]
SETTINGS = {
    **HELPER,
    "vfio_power_helper_started": False,
    "vfio_power_apply": False,
}


class Folder:
    """The image's root as ManagedHost knows a lab: a folder to work in, and an inventory."""

    def __init__(self, folder: Path, root: Path, port: int) -> None:
        self.folder = folder
        self.root = root
        variables = {
            "ansible_host": "127.0.0.1",
            "ansible_port": port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(folder / "key"),
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_pipelining": True,
            "ansible_ssh_use_tty": False,  # the folder has no /dev/pts
            "ansible_ssh_args": "-F none -o IdentitiesOnly=yes -o StrictHostKeyChecking=no"
            " -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
        }
        inventory = {"all": {"hosts": {"lab": variables}}}
        (folder / "inventory.yml").write_text(json.dumps(inventory))

    def inventory(self) -> Path:
        return self.folder / "inventory.yml"


def as_root(*words: object) -> None:
    """Run a command as root, by way of sudo where we are not."""
    command = packages.as_root([str(word) for word in words])
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def entered(folder: Path, root: Path) -> Iterator[Folder]:
    """Run an sshd inside the root, with the few device nodes it needs and nothing else."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with ExitStack() as leaving:
        authorized = root / "root/.ssh/authorized_keys"
        as_root("install", "-D", "--mode=600", f"{key}.pub", authorized)
        leaving.callback(as_root, "rm", authorized)
        for name in ("null", "zero", "urandom", "random", "tty"):
            node = root / "dev" / name
            as_root("touch", node)
            as_root("mount", "--bind", f"/dev/{name}", node)
            leaving.callback(as_root, "umount", node)
        as_root("mount", "-t", "proc", "proc", root / "proc")
        leaving.callback(as_root, "umount", "--lazy", root / "proc")
        as_root("mkdir", "-p", root / "run/sshd")
        as_root("chroot", root, "ssh-keygen", "-q", "-A")
        port = free_port()
        options = ["-D", "-e", "-p", str(port), "-o", "ListenAddress=127.0.0.1", "-o", "UsePAM=no"]
        sshd = ["chroot", str(root), "/usr/sbin/sshd", *options, "-o", "StrictModes=no"]
        process = subprocess.Popen(packages.as_root(sshd), stderr=subprocess.DEVNULL)
        leaving.callback(process.wait)
        leaving.callback(as_root, "kill", process.pid)
        yield Folder(folder, root, port)


@pytest.fixture(scope="module")
def image(
    tmp_path_factory: pytest.TempPathFactory, collections: Path, one_lab: OneLab
) -> Iterator[Path]:
    one_lab.stop()
    folder = tmp_path_factory.mktemp("image")
    root = labs.unpack_root(folder / "root", progress=Progress())
    with entered(folder, root) as inside:
        built = ManagedHost(inside, collections)  # type: ignore[arg-type]
        first = built.converge(vfio_power_devices=RULES, **SETTINGS)
        again = built.converge(vfio_power_devices=RULES, **SETTINGS)
        assert first.changed > 0
        assert again.changed == 0, again.output
    yield labs.make_disk(root, folder / "image.img")
    as_root("rm", "-rf", root)


def test_the_first_boot_reaches_the_declared_state_without_ansible(image, collections):
    with labs.Lab.start(shape="small", disk=image, progress=Progress()) as lab:
        host = ManagedHost(lab, collections)
        host.reaches("nic", "D3cold", seconds=GRACE + 40)
        host.reaches("disk", "D3cold")
        assert host.held("nic")
        assert host.held("disk")
        assert host.openable("rng")
        answer = host.info()
        assert not answer["drifted"], answer["drift"]
        told = {it["address"]: it for it in answer["devices"]}
        assert told[host.address("nic")]["engaged"] == "entry-with-wakeup"
