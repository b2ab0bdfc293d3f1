# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host as tests and the command `lab` use it.

    with Lab.start(shape="standard") as lab:
        lab.ssh("cat /sys/bus/pci/devices/{nic}/power_state".format(**lab.devices))

A lab is a folder with the overlay disk, the key of the run, the console's text and QEMU's
control socket; nothing of it is shared with another lab.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from . import base, kernel, packages, qmp, topology
from .machine import Boot, Machine, is_lab, until
from .progress import SILENT, LabError, Progress

BOOT_PATIENCE = 300
IDLE = {"awake": True, "kernel-default": False}
KERNELS = ("debian", "iommufd")
PCI_ADDRESS = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


def labs_folder() -> Path:
    """Where this user's running labs are; short, because sockets' paths may have 107 bytes."""
    return Path(tempfile.gettempdir()) / f"vfio-power-lab-{os.getuid()}"


class Lab:
    """One virtual host; as a context manager it is gone afterwards, disk and all."""

    def __init__(self, folder: Path, settings: dict[str, Any], progress: Progress = SILENT) -> None:
        self.folder = folder
        self.settings = settings
        self.progress = progress
        self.machine = Machine(folder)
        self._devices: dict[str, str] | None = None

    # Life and death

    @classmethod
    def start(
        cls,
        *,
        shape: str = "standard",
        debian: str = "13",
        kernel: str = "debian",
        idle: str = "awake",
        name: str | None = None,
        on_vfio: Iterable[str] | None = None,
        disk: Path | str | None = None,
        command_line: str = "",
        memory: int = 2048,
        accel: str | None = None,
        keep: bool = False,
        progress: Progress | None = None,
    ) -> Lab:
        """Boot a host and wait until ssh answers; what is missing is built first.

        on_vfio       names of the cards to be found on vfio-pci (default: the shape's own list)
        disk          a raw root disk made elsewhere, see make_disk(); it is not written to
        command_line  more words for the kernel's command line
        accel         `tcg` or `kvm`; by default $VFIO_POWER_LAB_ACCEL or tcg
        keep          let the machine outlive this process
        """
        progress = progress or Progress()
        wanted = topology.shape_named(shape)
        _one_of("idle", idle, IDLE)
        _one_of("kernel", kernel, KERNELS)
        bound = list(wanted.on_vfio if on_vfio is None else on_vfio)
        for card in bound:
            _one_of("card", card, topology.places(wanted))
        prune()
        packages.ensure(packages.RUN, progress)
        settings = {
            "shape": shape,
            "debian": debian,
            "kernel": kernel,
            "idle": idle,
            "on_vfio": bound,
            "command_line": command_line,
            "memory": memory,
            "accel": accel or os.environ.get("VFIO_POWER_LAB_ACCEL", "tcg"),
            "keep": keep,
            "owner": os.getpid(),
        }
        built = base.obtain(debian, progress)
        settings["base"] = str(built.folder)
        lab = cls(_new_folder(name), settings, progress)
        try:
            lab._make_key()
            lab._make_overlay(Path(disk) if disk else built.disk)
            lab._boot()
        except BaseException:
            lab.stop()
            raise
        return lab

    @classmethod
    def attach(cls, name: str, progress: Progress | None = None) -> Lab:
        """A lab that another process started."""
        folder = labs_folder() / name
        try:
            settings = json.loads((folder / "lab.json").read_text())
        except FileNotFoundError:
            running = ", ".join(running_names()) or "none"
            raise LabError(f"No lab {name!r} is running (running: {running}).") from None
        lab = cls(folder, settings, progress or Progress())
        lab.machine.pid, lab.machine.port = settings["pid"], settings["port"]
        return lab

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the machine and remove every trace of the lab; twice does no harm."""
        self._forget_connection()
        self.machine.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Power

    def reboot(self) -> None:
        """`systemctl reboot` inside; the disk and the topology stay."""
        before = self._boot_id()
        with self.progress.step(f"reboot {self.name}"):
            self.ssh("systemctl reboot --no-block", check=False)
            self._await_another_boot(before)

    def restart(self, shape: str | None = None, **changed: Any) -> None:
        """Shut down in good order and start again on the same disk, with another shape if asked.

        Other keywords of start() (on_vfio, idle, kernel, command_line) may change too.
        """
        with self.progress.step(f"shut {self.name} down"):
            self.ssh("systemctl poweroff --no-block", check=False)
            if not self.machine.wait(120):
                self.progress.note("The lab did not shut down within 120 s; it is switched off.")
        if shape and shape != self.settings["shape"]:
            changed.setdefault("on_vfio", topology.shape_named(shape).on_vfio)
            self.settings["shape"] = shape
        self._start_again(changed)

    def power_cut(self) -> None:
        """QEMU is killed, as if the plug was pulled, and started again on the same disk."""
        self.machine.kill()
        self._start_again({})

    def _start_again(self, changed: dict[str, Any]) -> None:
        unknown = set(changed) - set(self.settings)
        if unknown:
            raise LabError(f"A restart cannot change {', '.join(sorted(unknown))}.")
        self.settings.update({key: _plain(value) for key, value in changed.items()})
        self._forget_connection()
        self.machine.kill()
        self._boot()

    # Speaking with the host

    def ssh(
        self, command: str, check: bool = True, timeout: float = 120, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root; with check, a failure raises with what it said."""
        done = subprocess.run(
            [*self.ssh_command(), command],
            capture_output=True,
            text=True,
            timeout=timeout,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            check=False,
        )
        if check and done.returncode:
            raise LabError(
                f"In lab {self.name}, {command!r} ended with {done.returncode}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def ssh_command(self) -> list[str]:
        """ssh with every option, up to and including the host."""
        return ["ssh", *self._ssh_options(), "-p", str(self.port), "root@127.0.0.1"]

    def put(self, source: Path | str, destination: str) -> None:
        self._scp(str(source), f"root@127.0.0.1:{destination}")

    def get(self, source: str, destination: Path | str) -> None:
        self._scp(f"root@127.0.0.1:{source}", str(destination))

    def _scp(self, source: str, destination: str) -> None:
        command = ["scp", "-q", "-r", *self._ssh_options(), "-P", str(self.port)]
        done = subprocess.run(
            [*command, source, destination], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise LabError(f"Copying {source} to {destination} failed: {done.stderr.strip()}")

    def _ssh_options(self) -> list[str]:
        # A new connection costs seconds of emulated cryptography; one is shared by everybody.
        return [
            *("-F", "none", "-i", str(self.folder / "key"), "-o", "IdentitiesOnly=yes"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            *("-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"),
            *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"),
            *("-o", "ControlMaster=auto", "-o", "ControlPersist=600"),
            *("-o", f"ControlPath={self.folder / 'ssh'}"),
        ]

    def inventory(self) -> Path:
        """An Ansible inventory with this host as `lab`, up to date after every start."""
        return self.folder / "inventory.yml"

    def qmp(self, command: str, **arguments: Any) -> Any:
        return qmp.ask(self.machine.control, command, **arguments)

    # Devices

    @property
    def devices(self) -> Mapping[str, str]:
        """Card name to PCI address, as this boot numbered the buses.

        A card that was plugged into an empty port goes by the port's name, `bay`.
        """
        if self._devices is None:
            self._devices = self._find_devices()
        return self._devices

    def add_device(self, model: str, id: str, bus: str = "bay", **options: Any) -> None:
        """Plug a card into the port `bay` (or another empty one); wait_for() its appearance."""
        self.qmp("device_add", driver=model, id=id, bus=bus, **options)
        self._devices = None

    def remove_device(self, id: str) -> None:
        """Ask the guest to give a card up, as pressing the slot's button does."""
        self.qmp("device_del", id=id)
        self._devices = None

    def wait_for(
        self, predicate: Callable[[], object], seconds: float, what: str, pause: float = 0.3
    ) -> None:
        if not until(predicate, seconds, pause):
            raise LabError(f"Waited {seconds:g} s in vain: {what}.")

    def _find_devices(self) -> dict[str, str]:
        """The guest's sysfs has each card below its port, wherever the buses were numbered."""
        listing = self.ssh("cd /sys/devices/pci0000:00 && ls -d 0000:* 0000:*/0000:*").stdout
        by_place = {}
        for path in listing.split():
            port, _slash, card = path.partition("/")
            place = port[-4:]
            # A port has pseudo-devices besides, such as 0000:00:04.0:pcie010.
            if PCI_ADDRESS.fullmatch(card or port):
                by_place[f"{place}/{card[-1]}" if card else place] = card or port
        named = topology.places(topology.shape_named(self.settings["shape"]))
        return {name: by_place[place] for name, place in named.items() if place in by_place}

    # Facts

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def port(self) -> int:
        return self.machine.port

    @property
    def console_log(self) -> str:
        """All that the machine wrote to its serial console, over all its boots."""
        path = self.machine.console
        return path.read_text(errors="replace") if path.exists() else ""

    # The steps of a start

    def _make_key(self) -> None:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab"]
        subprocess.run([*command, "-f", str(self.folder / "key")], check=True)

    def _make_overlay(self, root: Path) -> None:
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b"]
        subprocess.run([*command, str(root.resolve()), str(self._disk)], check=True)

    @property
    def _disk(self) -> Path:
        return self.folder / "disk.qcow2"

    def _boot(self) -> None:
        self._devices = None
        boot = self._what_to_boot()
        with self.progress.step(f"boot {self.name}"):
            self.machine.start(boot, self.settings["accel"], self.settings["keep"], self.progress)
            self._remember()
            self._await_ssh()

    def _what_to_boot(self) -> Boot:
        shape = topology.shape_named(self.settings["shape"])
        built = base.Base(Path(self.settings["base"]))
        image, initrd = built.kernel, built.initrd
        if self.settings["kernel"] == "iommufd":
            image, initrd = kernel.obtain(self.progress), None
        return Boot(
            kernel=image,
            initrd=initrd,
            disk=self._disk,
            command_line=self._command_line(shape),
            memory=self.settings["memory"],
            shape=shape,
        )

    def _command_line(self, shape: topology.Shape) -> str:
        places = topology.places(shape)
        words = ["root=/dev/vda rw console=ttyS0 net.ifnames=0 fsck.mode=skip"]
        words += ["intel_iommu=on iommu=nopt no_timer_check mitigations=off audit=0"]
        words += ["vfio-pci.disable_idle_d3=1"] if IDLE[self.settings["idle"]] else []
        words += [f"lab.key={(self.folder / 'key.pub').read_text().split()[1]}"]
        words += [f"lab.vfio={','.join(places[name] for name in self.settings['on_vfio'])}"]
        return " ".join([*words, self.settings["command_line"]]).strip()

    def _remember(self) -> None:
        self.settings |= {"pid": self.machine.pid, "port": self.port}
        _write(self.folder / "lab.json", json.dumps(self.settings, indent=2))
        variables = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.folder / "key"),
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_pipelining": True,
            "ansible_ssh_args": " ".join(self._ssh_options()),
            "ansible_ssh_timeout": 60,
        }
        # JSON is YAML, and needs no library to write.
        inventory = {"all": {"hosts": {"lab": variables}}}
        _write(self.inventory(), json.dumps(inventory, indent=2) + "\n")

    def _await_ssh(self) -> None:
        def answers() -> bool:
            if not self.machine.alive():
                raise LabError(f"QEMU ended while the lab booted:\n{self._end_of_console()}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.ssh("true", check=False, timeout=30).returncode == 0
            return False

        if not until(answers, BOOT_PATIENCE, pause=0.2):
            raise LabError(
                f"ssh did not answer within {BOOT_PATIENCE} s:\n{self._end_of_console()}"
            )

    def _end_of_console(self) -> str:
        return "\n".join(self.console_log.splitlines()[-30:])

    def _boot_id(self) -> str:
        return self.ssh("cat /proc/sys/kernel/random/boot_id").stdout

    def _await_another_boot(self, before: str) -> None:
        def another() -> bool:
            with contextlib.suppress(subprocess.TimeoutExpired, LabError):
                return self._boot_id() != before
            return False

        self._forget_connection()
        if not until(another, BOOT_PATIENCE):
            raise LabError(f"The lab did not come back:\n{self._end_of_console()}")
        self._devices = None

    def _forget_connection(self) -> None:
        """End the shared connection: its other end is about to go, or went, without a word."""
        if (self.folder / "ssh").exists():
            command = [*self.ssh_command()[:-1], "-O", "exit", "root@127.0.0.1"]
            subprocess.run(command, capture_output=True, timeout=30, check=False)
            (self.folder / "ssh").unlink(missing_ok=True)


def make_disk(root: Path | str, disk: Path | str) -> Path:
    """A root folder as a disk for Lab.start(disk=…); needs root."""
    base.make_disk(Path(root), Path(disk))
    return Path(disk)


def unpack_root(folder: Path | str, debian: str = "13", progress: Progress | None = None) -> Path:
    """The lab host's root file system as a folder, to be changed and made a disk of; needs root."""
    progress = progress or Progress()
    packages.ensure(packages.RUN, progress)
    base.unpack(base.obtain(debian, progress).archive, Path(folder))
    return Path(folder)


def running_names() -> list[str]:
    if not labs_folder().is_dir():
        return []
    return sorted(folder.name for folder in labs_folder().iterdir() if _runs(folder))


def prune() -> None:
    """Remove what is left of labs that died with their owner."""
    if not labs_folder().is_dir():
        return
    for folder in labs_folder().iterdir():
        if not _runs(folder) and not _being_made(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(folder: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return is_lab(json.loads((folder / "lab.json").read_text())["pid"], folder)
    return False


def _being_made(folder: Path) -> bool:
    """The process that makes a lab writes its number into the folder first."""
    with contextlib.suppress(OSError, ValueError):
        owner = int((folder / "owner").read_text())
        return Path(f"/proc/{owner}").exists()
    return False


def _new_folder(name: str | None) -> Path:
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


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int)) else list(value)


def _one_of(what: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise LabError(f"{value!r} is no {what} here; choose one of {', '.join(known)}.")
