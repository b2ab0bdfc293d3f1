# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of low_power_info as hosts give them, and whole fleets of such hosts.

Tests, the browser tests and the benchmark of the report take theirs from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.vfio.power.plugins.plugin_utils._report.comparison import comparison
from ansible_collections.vfio.power.plugins.plugin_utils._report.excerpt import excerpt
from ansible_collections.vfio.power.plugins.plugin_utils._report.fleet import host_of, report_of

NOW = "2026-11-23T07:05:00Z"
Document = dict[str, Any]

CARDS = (
    ("Intel Corporation 82574L Gigabit Network Connection", "8086", "10d3", "020000"),
    ("NVIDIA Corporation GA102GL [A40]", "10de", "2235", "030200"),
    ("Samsung Electronics Co Ltd NVMe SSD Controller PM9A1", "144d", "a80a", "010802"),
    ("Mellanox Technologies MT2892 Family [ConnectX-6 Dx]", "15b3", "101d", "020000"),
)
RULES = ("uplink", "gpus", "disks", "spare cards")


def device(slot: int = 1, card: int = 0, **changes: Any) -> Document:
    """Return a device that sleeps as declared, with these values changed."""
    model, vendor, ident, class_code = CARDS[card]
    address = f"0000:{slot:02x}:00.0"
    return {
        "address": address,
        "model": model,
        "vendor": vendor,
        "device": ident,
        "class": class_code,
        "driver": "vfio-pci",
        "iommu_group": slot,
        "unit": [address],
        "power_set": [address],
        "declared": {
            "rule": RULES[card],
            "mode": "entry-with-wakeup",
            "reserve": False,
            "expect": "asleep",
        },
        "state": "armed",
        "held": True,
        "engaged": "entry-with-wakeup",
        "power_state": "D3cold",
        "runtime_status": "suspended",
        "suspended_seconds": 86000.4,
        "active_seconds": 412.5,
        "active_share": 0.0048,
        "wakes": {"total": 12, "foreign": 9, "last": "2026-11-23T06:41:07Z"},
        "waiting_until": None,
        "reentries": {
            "breaker": "closed",
            "put_off_by": None,
            "suppressed": 0,
            "storm_wakes": 0,
            "storm_seconds": 0.0,
        },
        "opened_by": [],
        "lease": [],
        "quarantined": None,
        "quirks": [],
        "drift": [],
        **changes,
    }


def drift(code: str, severity: str, message: str, hint: str = "") -> Document:
    """Return drift as the program tells it."""
    return {"code": code, "severity": severity, "message": message, "hint": hint}


def subject(slot: int, card: int) -> str:
    """Return a device as sentences begin with it."""
    return f"0000:{slot:02x}:00.0 ({CARDS[card][0]}, rule {RULES[card]!r})"


def not_bound(slot: int = 1, card: int = 1) -> Document:
    """Return a device on a driver of the host."""
    address = f"0000:{slot:02x}:00.0"
    message = f"{subject(slot, card)} is on the driver nvidia, not on a VFIO driver"
    hint = f"Bind it, for example: driverctl set-override {address} vfio-pci"
    return device(
        slot,
        card,
        driver="nvidia",
        held=False,
        engaged="none",
        power_state="D0",
        runtime_status="active",
        active_share=1.0,
        wakes=None,
        drift=[drift("not-bound", "drift", message, hint)],
    )


def storming(slot: int = 1, card: int = 0) -> Document:
    """Return a device that somebody reads all day."""
    message = (
        f"{subject(slot, card)} was woken 61 times in 3 min; it is left awake for another 12 min,"
        " then tried once more"
    )
    hint = (
        "Find what reads it: lspci, lshw, fact gathering and monitoring agents do;"
        " vfio-powerctl watch --who names it when the device is tried again"
    )
    return device(
        slot,
        card,
        power_state="D0",
        runtime_status="active",
        engaged="none",
        active_share=0.3127,
        wakes={"total": 1415, "foreign": 1402, "last": "2026-11-23T07:04:58Z"},
        waiting_until="2026-11-23T07:17:00Z",
        drift=[drift("wake-storm", "drift", message, hint)],
    )


def leased(slot: int = 1, card: int = 1) -> Document:
    """Return a device that a guest has."""
    address = f"0000:{slot:02x}:00.0"
    holder = f"libvirt:guest{slot}"
    message = f"{subject(slot, card)} is lent to {holder}"
    hint = f"It comes back with: vfio-powerctl reclaim {address} --holder {holder}"
    return device(
        slot,
        card,
        held=False,
        engaged="none",
        power_state="D0",
        runtime_status="active",
        active_share=0.7341,
        opened_by=[{"pid": 812, "command": "qemu-system-x86"}],
        lease=[{"holder": holder, "since": "2026-11-22T18:00:00Z", "until": None}],
        drift=[drift("leased", "excused", message, hint)],
    )


def answer(*devices: Document, **changes: Any) -> Document:
    """Return what low_power_info answers on a host with these devices."""
    found = [{"address": each["address"], **it} for each in devices for it in each["drift"]]
    return {
        "changed": False,
        "host": {
            "kernel": "6.12.48+deb13-amd64",
            "vfio": True,
            "iommu": True,
            "iommufd": False,
            "disable_idle_d3": True,
        },
        "helper": {
            "installed": True,
            "running": True,
            "version": "0.1.0",
            "api_revision": 1,
            "paused": None,
            "fdstore_ok": True,
        },
        "devices": list(devices),
        "drift": found,
        "drifted": any(it["severity"] == "drift" for it in found),
        "summary": {},
        "limited": False,
        **changes,
    }


def seen(*devices: Document, at: str = NOW, **changes: Any) -> Document:
    """Return the variables of a host after it was looked at."""
    return {"vfio_power_seen": excerpt(answer(*devices, **changes), at)}


UNREACHABLE = {
    "vfio_power_seen": {
        "unreachable": True,
        "changed": False,
        "msg": "Failed to connect to the host via ssh: connect to host 10.3.7.19 port 22: No route",
    }
}


def report(**hosts: Document) -> Document:
    """Return the report of hosts with these variables."""
    made = (host_of(name, variables, NOW) for name, variables in hosts.items())
    return report_of(made, NOW, "0.1.0")


def fleet(hosts: int, devices: int = 16) -> Iterator[Document]:
    """Yield the hosts of a fleet as one finds them: most are well, some are not."""
    for name, variables in variables_of(hosts, devices):
        yield host_of(name, variables, NOW)


def variables_of(hosts: int, devices: int = 16) -> Iterator[tuple[str, Document]]:
    """Yield what the controller has of each host of such a fleet after it was looked at."""
    for number in range(hosts):
        yield f"hv{number:05}.example.net", _host(number, devices)


def _host(number: int, devices: int) -> Document:
    if number % 97 == 5:
        return UNREACHABLE
    found = [_device(number, slot) for slot in range(1, devices + 1)]
    if number % 211 == 17:
        message = "the helper is installed and does not answer on its socket"
        hint = "Look at: systemctl status vfio-powerd.service"
        down = {"address": None, **drift("helper-down", "drift", message, hint)}
        return seen(*found, drift=[down], drifted=True)
    return {**seen(*found), "vfio_power_declared": comparison(NOTHING_NEW, {})}


NOTHING_NEW: Document = {"applied": False, "changed": False, "devices": [], "drift": []}


def _device(host: int, slot: int) -> Document:
    kind = (host * 31 + slot * 7) % 389
    if kind < 60:
        return leased(slot, slot % 4)
    if kind < 62:
        return storming(slot, slot % 4)
    if kind == 63:
        return not_bound(slot, 1)
    if kind < 90:
        return device(slot, slot % 4, power_state="D3hot", active_share=kind / 5000)
    return device(slot, slot % 4)
