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


LIBVIRT = r"systemd-run --quiet --scope --slice=machine.slice --unit='machine-qemu\x2d1\x2d{}'"
"""Runs a guest of that name in a control group as libvirt does."""


def start_guest(host: ManagedHost, card: str, within: str = "", more: str = "") -> str:
    """Start a guest with a card; return what QEMU complained of, or an empty string.

    ``within`` is a command to run it by, ``more`` are arguments of QEMU.
    """
    command = f"{within} {_QEMU.format(address=host.address(card))} {more}"
    done = host.lab.ssh(command, check=False)
    return done.stderr + done.stdout if done.returncode else ""


def stop_guest(host: ManagedHost) -> None:
    """End the guest and wait until it is gone."""
    host.lab.ssh("kill $(cat /run/guest.pid); rm -f /run/guest.pid", check=False)
    gone = "pgrep -x qemu-system-x86"
    host.lab.wait_for(lambda: host.lab.ssh(gone, check=False).returncode, 20, "the guest to end")


@contextmanager
def guest(host: ManagedHost, card: str, within: str = "", more: str = "") -> Iterator[None]:
    """Run a guest that has the card for the length of a block."""
    complaint = start_guest(host, card, within, more)
    try:
        assert not complaint, complaint
        assert host.held_by(card) == {"qemu-system-x86"}
        yield
    finally:
        stop_guest(host)
