# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of the guest that a process runs, found without telling anything else of the process.

Whoever runs the guest wrote the name down: libvirt and Proxmox VE beside its pid, and in the name
of its control group. Of a QEMU that somebody started by hand only its own arguments have it; they
are read for what follows ``-name``, and nothing else of them is kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import Optional

from .procfs import printable, text_of

PID_FOLDERS = ("libvirt/qemu", "qemu-server")
"""Below /run; a guest's pid is in a file of the guest's name."""

_SUFFIX = ".pid"
_GROUPS = (
    # machine-qemu\x2d1\x2dweb.scope, by systemd-machined; qemu-1-web.libvirt-qemu without it
    re.compile(r"/machine-qemu-[0-9]+-(?P<name>[^/]+)\.scope"),
    re.compile(r"/qemu-[0-9]+-(?P<name>[^/]+)\.libvirt-qemu"),
    re.compile(r"/qemu\.slice/(?P<name>[^/]+)\.scope"),
)
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


def guest_of(pid: int, command: str, proc: str = "/proc", run: str = "/run") -> Optional[str]:
    """Return the name of the guest in a process, or None where it runs none, or one without."""
    name = _by_pid(pid, run) or _by_group(text_of(f"{proc}/{pid}/cgroup"))
    if name is None and command.startswith("qemu"):
        name = named_in(text_of(f"{proc}/{pid}/cmdline").split("\0"))
    return printable(name) if name else None


def named_in(arguments: Sequence[str]) -> Optional[str]:
    """Return what QEMU's arguments call the guest: ``-name web`` or ``-name guest=web,…``."""
    for option, value in zip(arguments, arguments[1:]):
        if option in ("-name", "--name"):
            return _guest_in(value.replace(",,", "\0").split(","))
    return None


def _guest_in(parts: Iterable[str]) -> Optional[str]:
    for index, part in enumerate(parts):
        key, equals, value = part.partition("=")
        if key == "guest" and equals:
            return value.replace("\0", ",")
        if index == 0 and not equals:
            return part.replace("\0", ",")
    return None


def _by_pid(pid: int, run: str) -> Optional[str]:
    for folder in PID_FOLDERS:
        try:
            names = [name for name in os.listdir(f"{run}/{folder}") if name.endswith(_SUFFIX)]
        except OSError:
            continue
        for name in names:
            if text_of(f"{run}/{folder}/{name}").strip() == str(pid):
                return name[: -len(_SUFFIX)]
    return None


def _by_group(groups: str) -> Optional[str]:
    """Return the name in a path of control groups, in which systemd has escaped every dash."""
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), groups)
    found = next((match for known in _GROUPS for match in [known.search(plain)] if match), None)
    return found["name"] if found else None
