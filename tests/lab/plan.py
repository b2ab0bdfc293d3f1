# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody asked of a lab, checked, and what a machine is started from because of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import base, emulator, kernel, topology
from .machine import Boot
from .progress import LabError, Progress

IDLE = {"awake": "vfio-pci.disable_idle_d3=1", "kernel-default": ""}
KERNELS = ("debian", "iommufd")

COMMAND_LINE = (
    "root=/dev/vda rw console=ttyS0 net.ifnames=0 fsck.mode=skip "
    "intel_iommu=on iommu=nopt no_timer_check mitigations=off audit=0"
)
# A tenth of an emulated boot is lines for the console. That a KVM works is seen by them.
QUIET = "quiet"
TALKATIVE = "loglevel=7 systemd.show_status=1"
"""For a lab that people look at; it comes after the other."""


@dataclass(frozen=True)
class Plan:
    """The options of Lab.start(); `on_vfio` None stands for the shape's own list."""

    shape: str = "standard"
    debian: str = "13"
    kernel: str = "debian"
    idle: str = "awake"
    on_vfio: Iterable[str] | None = None
    command_line: str = ""
    memory: int = 2048
    accel: str | None = None
    keep: bool = False

    def __post_init__(self) -> None:
        _one_of("shape", self.shape, topology.SHAPES)
        _one_of("Debian release", self.debian, base.RELEASES)
        _one_of("kernel", self.kernel, KERNELS)
        _one_of("idle", self.idle, IDLE)
        for card in self.cards_on_vfio():
            _one_of("card", card, topology.places(self._shape))

    def changed(self, changes: dict[str, Any]) -> Plan:
        """The same with other options; another shape brings its own list of cards."""
        if changes.get("shape", self.shape) != self.shape:
            changes = {"on_vfio": None, **changes}
        try:
            return replace(self, **changes)
        except TypeError:
            raise LabError(f"Not all of these are options of a lab: {', '.join(changes)}") from None

    def cards_on_vfio(self) -> list[str]:
        return list(self._shape.on_vfio if self.on_vfio is None else self.on_vfio)

    def boot(self, built: base.Base, disk: Path, public_key: str, progress: Progress) -> Boot:
        """With which kernel, on which disk, told what; a kernel that is missing is built."""
        own = self.kernel == "iommufd"
        return Boot(
            kernel=kernel.obtain(progress) if own else built.kernel,
            initrd=None if own else built.initrd,
            disk=disk,
            command_line=self._words(public_key),
            memory=self.memory,
            shape=self._shape,
            qemu=emulator.obtain(progress),
        )

    def accelerator(self) -> str:
        return self.accel or os.environ.get("VFIO_POWER_LAB_ACCEL", "tcg")

    def places(self) -> dict[str, str]:
        return topology.places(self._shape)

    @property
    def _shape(self) -> topology.Shape:
        return topology.SHAPES[self.shape]

    def _words(self, public_key: str) -> str:
        places = self.places()
        bound = ",".join(places[name] for name in self.cards_on_vfio())
        own = f"lab.key={public_key} lab.vfio={bound}"
        quiet = "" if self.accelerator() == "kvm" else QUIET
        return " ".join([COMMAND_LINE, quiet, IDLE[self.idle], own, self.command_line])


def _one_of(what: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise LabError(f"{value!r} is no {what} here; choose one of {', '.join(known)}.")
