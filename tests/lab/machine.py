# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One QEMU process: started, found, ended.

What it boots and what is plugged into it comes in from outside; ssh and everything that happens
inside the guest is in host.py.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from . import cache, qmp, topology
from .emulator import Qemu
from .progress import LabError, Progress

# With a thread for each processor QEMU 7.2 dies now and then: one of them uses the map of memory
# that another one is replacing. Kernels that patch themselves while they run panic likewise.
# One thread for all takes turns, which is no slower where several labs share the machine.
EMULATED = {"tcg": "tcg,thread=single", "tcg-multi": "tcg,thread=multi"}
KVM_PATIENCE = 20


class Boot(NamedTuple):
    """What a machine starts from."""

    kernel: Path
    initrd: Path | None
    disk: Path
    command_line: str
    memory: int
    shape: topology.Shape
    qemu: Qemu = Qemu()


class Machine:
    """A QEMU of its own folder; the folder is the caller's to make and to remove."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.control = folder / "qmp"
        self.console = folder / "console.log"
        self.pid = 0
        self.port = 0
        self._kvm_is_broken = False
        self._complaints = folder / "qemu.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, boot: Boot, accel: str, keep: bool, progress: Progress) -> None:
        """Start, and know the ssh port.  KVM is tried for a while, then given up for TCG."""
        if accel == "kvm" and not self._kvm_is_broken:
            if self._starts_with_kvm(boot, keep):
                return
            self._kvm_is_broken = True
            progress.note("KVM does not work here; the lab runs emulated instead.")
        self._launch(boot, EMULATED.get(accel, EMULATED["tcg"]), keep)

    def _starts_with_kvm(self, boot: Boot, keep: bool) -> bool:
        """A guest under a broken KVM hangs in its first instructions, so ask for a sign of life."""
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            return False
        mark = self.console.stat().st_size if self.console.exists() else 0

        def speaks_or_ended() -> bool:
            return b"Linux version" in self.console.read_bytes()[mark:] or not self.alive()

        with contextlib.suppress(LabError):
            self._launch(boot, "kvm", keep)
            if until(speaks_or_ended, KVM_PATIENCE) and self.alive():
                return True
        self.kill()
        return False

    def _launch(self, boot: Boot, accel: str, keep: bool) -> None:
        try:
            self._launch_at(boot, accel, keep, self.port)
        except LabError:
            if not self.port:
                raise
            # After a restart somebody else may have our old port.
            self._launch_at(boot, accel, keep, 0)

    def _launch_at(self, boot: Boot, accel: str, keep: bool, port: int) -> None:
        self.control.unlink(missing_ok=True)
        command = self._command(boot, accel, port)
        if not keep:
            # The machine must not outlive a test run that was killed; it ends with the thread
            # that started it.
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with self._complaints.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **boot.qemu.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._process.pid
        if not until(self._answers, 60):
            self.kill()
            raise LabError(f"QEMU does not answer: {self._complaints.read_text().strip()}")

    def _answers(self) -> bool:
        """Whether QEMU has come so far as to tell its ssh port; raises if it ended."""
        if not self.alive():
            raise LabError(f"QEMU did not start: {self._complaints.read_text().strip()}")
        try:
            self.port = self._forwarded_port()
        except OSError:
            return False  # no socket yet, or QEMU just now gave up
        return True

    def _command(self, boot: Boot, accel: str, port: int) -> list[str]:
        command = [*boot.qemu.command, "-name", f"vfio-power-lab-{self.folder.name}"]
        command += ["-no-user-config", "-nodefaults", "-display", "none", "-vga", "none"]
        # A processor without AVX: emulated, its wide registers cost every program start a third.
        command += ["-machine", "q35,kernel-irqchip=split", "-accel", accel, "-cpu", "Nehalem"]
        command += ["-smp", "2", "-m", str(boot.memory), "-rtc", "base=utc"]
        # Linux lets a root port sleep when the firmware is from 2015 or later.
        command += ["-smbios", "type=0,vendor=SeaBIOS,version=lab,date=01/01/2026"]
        command += ["-device", "intel-iommu,intremap=on,caching-mode=on"]
        # With it the slots have _EJ0, and Linux leaves their power to the hotplug controller.
        command += ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
        command += ["-kernel", str(boot.kernel), "-append", boot.command_line]
        command += ["-initrd", str(boot.initrd)] if boot.initrd else []
        # What the guest has written survives the death of QEMU; that of this machine it need not.
        disk = "if=none,id=root,format=qcow2,cache=unsafe,discard=unmap"
        command += ["-drive", f"{disk},file={boot.disk}"]
        command += ["-device", "virtio-blk-pci,drive=root,disable-legacy=on,bus=pcie.0,addr=1d.0"]
        command += ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"]
        command += ["-device", "virtio-net-pci,netdev=net,disable-legacy=on,bus=pcie.0,addr=1c.0"]
        command += ["-chardev", f"file,id=console,path={self.console},append=on"]
        command += ["-serial", "chardev:console"]
        command += ["-qmp", f"unix:{self.control},server=on,wait=off"]
        command += self._power(boot.shape)
        return command + topology.arguments(boot.shape)

    def _power(self, shape: topology.Shape) -> list[str]:
        text = topology.ssdt(shape)
        if not text:
            return []
        source = self.folder / "power.asl"
        source.write_text(text)
        iasl = shutil.which("iasl") or "/usr/bin/iasl"
        cache.run([iasl, "-p", str(self.folder / "power"), str(source)], "compiling the ACPI table")
        return ["-acpitable", f"file={self.folder / 'power.aml'}"]

    def _forwarded_port(self) -> int:
        """QEMU was asked for port 0 and picked a free one."""
        text = qmp.ask(self.control, "human-monitor-command", command_line="info usernet")
        found = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", text)
        if not found:
            raise LabError(f"QEMU does not say which port leads to ssh:\n{text}")
        return int(found.group(1))

    def alive(self) -> bool:
        if self._process:
            return self._process.poll() is None
        return self.pid > 0 and is_lab(self.pid, self.folder)

    def kill(self) -> None:
        """End QEMU as a power cut would, and wait until it is gone."""
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
        self.wait(30)

    def wait(self, seconds: float) -> bool:
        """Whether QEMU ended by itself within that time."""
        return until(lambda: not self.alive(), seconds)


def is_lab(pid: int, folder: Path) -> bool:
    """Whether that process is the QEMU of that folder, and not another one of the same number."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(f"unix:{folder / 'qmp'},server=on,wait=off") in words


def until(predicate: Callable[[], object], seconds: float, pause: float = 0.1) -> bool:
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
