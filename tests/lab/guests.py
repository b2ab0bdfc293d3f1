# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real QEMU guest inside the lab host, given one device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .managed import ManagedHost

# Stopped CPUs (-S): the device is opened, reset and mapped all the same, and nothing burns time.
_QEMU = (
    "qemu-system-x86_64 -machine q35 -accel tcg -m 64 -nodefaults -display none -S"
    " -device vfio-pci,host={address} -pidfile /run/guest.pid -daemonize"
)


_DOMAIN = """
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <hostdev mode='subsystem' type='pci' managed='no'>
      <source>
        <address domain='0x{domain}' bus='0x{bus}' slot='0x{slot}' function='0x{function}'/>
      </source>
    </hostdev>
    <memballoon model='none'/>
  </devices>
  <qemu:commandline>{arguments}</qemu:commandline>
</domain>
"""


def start_guest(host: ManagedHost, card: str, more: str = "") -> str:
    """Start a guest with a card; return what QEMU complained of, or an empty string.

    ``more`` are arguments of QEMU.
    """
    command = f"{_QEMU.format(address=host.address(card))} {more}"
    done = host.lab.ssh(command, check=False)
    return done.stderr + done.stdout if done.returncode else ""


def stop_guest(host: ManagedHost) -> None:
    """End the guest and wait until it is gone."""
    host.lab.ssh("kill $(cat /run/guest.pid); rm -f /run/guest.pid", check=False)
    gone = "pgrep -x qemu-system-x86"
    host.lab.wait_for(lambda: host.lab.ssh(gone, check=False).returncode, 20, "the guest to end")


@contextmanager
def guest(host: ManagedHost, card: str, more: str = "") -> Iterator[None]:
    """Run a guest that has the card for the length of a block."""
    complaint = start_guest(host, card, more)
    try:
        assert not complaint, complaint
        assert host.held_by(card) == {"qemu-system-x86"}
        yield
    finally:
        stop_guest(host)


@contextmanager
def libvirt_guest(host: ManagedHost, card: str, name: str, *more: str) -> Iterator[None]:
    """Have libvirt run a guest that has the card, with these arguments of QEMU besides."""
    domain, bus, place = host.address(card).split(":")
    slot, function = place.split(".")
    arguments = "".join(f"<qemu:arg value='{word}'/>" for word in more)
    place_of_card = {"domain": domain, "bus": bus, "slot": slot, "function": function}
    definition = _DOMAIN.format(name=name, arguments=arguments, **place_of_card)
    host.lab.ssh("systemctl start libvirtd")
    try:
        host.lab.ssh("virsh --quiet create /dev/stdin --paused", input=definition)
        assert host.held_by(card) == {"qemu-system-x86"}
        yield
    finally:
        destroy(host, name)
        host.lab.ssh("systemctl stop libvirtd.service libvirtd.socket virtlogd.socket")


def destroy(host: ManagedHost, name: str) -> None:
    """End a guest of libvirt, if it runs."""
    host.lab.ssh(f"virsh --quiet destroy {name}", check=False)
