# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files in which other tools were told what to write to devices' power policy.

Of a tool that a package brought, its own defaults count only where its service is enabled. What
somebody wrote below /etc is told in any case, with a word on the service.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Optional

from ..think.rivals import KERNEL, MODPROBE, POWERTOP, TLP, TUNED, UDEV, mentions
from ..words.rival import PolicyFile

OURS = "62-vfio-power.rules"

_BEFORE_OTHERS = ("etc", "run", "usr/local/lib", "usr/lib", "lib")
"""A file of the same name in an earlier one hides the later ones."""

_UNITS = tuple(f"{place}/systemd/system" for place in _BEFORE_OTHERS)
_PROFILES = ("etc/tuned/profiles", "etc/tuned", "usr/lib/tuned/profiles", "usr/lib/tuned")
_INCLUDE = re.compile(r"^\s*include\s*=\s*(.+)$", re.MULTILINE)
_LARGEST = 1 << 20  # bytes of a file; none of these is near it


def load(root: str = "/") -> tuple[PolicyFile, ...]:
    """Return every file of a host that may decide about a device's sleep."""
    host = _Host(root)
    found = (
        *_dropped_in(host, UDEV, "udev/rules.d", ".rules"),
        *_dropped_in(host, MODPROBE, "modprobe.d", ".conf"),
        *host.files(KERNEL, ["proc/cmdline"]),
        *_tlp(host),
        *_powertop(host),
        *_tuned(host),
    )
    return tuple(file for file in found if mentions(file.tool, file.text))


class _Host:
    """Files below a root folder. One that cannot be read is as good as none."""

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/")

    def text(self, path: str) -> Optional[str]:
        try:
            with open(f"{self._root}/{path}", encoding="utf-8", errors="replace") as file:
                return file.read(_LARGEST)
        except OSError:
            return None

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(f"{self._root}/{folder}"))
        except OSError:
            return []

    def files(
        self, tool: str, paths: Iterable[str], *, enabled: bool = True
    ) -> Iterator[PolicyFile]:
        for path in paths:
            text = self.text(path)
            if text is not None:
                yield PolicyFile(tool, f"/{path}", text, enabled)

    def enabled(self, unit: str) -> bool:
        """Tell whether some unit wants this one."""
        return any(
            os.path.lexists(f"{self._root}/{folder}/{name}/{unit}")
            for folder in _UNITS
            for name in self.names(folder)
            if name.endswith((".wants", ".requires"))
        )


def _dropped_in(host: _Host, tool: str, folder: str, suffix: str) -> Iterator[PolicyFile]:
    """Yield the files that count, in the order in which they are read."""
    first: dict[str, str] = {}
    for place in _BEFORE_OTHERS:
        for name in host.names(f"{place}/{folder}"):
            if name.endswith(suffix) and name != OURS:
                first.setdefault(name, f"{place}/{folder}/{name}")
    return host.files(tool, (first[name] for name in sorted(first)))


def _tlp(host: _Host) -> Iterator[PolicyFile]:
    enabled = host.enabled("tlp.service")
    own = [f"etc/tlp.d/{name}" for name in host.names("etc/tlp.d") if name.endswith(".conf")]
    shipped = ["usr/share/tlp/defaults.conf"] if enabled else []
    return host.files(TLP, [*shipped, *own, "etc/tlp.conf"], enabled=enabled)


def _powertop(host: _Host) -> Iterator[PolicyFile]:
    told: set[str] = set()
    for folder in _UNITS:
        for name in host.names(folder):
            if not name.startswith("powertop") or not name.endswith(".service") or name in told:
                continue
            told.add(name)
            enabled = host.enabled(name)
            if enabled or folder.startswith("etc/"):
                yield from host.files(POWERTOP, [f"{folder}/{name}"], enabled=enabled)


def _tuned(host: _Host) -> Iterator[PolicyFile]:
    """Yield all files of the active profile and of those that it includes."""
    ahead = (host.text("etc/tuned/active_profile") or "").split()
    enabled = host.enabled("tuned.service")
    seen: set[str] = set()
    while ahead:
        name = ahead.pop(0)
        place = next((f"{it}/{name}" for it in _PROFILES if host.names(f"{it}/{name}")), None)
        if name in seen or place is None:
            continue
        seen.add(name)
        files = [f"{place}/{file}" for file in host.names(place)]
        yield from host.files(TUNED, files, enabled=enabled)
        for included in _INCLUDE.findall(host.text(f"{place}/tuned.conf") or ""):
            ahead += re.split(r"[\s,]+", included.strip())
