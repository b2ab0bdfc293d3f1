# Copyright (c) 2026, the vfio.power authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines of other tools' files write the power policy of a device: pure reading of texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Callable, NamedTuple

from ..words.address import PciAddress
from ..words.facts import Facts
from ..words.rival import D3COLD_ALLOWED, DISABLE_IDLE_D3, POWER_CONTROL, PolicyFile, Rival
from .udev_rules import Card, asks_above, writes

UDEV, TLP, POWERTOP, TUNED, MODPROBE, KERNEL = (
    "udev",
    "TLP",
    "powertop",
    "TuneD",
    "modprobe.d",
    "kernel",
)

_TLP_LINE = re.compile(r'\s*(?P<key>RUNTIME_PM_\w+)\s*=\s*"?(?P<value>[^#]*)')
_PATH = re.compile(r"(?P<folder>[^\s=\"'>]*)/(?P<attribute>power/control|d3cold_allowed)\b")
_VALUE = re.compile(r"\s*=\s*(\w+)")
_ECHO = re.compile(r"echo\s+(?:-n\s+)?[\"']?(\w+)")
_OPTION = re.compile(r"\s*options\s+vfio[-_]pci\s.*\bdisable_idle_d3(?:=(?P<value>\w+))?")
_WORD = re.compile(r"\bvfio[-_]pci\.disable_idle_d3(?:=(?P<value>\w+))?")


def rivals_of(card: Card, files: Iterable[PolicyFile]) -> tuple[Rival, ...]:
    """Return every line that decides about a device, in the order of the files."""
    files = tuple(files)
    found = [rival for file in files for rival in _in_file(file, card)]
    return (*found, *_tlp(card.facts, [file for file in files if file.tool == TLP]))


def ask_above(files: Iterable[PolicyFile]) -> bool:
    """Tell whether the ports above a device have to be known to judge these files."""
    return any(file.tool == UDEV and asks_above(file.text) for file in files)


def idle_policy(files: Iterable[PolicyFile], *, on: bool = False) -> tuple[Rival, ...]:
    """Return where the host's disable_idle_d3 is set; with ``on`` where it is switched on."""
    found = []
    for file in files:
        pattern = {MODPROBE: _OPTION, KERNEL: _WORD}.get(file.tool)
        for number, line in _numbered(file.text):
            told = pattern and pattern.search(line)
            if told:
                found.append(_rival(file, number, DISABLE_IDLE_D3, told["value"] or "1"))
    return tuple(it for it in found if not on or it.value.lower() in _TRUE)


_TRUE = ("1", "y", "yes", "t", "true", "on")
"""What the kernel takes for true; see kstrtobool()."""


def _in_file(file: PolicyFile, card: Card) -> Iterator[Rival]:
    if file.tool == UDEV:
        for number, attribute, value in writes(file.text, card):
            yield _rival(file, number, attribute, value)
    else:
        reader = _READERS.get(file.tool)
        yield from reader(file, card.facts) if reader else ()


def _powertop(file: PolicyFile, _facts: Facts) -> Iterator[Rival]:
    """``--auto-tune`` lets everything sleep that it knows."""
    for number, line in _numbered(file.text):
        if "powertop" in line and "--auto-tune" in line:
            yield _rival(file, number, POWER_CONTROL, "auto")


def _tuned(file: PolicyFile, facts: Facts) -> Iterator[Rival]:
    """A profile names files of sysfs, in its settings or in a script beside them."""
    for number, line in _numbered(file.text):
        for path in _PATH.finditer(line):
            folder, _slash, device = path["folder"].rpartition("/")
            if folder.startswith("/") and "/pci" not in folder and not _variable(folder):
                continue  # of another bus
            if not device or _variable(device) or fnmatchcase(str(facts.address), device):
                value = _VALUE.match(line, path.end()) or _ECHO.search(line)
                yield _rival(file, number, path["attribute"], value[1] if value else "")


def _variable(text: str) -> bool:
    return "$" in text


_READERS: Mapping[str, Callable[[PolicyFile, Facts], Iterator[Rival]]] = {
    POWERTOP: _powertop,
    TUNED: _tuned,
}


class _Setting(NamedTuple):
    file: PolicyFile
    number: int
    value: str


def _tlp(facts: Facts, files: list[PolicyFile]) -> Iterator[Rival]:
    """Of a setting the last one counts; what names the device goes before what is for all."""
    settings: dict[str, _Setting] = {}
    for file in files:
        for number, line in _numbered(file.text):
            told = _TLP_LINE.match(line)
            if told:
                settings[told["key"]] = _Setting(file, number, told["value"].strip(" \t\"'"))
    named = {key: value for key, value in _TLP_NAMED.items() if _names(settings.get(key), facts)}
    if named:
        chosen = named
    elif _names(settings.get("RUNTIME_PM_DENYLIST"), facts) or _is_on(
        settings.get("RUNTIME_PM_DRIVER_DENYLIST"), facts
    ):
        chosen = {}
    else:
        chosen = {key: settings[key].value for key in _TLP_FOR_ALL if key in settings}
    for key, value in chosen.items():
        if value:
            yield _rival(settings[key].file, settings[key].number, POWER_CONTROL, value)


_TLP_FOR_ALL = ("RUNTIME_PM_ON_AC", "RUNTIME_PM_ON_BAT", "RUNTIME_PM_ON_SAV")
_TLP_NAMED = {"RUNTIME_PM_ENABLE": "auto", "RUNTIME_PM_DISABLE": "on"}


def _names(setting: _Setting | None, facts: Facts) -> bool:
    """Tell whether a list of addresses, mostly short ones, has the device."""
    return setting is not None and any(
        _parsed(word) == facts.address for word in setting.value.split()
    )


def _is_on(setting: _Setting | None, facts: Facts) -> bool:
    return setting is not None and facts.driver in setting.value.split()


def _parsed(text: str) -> PciAddress | None:
    try:
        return PciAddress.parse(text)
    except ValueError:
        return None


def _rival(file: PolicyFile, number: int, attribute: str, value: str) -> Rival:
    return Rival(file.tool, file.path, number, attribute, value, file.enabled)


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith(("#", ";")):
            yield number, line


def mentions(tool: str, text: str) -> bool:
    """Tell whether a file is worth reading closely: most have nothing to do with power."""
    words = {
        TLP: ("RUNTIME_PM_",),
        POWERTOP: ("--auto-tune",),
        MODPROBE: (DISABLE_IDLE_D3,),
        KERNEL: (DISABLE_IDLE_D3,),
    }
    return any(word in text for word in words.get(tool, (POWER_CONTROL, D3COLD_ALLOWED)))
