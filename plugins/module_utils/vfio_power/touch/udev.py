# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only udev knows: properties and model names, and that devices come, go and are bound.

pyudev is imported late, because most of the program works without it: these calls raise
ImportError where it is missing. Nothing here reads an attribute of a device (see sysfs.py).
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple, Optional

from ..words.address import PciAddress
from ..words.errors import VfioPowerError
from ..words.facts import Facts

Devices = dict[PciAddress, Facts]

DATABASE = "/run/udev/data"


def described(devices: Mapping[PciAddress, Facts]) -> Devices:
    """Return the devices with ``properties`` and ``model`` from the udev database."""
    pyudev = _pyudev()
    context = pyudev.Context()
    known = {}
    for address, facts in devices.items():
        try:
            device = pyudev.Devices.from_name(context, "pci", str(address))
        except pyudev.DeviceNotFoundError:
            known[address] = facts  # it was unplugged while we looked
            continue
        properties = dict(device.properties)
        known[address] = facts._replace(properties=properties, model=_model(properties))
    return known


def named(devices: Mapping[PciAddress, Facts], database: str = DATABASE) -> Devices:
    """Return the devices with their ``model`` alone, and without pyudev.

    To import that takes longer than all else that a task does which finds nothing to do. The
    file is udev's own affair: should it look otherwise one day, devices go by their IDs.
    """
    return {
        address: facts._replace(model=_model(recorded(address, database)))
        for address, facts in devices.items()
    }


def recorded(address: PciAddress, database: str = DATABASE) -> dict[str, str]:
    """Return what the udev database has of a device, without pyudev: less than udev tells."""
    return _stored(f"{database}/+pci:{address}")


def _stored(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as record:
            rows = [line.rstrip("\n")[2:].partition("=") for line in record if line[:2] == "E:"]
    except OSError:
        return {}
    return {name: value for name, _equals, value in rows}


def _model(properties: Mapping[str, str]) -> str:
    names = ("ID_VENDOR_FROM_DATABASE", "ID_MODEL_FROM_DATABASE")
    return " ".join(properties[name] for name in names if properties.get(name))


class Uevent(NamedTuple):
    """One thing the kernel told of a device; a hint to look at sysfs, never data."""

    action: str  # add, remove, bind, unbind, change
    address: PciAddress
    driver: Optional[str] = None  # named on bind


class UeventsLost(VfioPowerError):
    """More was told than the socket could keep: every device has to be looked at again."""


class Uevents:
    """The kernel's own messages about PCI devices. They need no udevd and no privilege."""

    def __init__(self) -> None:
        pyudev = _pyudev()
        # pyudev has no way to close a monitor but to forget it.
        self._monitor: Any = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
        self._monitor.filter_by("pci")
        self._monitor.start()

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        number: int = self._monitor.fileno()
        return number

    def read(self) -> list[Uevent]:
        """Return what came since the last call, without waiting. Raises UeventsLost."""
        events = []
        try:
            while (device := self._monitor.poll(timeout=0)) is not None:
                event = _uevent(device.action, device.sys_name, device.properties.get("DRIVER"))
                if event is not None:
                    events.append(event)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            raise UeventsLost("The kernel told of more devices than could be read") from error
        return events

    def close(self) -> None:
        """Stop listening."""
        self._monitor = None


def _uevent(action: str, name: str, driver: Optional[str]) -> Optional[Uevent]:
    try:
        return Uevent(action, PciAddress.parse(name), driver)
    except ValueError:
        return None


def _pyudev() -> Any:
    """Import pyudev, which asks ctypes.util where the C library is, and gives it an answer of ours.

    Python's own way to look starts ldconfig or a compiler, and the helper runs no command. It also
    brings what unpacks archives, which would stay in memory.
    """
    usual = sys.modules.get("ctypes.util")
    ours = ModuleType("ctypes.util")
    ours.__dict__["find_library"] = _soname
    sys.modules["ctypes.util"] = ours
    try:
        import pyudev
    finally:
        del sys.modules["ctypes.util"]
        if usual is not None:
            sys.modules["ctypes.util"] = usual
    return pyudev


def _soname(library: str) -> Optional[str]:
    """Return the name by which the loader finds a library, or None if it does not."""
    import ctypes

    name = f"lib{library}.so.1"
    try:
        ctypes.CDLL(name)
    except OSError:
        return None
    return name
