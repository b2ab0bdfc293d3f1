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
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import base, packages, qmp, registry
from .connection import Connection
from .machine import Machine, until
from .plan import Plan
from .progress import LabError, Progress

BOOT_PATIENCE = 600
PANIC = "Kernel panic - not syncing"
PCI_ADDRESS = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


class Lab:
    """One virtual host; as a context manager it is gone afterwards, disk and all."""

    def __init__(self, folder: Path, plan: Plan, built: base.Base, progress: Progress) -> None:
        self.folder = folder
        self.plan = plan
        self.progress = progress
        self.machine = Machine(folder)
        self.connection = Connection(folder)
        self._built = built
        self._devices: dict[str, str] | None = None

    # Life and death

    @classmethod
    def start(
        cls,
        *,
        name: str | None = None,
        disk: Path | str | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Lab:
        """Boot a host and wait until ssh answers; what is missing is built first.

        shape         `standard`, `shifted`, `small` or `many`
        debian        `13` or `12`
        kernel        `debian`, or `iommufd` for the small one with device nodes
        idle          `awake`, or `kernel-default`: unopened cards sleep
        on_vfio       names of the cards to be found on vfio-pci (default: the shape's own list)
        disk          a raw root disk made elsewhere, see make_disk(); it is not written to
        command_line  more words for the kernel's command line
        memory        2048, in MiB
        accel         `tcg`, `tcg-multi` or `kvm`; by default $VFIO_POWER_LAB_ACCEL or tcg
        keep          let the machine outlive the thread that started it
        """
        progress = progress or Progress()
        plan = Plan().changed(options)
        registry.prune()
        packages.ensure(packages.RUN, progress)
        built = base.obtain(plan.debian, progress)
        lab = cls(registry.new_folder(name), plan, built, progress)
        try:
            lab.connection.make_key()
            lab._make_overlay(Path(disk) if disk else built.disk)
            lab._boot()
        except BaseException:
            lab.stop()
            raise
        return lab

    @classmethod
    def attach(cls, name: str, progress: Progress | None = None) -> Lab:
        """A lab that another process started."""
        folder, known = registry.recall(name)
        plan, built = Plan(**known["plan"]), base.Base(Path(known["base"]))
        lab = cls(folder, plan, built, progress or Progress())
        lab.machine.pid = known["pid"]
        lab.machine.port = lab.connection.port = known["port"]
        return lab

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the machine and remove every trace of the lab; twice does no harm."""
        self.connection.forget()
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

        Other options of start() may change too: idle, kernel, on_vfio, command_line.
        """
        plan = self.plan.changed({"shape": shape or self.plan.shape, **changed})
        with self.progress.step(f"shut {self.name} down"):
            over = self._dead_or_panicking()
            self.ssh("systemctl poweroff --no-block", check=False)
            if not until(over, 120):
                self.progress.note("The lab did not shut down within 120 s; it is switched off.")
        self.plan = plan
        self.power_cut()

    def power_cut(self) -> None:
        """QEMU is killed, as if the plug was pulled, and started again on the same disk."""
        self.machine.kill()
        self.connection.forget()
        self._boot()

    # Speaking with the host

    def ssh(
        self, command: str, check: bool = True, timeout: float = 120, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root; with check, a failure raises with what it said."""
        return self.connection.run(command, check, timeout, input)

    def ssh_command(self) -> list[str]:
        """ssh with every option, up to and including the host."""
        return self.connection.command()

    def put(self, source: Path | str, destination: str) -> None:
        self.connection.put(str(source), destination)

    def get(self, source: str, destination: Path | str) -> None:
        self.connection.get(source, str(destination))

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

    def forget_devices(self) -> None:
        """Look again when somebody asks: a card has come or gone."""
        self._devices = None

    def add_device(self, model: str, id: str, bus: str = "bay", **options: Any) -> None:
        """Plug a card into the port `bay` (or another empty one); wait_for() its appearance."""
        self.qmp("device_add", driver=model, id=id, bus=bus, **options)
        self._devices = None

    def remove_device(self, id: str) -> None:
        """Ask the guest to give a card up, as pressing the slot's button does.

        QEMU refuses while the slot's power indicator blinks, which the guest ends a moment after
        the card has appeared.
        """

        def pressed() -> bool:
            try:
                self.qmp("device_del", id=id)
            except LabError as refused:
                if "power indicator blinking" not in str(refused):
                    raise
                return False
            return True

        self.wait_for(pressed, 30, f"the slot of {id} to take its button")
        self._devices = None

    def has_device(self, id: str) -> bool:
        """Whether QEMU still has a card that was added: it is gone a moment after the guest's."""
        return id in {it["name"] for it in self.qmp("qom-list", path="/machine/peripheral")}

    def wait_for(
        self, predicate: Callable[[], object], seconds: float, what: str, pause: float = 0.3
    ) -> None:
        if not until(predicate, seconds, pause):
            raise LabError(f"Waited {seconds:g} s in vain: {what}.")

    def _find_devices(self) -> dict[str, str]:
        """The guest's sysfs has each card below its port, wherever the buses were numbered."""
        listing = self.ssh("cd /sys/devices/pci0000:00 && ls -d 0000:* 0000:*/0000:*; true").stdout
        by_place = {}
        for path in listing.split():
            port, _slash, card = path.partition("/")
            place = port[-4:]
            # A port has pseudo-devices besides, such as 0000:00:04.0:pcie010.
            if PCI_ADDRESS.fullmatch(card or port):
                by_place[f"{place}/{card[-1]}" if card else place] = card or port
        places = self.plan.places().items()
        return {name: by_place[place] for name, place in places if place in by_place}

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

    def _make_overlay(self, root: Path) -> None:
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b"]
        subprocess.run([*command, str(root.resolve()), str(self._disk)], check=True)

    @property
    def _disk(self) -> Path:
        return self.folder / "disk.qcow2"

    def _boot(self) -> None:
        self._devices = None
        key = self.connection.public_key
        boot = self.plan.boot(self._built, self._disk, key, self.progress)
        with self.progress.step(f"boot {self.name}"):
            accel, keep = self.plan.accelerator(), self.plan.keep
            self.machine.start(boot, accel, keep, self.progress)
            self._remember()
            self._await_ssh()

    def _remember(self) -> None:
        self.connection.port = self.port
        known = {"pid": self.machine.pid, "port": self.port, "base": str(self._built.folder)}
        registry.remember(self.folder, {**known, "plan": asdict(self.plan)})
        # JSON is YAML, and needs no library to write.
        inventory = {"all": {"hosts": {"lab": self.connection.ansible_variables()}}}
        registry.write(self.inventory(), json.dumps(inventory, indent=2) + "\n")

    def _await_ssh(self) -> None:
        self._await(self.connection.answers, "ssh did not answer", pause=0.2)

    def _await(self, booted: Callable[[], bool], complaint: str, pause: float = 0.5) -> None:
        """Wait for the end of a boot, and boot anew where the kernel does not get there.

        Emulated processors trip now and then over code that the kernel patches while it starts.
        """
        panics = self.console_log.count(PANIC)

        def over() -> bool:
            nonlocal panics
            if not self.machine.alive():
                raise LabError(f"QEMU ended while the lab booted:\n{self._end_of_console()}")
            if self.console_log.count(PANIC) > panics:
                panics += 1
                self.qmp("system_reset")
            return booted()

        if not until(over, BOOT_PATIENCE, pause=pause):
            raise LabError(f"{complaint} in {BOOT_PATIENCE} s:\n{self._end_of_console()}")

    def _dead_or_panicking(self) -> Callable[[], bool]:
        """Tells from now on whether the lab has ended, or whether that is as far as it gets."""
        panics = self.console_log.count(PANIC)
        return lambda: not self.machine.alive() or self.console_log.count(PANIC) > panics

    def _end_of_console(self) -> str:
        return "\n".join(self.console_log.splitlines()[-30:])

    def _boot_id(self) -> str:
        return self.ssh("cat /proc/sys/kernel/random/boot_id").stdout

    def _await_another_boot(self, before: str) -> None:
        def another() -> bool:
            with contextlib.suppress(subprocess.TimeoutExpired, LabError):
                return self._boot_id() != before
            return False

        self.connection.forget()
        self._await(another, "The lab did not come back")
        self._devices = None


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
