# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions that tests bring about on a lab host, each for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .host import Lab
from .managed import ManagedHost

GIVEN_UP_WITHIN = 300  # seconds; the kernel asks a lost device a minute long, after each reset
_READS = Path(__file__).parent / "scripts" / "reads.py"


@contextmanager
def file(host: ManagedHost, path: str, text: str) -> Iterator[None]:
    """Have a file on the host for the length of a block."""
    host.lab.ssh(f"test ! -e {path} && mkdir -p $(dirname {path}) && cat > {path}", input=text)
    try:
        yield
    finally:
        host.lab.ssh(f"rm -f {path}")


@contextmanager
def attribute(host: ManagedHost, card: str, name: str, value: str) -> Iterator[None]:
    """Have another value in an attribute of a device for the length of a block."""
    path = f"/sys/bus/pci/devices/{host.address(card)}/{name}"
    before = host.lab.ssh(f"cat {path}").stdout.strip()
    host.write(path, value)
    try:
        yield
    finally:
        host.write(path, before)


@contextmanager
def on_driver(host: ManagedHost, card: str, driver: str, back: str = "vfio-pci") -> Iterator[None]:
    """Have a device on another driver, or on ``none``, for the length of a block."""
    host.bind(card, driver)
    try:
        yield
    finally:
        host.bind(card, back)


@contextmanager
def removed(host: ManagedHost, card: str) -> Iterator[None]:
    """Have a card taken off the bus for the length of a block, and on vfio-pci afterwards."""
    address = host.address(card)
    host.write(f"/sys/bus/pci/devices/{address}/remove", "1")
    try:
        yield
    finally:
        host.lab.ssh("echo 1 > /sys/bus/pci/rescan; udevadm settle")
        host.bind(address)


@contextmanager
def beyond_reach(host: ManagedHost, card: str) -> Iterator[None]:
    """Have nobody answer what is read from a card, as when it fell off its link: all ones."""
    (port,) = host.ports(card)
    registers = ("SECONDARY_BUS", "SUBORDINATE_BUS")
    numbers = host.lab.ssh(f"setpci -s {port} {' '.join(registers)}").stdout.split()
    nowhere, back = (
        " ".join(f"{register}={number}" for register, number in zip(registers, buses, strict=True))
        for buses in (("fe", "fe"), numbers)
    )
    host.lab.ssh(f"setpci -s {port} {nowhere}")
    try:
        yield
    finally:
        host.lab.ssh(f"setpci -s {port} {back}", timeout=GIVEN_UP_WITHIN)


@contextmanager
def errors_passed_on(host: ManagedHost, card: str) -> Iterator[None]:
    """Have a card's port pass on errors, which the emulator does by these bits alone."""
    (port,) = host.ports(card)
    registers = ("COMMAND", "BRIDGE_CONTROL")
    before = host.lab.ssh(f"setpci -s {port} {' '.join(registers)}").stdout.split()
    back = " ".join(f"{register}={was}" for register, was in zip(registers, before, strict=True))
    host.lab.ssh(f"setpci -s {port} COMMAND=100:100 BRIDGE_CONTROL=2:2")
    try:
        yield
    finally:
        host.lab.ssh(f"setpci -s {port} {back}")


def report_error(host: ManagedHost, card: str) -> None:
    """Have a card's port report an uncorrectable error: an answer that did not come."""
    with errors_passed_on(host, card):
        error = f"pcie_aer_inject_error port-{card} COMP_ABORT"
        told = host.lab.qmp("human-monitor-command", command_line=error)
        assert told.startswith("OK"), told
        host.lab.wait_for(lambda: host.openable(card), 30, "the device to be let go")


def fresh_devices(lab: Lab) -> Mapping[str, str]:
    """The cards that are there now."""
    lab.forget_devices()
    return lab.devices


def plug(host: ManagedHost, model: str = "e1000e") -> str:
    """Put a card into the empty port, and have it on vfio-pci; return its address."""
    lab = host.lab
    lab.add_device(model, id="extra")
    lab.wait_for(lambda: "bay" in fresh_devices(lab), 60, "the card to be there")
    lab.ssh(f"udevadm settle; driverctl --nosave set-override {host.address('bay')} vfio-pci")
    return host.address("bay")


def unplug(lab: Lab) -> None:
    """Ask for the card, and wait until the host has given it up."""
    lab.remove_device("extra")
    lab.wait_for(lambda: "bay" not in fresh_devices(lab), 15, "the card to be gone")
    lab.wait_for(lambda: not lab.has_device("extra"), 15, "the port to be empty")


@contextmanager
def plugged(host: ManagedHost, model: str) -> Iterator[None]:
    """Have a card in the empty port for the length of a block, and whatever takes its place."""
    plug(host, model)
    try:
        yield
    finally:
        if host.lab.has_device("extra"):
            unplug(host.lab)


@contextmanager
def read_without_end(host: ManagedHost, card: str) -> Iterator[None]:
    """Have a process that reads from a card, and never gets done, for the length of a block."""
    path = f"/run/{_READS.name}"
    host.lab.put(_READS, path)
    run = f"python3 -I {path} {host.address(card)}"
    host.lab.ssh(f"systemd-run --quiet --collect --unit={_READS.stem} {run}")
    try:
        host.reaches(card, "D0")
        yield
    finally:
        end_of_read(host)
        host.lab.ssh(f"rm {path}")


def end_of_read(host: ManagedHost) -> None:
    """Have no such process any more."""
    host.lab.ssh(f"systemctl stop {_READS.stem}", check=False)
